#!/usr/bin/env bash
# Load test of the unary calls with ghz. Usage: run.sh [ADDR:PORT]
set -euo pipefail

server="${1:-127.0.0.1:7400}"
folder="$(cd "$(dirname "$0")" && pwd)"

if ! command -v ghz > /dev/null; then
    echo "ghz is not installed: see https://ghz.sh" >&2
    exit 1
fi

for call in list-models get-model; do
    echo "== ${call} on ${server}"
    # The schema comes from the server's reflection service.
    ghz --config "${folder}/${call}.json" "${server}"
done
