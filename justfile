# The commands that everybody types. `just` lists them.

_list:
    @just --list --unsorted

# Build the programs
build:
    cargo build --release --locked --bin model-server --bin tacit

# See it work: a server and a client on 20 bundled images
demo *ARGUMENTS:
    cargo run --release --locked --bin demo -- {{ARGUMENTS}}

# Run the tests; `just test online` runs those whose name contains `online`
test *FILTER:
    cargo test --workspace --locked {{FILTER}}

# Format the code
format:
    cargo fmt --all

# Everything short of the tests: format, lints, documents and so on
check:
    .ci/run format lints minimum_rust documents features dependencies packages

# What a change must pass
ci:
    .ci/run

# Look up known vulnerabilities of dependencies (needs the network)
advisories:
    cargo deny check advisories

# Serve a bundled network on port 7400
serve NAME="m2_minionn_quad" CALIBRATION="digits_calibration":
    cargo run --release --locked --bin model-server -- serve --listen 127.0.0.1:7400 \
        --model digits=models/{{NAME}}.onnx --calibration digits=models/{{CALIBRATION}}.npz

# Measure a bundled network
bench NAME="m2_minionn_quad" CALIBRATION="digits_calibration":
    cargo run --release --locked --bin tacit -- bench \
        --onnx models/{{NAME}}.onnx --calibration models/{{CALIBRATION}}.npz

# Open the documentation of the crates
doc:
    cargo doc --workspace --no-deps --locked --open
