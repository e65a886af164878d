#!/usr/bin/env bash
# Builds the images and runs the commands of deploy/README.md on them, as they are printed there; then what containers must
# withstand. Usage: test-image.sh [amd64|arm64]. Needs a Docker engine, and root where no container registry answers.
# Programs for arm64 are run by qemu-aarch64 (Debian: qemu-user) on other machines.
set -euo pipefail
cd "$(dirname "$0")/.."

architecture=${1:-amd64}
work=$(mktemp -d)
arguments=(--platform "linux/$architecture" --build-arg "REVISION=$(git rev-parse HEAD)")

# Debian's client has BuildKit built in, later ones need a plugin that may be missing.
DOCKER=$(type -P docker)
if ! "$DOCKER" buildx version > /dev/null 2>&1 && [ -x /usr/bin/docker ]; then DOCKER=/usr/bin/docker; fi
export DOCKER DOCKER_BUILDKIT=1

# What the page calls `docker`.
docker() {
    case "$1" in
        build) shift; "$DOCKER" build --quiet "${arguments[@]}" "$@" ;;
        compose) shift; if "$DOCKER" compose version > /dev/null 2>&1; then "$DOCKER" compose "$@"; else docker-compose "$@"; fi ;;
        *) "$DOCKER" "$@" ;;
    esac
}

clean_up() {
    for process in $(jobs -p); do kill "$process" 2> /dev/null || true; done
    "$DOCKER" rm --force tacit > /dev/null 2>&1 || true
    docker compose -f deploy/compose.yaml down > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

# The n-th block of commands of the page.
block() {
    awk -v wanted="$1" '/^```sh$/ { n++; inside = n == wanted; next } /^```$/ { inside = 0 } inside' deploy/README.md
}

run_block() {
    echo "== $(block "$1" | head -1)"
    eval "$(block "$1")"
}

fail() {
    echo "$*" >&2
    exit 1
}

wait_until_healthy() {
    for _ in $(seq 120); do
        [ "$("$DOCKER" inspect --format '{{.State.Health.Status}}' "$1")" = healthy ] && return
        sleep 0.5
    done
    "$DOCKER" logs "$1" >&2
    fail "$1 does not become healthy"
}

# The page's command for an inference, as JSON, compared with the labels of the bundled digits.
check_answers() {
    eval "$(block 3) --json" > "$work/answers.json"
    python3 - "$work/answers.json" << 'END'
import json, sys, zipfile
labels = list(zipfile.ZipFile("models/digits.npz").read("y.npy")[-20:])
classes = json.load(open(sys.argv[1]))["classes"]
right = sum(a == b for a, b in zip(classes, labels))
print(f"{right} of {len(labels)} right")
sys.exit(right != len(labels))
END
}

if ! timeout 20 "$DOCKER" pull --quiet gcr.io/distroless/cc-debian12:nonroot > /dev/null 2>&1; then
    echo "no container registry answers: bases are made from Debian's packages"
    deploy/debian-bases.sh
    arguments+=(--network host --build-arg BUILD_BASE=tacit/base-build --build-arg "RUN_BASE=tacit/base-run-$architecture")
fi

run_block 1
"$DOCKER" image inspect --format '{{index .RepoTags 0}} {{.Architecture}}: {{.Size}} bytes' tacit/model-server tacit/cli

if [ "$architecture" != "$(dpkg --print-architecture)" ]; then
    # Both programs, out of their images, with the C library of their images.
    for image in model-server cli; do
        container=$("$DOCKER" create "tacit/$image")
        mkdir "$work/$image"
        "$DOCKER" export "$container" | tar -C "$work/$image" --exclude 'dev/*' -x
        "$DOCKER" rm "$container" > /dev/null
    done
    emulated() {
        local root=$work/$1 program=$2
        shift 2
        "qemu-${architecture/arm64/aarch64}" -cpu max -L "$root" "$root/usr/local/bin/$program" "$@"
    }
    emulated model-server model-server serve --listen 127.0.0.1:7400 --model m2=models/m2_minionn_quad.onnx \
        --calibration m2=models/digits_calibration.npz > "$work/log" 2>&1 &
    for _ in $(seq 600); do
        if grep --quiet "listening on" "$work/log"; then break; fi
        sleep 0.5
    done
    # shellcheck disable=SC2317 # Called by check_answers.
    docker() { shift 7; emulated cli tacit "${@//\/models/models}"; }
    check_answers
    exit
fi

run_block 2
wait_until_healthy tacit
run_block 3
check_answers

echo "== rights"
[ "$("$DOCKER" inspect --format '{{.Config.User}}' tacit)" = 65532:65532 ] || fail "the server does not run as 65532"
"$DOCKER" top tacit -o pid,uid | grep --quiet 65532 || fail "the server runs as another user"
"$DOCKER" cp tacit:/licenses/tokio/LICENSE - > /dev/null || fail "licences are missing"

echo "== docker stop under load"
docker run --rm --network host --volume "$PWD/models:/models:ro" tacit/cli \
    bench --server http://127.0.0.1:7400 --model m2 --clients 16 --inferences 100000 > "$work/load" 2>&1 &
load=$!
sleep 5
kill -0 "$load" 2> /dev/null || { cat "$work/load" >&2; fail "the load has ended"; }
started=$(date +%s%N)
"$DOCKER" stop --time 15 tacit > /dev/null
echo "stopped after $((($(date +%s%N) - started) / 1000000)) ms"
[ "$("$DOCKER" inspect --format '{{.State.ExitCode}}' tacit)" = 0 ] || fail "the server did not end by itself"
"$DOCKER" rm tacit > /dev/null

echo "== another port"
eval "$(block 2 | sed 's/7400:7400/7400:9000 --env TACIT_LISTEN=0.0.0.0:9000/')" > /dev/null
wait_until_healthy tacit
check_answers
"$DOCKER" rm --force tacit > /dev/null

run_block 4
wait_until_healthy "$(docker compose -f deploy/compose.yaml ps -q model-server)"
check_answers
docker compose -f deploy/compose.yaml down

run_block 5 > "$work/sbom.json"
grep --quiet '"name": "tokio"' "$work/sbom.json" || fail "the list of crates lacks tokio"
echo "all commands of deploy/README.md work"
