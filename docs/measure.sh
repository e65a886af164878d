#!/usr/bin/env bash
# Measures what docs/performance.md says of whole networks. Writes one JSON file for each measurement into the folder that is given,
# and the pictures of docs/pictures. Takes twenty minutes on 2 cores; nothing else should run meanwhile.
set -euo pipefail
results=$(realpath "${1:?the folder for the results}")
cd "$(dirname "$0")/.."
mkdir -p "$results"
cargo build --release --locked --bin tacit --bin model-server
tacit=$(realpath "${CARGO_TARGET_DIR:-target}")/release/tacit

# measure NAME NETWORK CALIBRATION [ARGUMENTS]
measure() {
    local name=$1 network=models/$2.onnx calibration=models/$3
    shift 3
    echo "$name"
    "$tacit" bench --json --onnx "$network" --calibration "$calibration" "$@" > "$results/$name.json"
}

few=(--clients 1 --inferences 20)

# One thread for each party.
for network in A Asq B C20; do
    measure "$network-1-thread" "$network" "expected/${network}_input.npy" --threads 1 "${few[@]}"
done

# All processors; 1, 8 and 64 clients at a time where `few` is not given.
measure m1 m1_minionn_relu digits_calibration.npz --held 100
measure m2 m2_minionn_quad digits_calibration.npz --held 100
measure m3 m3_lenet5_maxpool digits_calibration.npz "${few[@]}"
measure m4 m4_cryptonets_square digits_calibration.npz --held 100 "${few[@]}"
measure m5 m5_resnet8_cifar_relu cifar_calibration.npz --pictures docs/pictures/m5
measure f1 f1_fashion_minionn_relu fashion_calibration.npz "${few[@]}"
measure f2 f2_fashion_minionn_quad fashion_calibration.npz "${few[@]}"
measure A A expected/A_input.npy
measure Asq Asq expected/Asq_input.npy "${few[@]}"
measure B B expected/B_input.npy "${few[@]}"
measure C20 C20 expected/C20_input.npy --pictures docs/pictures/C20

# Emulated networks, and the extension that saves bytes.
for network in A B C20; do
    for between in lan wan; do
        for transfers in soft-spoken silent; do
            measure "$network-$between-$transfers" "$network" "expected/${network}_input.npy" --network "$between" \
                --runs 5 --held 1 --clients 1 --inferences 4 -- --transfers "$transfers"
        done
    done
done
