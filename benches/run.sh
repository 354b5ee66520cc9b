#!/bin/sh
# `make bench`: builds, installs nginx where it is missing (Debian), and runs benches/load. Arguments are passed on, such as
# `--rounds 3`, `--window-ms 500`, `--only burst`.
set -eu
cd "$(dirname "$0")/.."

cores=$(nproc)
if [ "$cores" -lt 2 ]; then
    echo "two cores are needed: one for the gateway, one for the load" >&2
    exit 1
fi
if ! command -v nginx >/dev/null 2>&1; then
    # Only the program is wanted, not a service on port 80.
    (apt-get update && RUNLEVEL=1 apt-get install -y --no-install-recommends nginx-light) >&2 || {
        echo "nginx could not be installed: install it and run this again" >&2
        exit 1
    }
fi

target=${CARGO_TARGET_DIR:-target}
cargo build --release --bin agp
# The load generator needs nothing but the standard library: this way it does not build the gateway a second time.
mkdir -p "$target/bench"
rustc --edition 2024 -C opt-level=3 --crate-name load -o "$target/bench/load" benches/load/main.rs

gateway_core=${BENCH_GATEWAY_CORE:-0}
load_core=${BENCH_LOAD_CORE:-1}
exec taskset -c "$load_core" "$target/bench/load" \
    --agp "$target/release/agp" --nginx "$(command -v nginx)" --gateway-core "$gateway_core" "$@"
