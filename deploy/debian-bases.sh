#!/usr/bin/env bash
# Makes the base images of the Dockerfile from Debian's packages, for machines that reach Debian's archive but no container registry:
# tacit/base-build (compiler, cross linker, standard libraries of both architectures) and tacit/base-run-amd64, tacit/base-run-arm64
# (C library, certificates, a user without rights). Needs root, debootstrap and a Docker client with BuildKit
# (another than `docker` by the variable DOCKER). Existing images are kept.
set -euo pipefail

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

docker=${DOCKER:-docker}

missing() {
    ! "$docker" image inspect "$1" > /dev/null 2>&1
}

# The certificates of this machine: a proxy in front of the registries is trusted as it is outside.
certificates() {
    mkdir -p "$1/etc/ssl/certs"
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
}

# The compiler is Debian's newest, `rustc-web`: it comes with a standard library for arm64, which rustup would have to fetch.
build_base() {
    local root=$work/build
    # Package scripts are run by the package manager of this machine, so the root needs nothing but itself.
    debootstrap --variant=minbase "$suite" "$root" "$mirror" > "$work/log" 2>&1 || { tail "$work/log" >&2; return 1; }
    echo "deb $mirror-security $suite-security main" >> "$root/etc/apt/sources.list"
    echo "deb $mirror $suite-updates main" >> "$root/etc/apt/sources.list"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # shellcheck disable=SC2016 # The shell inside expands them.
    chroot "$root" bash -c '
        set -e
        export DEBIAN_FRONTEND=noninteractive
        dpkg --add-architecture arm64
        apt-get update -qq
        apt-get install -qq --no-install-recommends rustc-web cargo-web ca-certificates gcc libc6-dev gcc-aarch64-linux-gnu \
            libc6-dev-arm64-cross
        cd /tmp
        apt-get download -qq libstd-rust-web-dev:arm64
        dpkg -x libstd-rust-web-dev_*_arm64.deb std
        cp -r std/usr/lib/rustlib/aarch64-unknown-linux-gnu "$(rustc --print sysroot)/lib/rustlib/"
        rm -rf std ./*.deb
        apt-get clean
        rm -rf /var/lib/apt/lists/*
    ' > "$work/log" 2>&1 || { tail "$work/log" >&2; return 1; }
    certificates "$root"
    tar -C "$root" -c . | "$docker" import --change "ENV CARGO_HOME=/usr/local/cargo" - tacit/base-build > /dev/null
}

run_base() {
    local architecture=$1 root=$work/$1
    mkdir -p "$root/etc" "$root/tmp"
    chmod 1777 "$root/tmp"
    "$docker" run --rm --network host --volume "$root:/root-of-base" tacit/base-build bash -c "
        set -e
        cd \$(mktemp -d)
        apt-get update -qq
        apt-get download -qq libc6:$architecture libgcc-s1:$architecture
        for package in *.deb; do dpkg -x \$package /root-of-base; done
    " > "$work/log" 2>&1 || { tail "$work/log" >&2; return 1; }
    rm -rf "${root:?}/usr/share"
    printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n' > "$root/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' > "$root/etc/group"
    certificates "$root"
    printf 'FROM scratch\nCOPY . /\nUSER 65532\n' > "$work/Dockerfile"
    DOCKER_BUILDKIT=1 "$docker" build --quiet --platform "linux/$architecture" --file "$work/Dockerfile" \
        --tag "tacit/base-run-$architecture" "$root" > /dev/null
}

if missing tacit/base-build; then build_base; fi
for architecture in amd64 arm64; do
    if missing "tacit/base-run-$architecture"; then run_base "$architecture"; fi
done
