#!/bin/sh
# Builds a fuzz target with the compiler that the project has, and runs it on its corpus, which
# begins with what the repository holds: fuzz/run.sh TARGET [OPTION...], where options are
# libFuzzer's, such as -max_total_time=300. No nightly and no cargo-fuzz is needed.
set -eu

fuzz=$(cd "$(dirname "$0")" && pwd)
target=$1
shift

# What libFuzzer looks at to see where an input led, without a sanitizer of addresses: there is no
# unsafe code to watch. Overflows and broken invariants panic.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Coverflow-checks"

# With a target of its own, programs that build the project are not looked at.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --manifest-path "$fuzz/Cargo.toml" --release --locked --target "$host" --bin "$target"
program=${CARGO_TARGET_DIR:-$fuzz/target}/$host/release/$target
mkdir -p "$fuzz/artifacts"
set -- -artifact_prefix="$fuzz/artifacts/" "$@"

# An input that is named is looked at alone.
for option in "$@"; do
    if [ -f "$option" ]; then
        exec "$program" "$@"
    fi
done

corpus=$fuzz/corpus/$target
mkdir -p "$corpus"
# New inputs go into the first directory.
set -- "$@" "$corpus"
case $target in
wire)
    python3 "$fuzz/recorded.py" "$corpus"
    set -- -dict="$fuzz/wire.dict" "$@"
    ;;
config)
    set -- "$@" "$fuzz/../config" "$fuzz/../factories"
    ;;
esac
exec "$program" "$@"
