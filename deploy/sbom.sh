#!/usr/bin/env bash
# Prints what the program of an image was built from, as JSON: crates, versions, and which needs which. Usage: sbom.sh IMAGE
# It is what `cargo auditable` wrote into the program. Needs objcopy and python3.
set -euo pipefail

image=${1:?the image}
docker=${DOCKER:-docker}
work=$(mktemp -d)
container=$("$docker" create "$image")
trap '"$docker" rm "$container" > /dev/null; rm -rf "$work"' EXIT

program=$("$docker" inspect --format '{{index .Config.Entrypoint 0}}' "$image")
"$docker" cp "$container:$program" "$work/program" > /dev/null
objcopy --dump-section ".dep-v0=$work/list" "$work/program" "$work/copy"
python3 -c '
import json, sys, zlib
json.dump(json.loads(zlib.decompress(open(sys.argv[1], "rb").read())), sys.stdout, indent=2)
print()' "$work/list"
