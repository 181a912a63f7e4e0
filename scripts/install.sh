#!/bin/sh
# Builds autobot and installs it. Installs what that needs with the system's
# package manager, and asks for root only if something is missing.
#
#   scripts/install.sh [--prefix DIR] [--demo [--once]]
set -eu

NEEDED_RUST=1.95
LINKS='create-autobot create-autobot-master create-autobot-slave create-autobot-project parse-autobot-config'
BUILDBOT_LINKS='buildbot buildslave'

usage() {
    cat <<USAGE
Usage: scripts/install.sh [--prefix DIR] [--demo [--once]]

  --prefix DIR   where to install [default: /usr/local for root, else ~/.local]
  --demo         then show autobot at work
  --once         stop the demo at its end
USAGE
}

say() {
    printf '%s\n' "install: $*"
}

fail() {
    printf '%s\n' "install: error: $*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo; as root, run: $*"
    fi
}

prefix=
demo=
once=
while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --demo) demo=yes ;;
        --once) once=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done
if [ -n "$once" ] && [ -z "$demo" ]; then
    usage >&2
    exit 2
fi
if [ -z "$prefix" ]; then
    if [ "$(id -u)" -eq 0 ]; then
        prefix=/usr/local
    else
        prefix=${HOME:?}/.local
    fi
fi
case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
source_dir=$(cd "$(dirname "$0")/.." && pwd)

# --- what building needs ------------------------------------------------------

# A C compiler and its headers: they build the database that is part of the program.
c_works() {
    try=$(mktemp -d)
    echo '#include <stdio.h>
int main(void) { return puts("") < 0; }' >"$try/a.c"
    works=no
    if cc -o "$try/a" "$try/a.c" >/dev/null 2>&1; then
        works=yes
    fi
    rm -rf "$try"
    [ "$works" = yes ]
}

# Rust's own installer puts cargo here, which a fresh shell's PATH may not have.
find_cargo() {
    if ! has cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        export PATH
    fi
}

rust_is_new_enough() {
    find_cargo
    has cargo && has rustc || return 1
    version=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$version" ] || return 1
    oldest=$(printf '%s\n%s\n' "$NEEDED_RUST" "$version" | sort -t. -k1,1n -k2,2n | head -n 1)
    [ "$oldest" = "$NEEDED_RUST" ]
}

# Names the missing packages as Debian calls them.
missing_packages() {
    c_works || echo gcc libc6-dev
    has pkg-config || echo pkg-config
    pkg-config --exists openssl 2>/dev/null || echo libssl-dev
    has git || echo git
    has make || echo make
    rust_is_new_enough || {
        has curl || echo curl
        [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs ] || echo ca-certificates
    }
}

# The same packages under the names of another system.
translated() {
    for package in "$@"; do
        case $manager:$package in
            dnf:libc6-dev) echo glibc-devel ;;
            dnf:libssl-dev) echo openssl-devel ;;
            pacman:libssl-dev) echo openssl ;;
            zypper:libssl-dev) echo libopenssl-devel ;;
            apk:libssl-dev) echo openssl-dev ;;
            dnf:pkg-config) echo pkgconf-pkg-config ;;
            pacman:libc6-dev) echo glibc ;;
            pacman:pkg-config) echo pkgconf ;;
            zypper:libc6-dev) echo glibc-devel ;;
            apk:libc6-dev) echo musl-dev ;;
            apk:pkg-config) echo pkgconf ;;
            *) echo "$package" ;;
        esac
    done
}

install_packages() {
    manager=
    for candidate in apt-get dnf zypper pacman apk; do
        if has "$candidate"; then
            manager=$candidate
            break
        fi
    done
    # shellcheck disable=SC2046 # each word is a package
    set -- $(translated "$@")
    say "installing $*"
    case $manager in
        apt-get)
            as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -q -y --no-install-recommends "$@"
            ;;
        dnf) as_root dnf install -q -y "$@" ;;
        zypper) as_root zypper --non-interactive install "$@" ;;
        pacman) as_root pacman -S --needed --noconfirm "$@" ;;
        apk) as_root apk add "$@" ;;
        *) fail "no package manager is known here; install these first: $*" ;;
    esac
}

missing=$(missing_packages)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # each word is a package
    install_packages $missing
fi

# Distributions that are older than the Rust we need get it from its makers.
if ! rust_is_new_enough; then
    say "installing Rust (at least $NEEDED_RUST) into ${CARGO_HOME:-$HOME/.cargo} with rustup"
    if has rustup; then
        rustup toolchain install --profile minimal stable
        rustup default stable
    else
        rustup_script=$(mktemp)
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o "$rustup_script"
        sh "$rustup_script" -y -q --profile minimal --no-modify-path
        rm -f "$rustup_script"
    fi
    rust_is_new_enough || fail "Rust $NEEDED_RUST or newer is needed, and still not there"
fi

# --- build --------------------------------------------------------------------

# OpenSSL goes into the program where the system has it in that form: the program is also
# brought to hosts that may have none, and each command starts a small process of it.
static_openssl() {
    has pkg-config || return 0
    archive=$("${CC:-cc}" -print-file-name=libcrypto.a 2>/dev/null) || return 0
    [ -f "$archive" ] || return 0
    OPENSSL_STATIC=1
    OPENSSL_LIB_DIR=$(dirname "$archive")
    OPENSSL_INCLUDE_DIR=$(pkg-config --variable=includedir openssl)
    export OPENSSL_STATIC OPENSSL_LIB_DIR OPENSSL_INCLUDE_DIR
}

static_openssl
say "building"
cd "$source_dir"
cargo build --release --locked --bin autobot
target=${CARGO_TARGET_DIR:-$source_dir/target}
program=$target/release/autobot
[ -x "$program" ] || fail "cargo left no $program"

# --- install ------------------------------------------------------------------

say "installing into $prefix"
bin=$prefix/bin
share=$prefix/share/autobot
man=$prefix/share/man/man1
mkdir -p "$bin" "$share" "$man" \
    "$prefix/share/bash-completion/completions" \
    "$prefix/share/zsh/site-functions" \
    "$prefix/share/fish/vendor_completions.d" ||
    fail "$prefix cannot be written; choose another with --prefix"

# Beside first, then renamed: a running master keeps the program it has.
cp "$program" "$bin/.autobot.new"
chmod 755 "$bin/.autobot.new"
mv -f "$bin/.autobot.new" "$bin/autobot"
for link in $LINKS; do
    ln -sf autobot "$bin/$link"
done
# Under Buildbot's names only where nobody else has them.
for link in $BUILDBOT_LINKS; do
    other=$(command -v "$link" 2>/dev/null || true)
    if [ -L "$bin/$link" ] && [ "$(readlink "$bin/$link")" = autobot ]; then
        continue
    elif [ -n "$other" ] || [ -e "$bin/$link" ]; then
        say "leaving $link alone: there is ${other:-$bin/$link}"
    else
        ln -s autobot "$bin/$link"
    fi
done

# Replaces an installed directory, so that what is gone here goes there too.
put_directory() {
    if [ -d "$1" ]; then
        rm -rf "$2.new"
        mkdir -p "$2.new"
        cp -R "$1/." "$2.new/"
        rm -rf "$2"
        mv "$2.new" "$2"
    fi
}
put_directory factories "$share/factories"
put_directory share/templates "$share/templates"
put_directory config "$share/examples"

"$bin/autobot" completions bash >"$prefix/share/bash-completion/completions/autobot"
"$bin/autobot" completions zsh >"$prefix/share/zsh/site-functions/_autobot"
"$bin/autobot" completions fish >"$prefix/share/fish/vendor_completions.d/autobot.fish"
"$bin/autobot" man "$man"

# --- what next ----------------------------------------------------------------

say "$("$bin/autobot" --version) is installed"
case :$PATH: in
    *":$bin:"*) ;;
    *) say "put $bin on your PATH:  export PATH=$bin:\$PATH" ;;
esac
if [ -n "$demo" ]; then
    if [ -n "$once" ]; then
        exec "$bin/autobot" demo --once
    fi
    exec "$bin/autobot" demo
fi
cat <<NEXT

What next:
  autobot demo                          see it at work, in ten seconds
  create-autobot --list-factories       what it can build
  create-autobot -f NAME DIR            make a master and a slave
  autobot start DIR                     start them
NEXT
