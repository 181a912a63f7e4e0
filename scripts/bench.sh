#!/bin/sh
# autobot beside Buildbot and beside what cannot be undercut, measured in one run, in turn:
#
#   scripts/bench.sh [--without-buildbot] [PART …]
#
# The parts are start, idle, trigger, tiny, log, history, configuration, recovery, polls and slaves;
# all, if none is named. Prints a table, writes it to target/bench.json, and says what has changed since
# benches/baseline.json. With all parts it takes about ten minutes after the build; run it when
# nothing else runs. Everything that is loaded is on this machine, and ends with the run.
set -eu

cd "$(dirname "$0")/.."
cache=${AUTOBOT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/autobot-test}
peer_version=4.3.0

say() {
    printf '%s\n' "bench: $*" >&2
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Buildbot in an environment of its own, made once and again when the version changes.
install_peer() {
    peer=$cache/buildbot
    wanted="buildbot==$peer_version buildbot-worker==$peer_version buildbot-www==$peer_version"
    if [ "$(cat "$peer/installed" 2>/dev/null)" != "$wanted" ]; then
        say "installing $wanted"
        rm -rf "$peer"
        python3 -m venv "$peer" 2>/dev/null || virtualenv -q "$peer"
        # shellcheck disable=SC2086 # each word is a package
        "$peer/bin/pip" install -q $wanted
        echo "$wanted" >"$peer/installed"
    fi
    AUTOBOT_BENCH_BUILDBOT=$peer/bin
    export AUTOBOT_BENCH_BUILDBOT
}

with_peer=yes
if [ "${1:-}" = --without-buildbot ]; then
    with_peer=
    shift
fi
case ${1:-} in
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
esac
[ -z "$with_peer" ] || install_peer
has strace || say "strace is not installed: syncs are not counted"

# As it is installed: scripts/install.sh has OpenSSL in the program where the system has it so.
archive=$("${CC:-cc}" -print-file-name=libcrypto.a 2>/dev/null || true)
if has pkg-config && [ -f "$archive" ]; then
    OPENSSL_STATIC=1
    OPENSSL_LIB_DIR=$(dirname "$archive")
    OPENSSL_INCLUDE_DIR=$(pkg-config --variable=includedir openssl)
    export OPENSSL_STATIC OPENSSL_LIB_DIR OPENSSL_INCLUDE_DIR
fi
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
case $target in
    /*) ;;
    *) target=$PWD/$target ;;
esac
exec cargo bench --locked --bench beside -- \
    --json "$target/bench.json" --baseline "$PWD/benches/baseline.json" "$@"
