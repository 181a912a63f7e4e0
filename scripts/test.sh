#!/bin/sh
# Everything that is checked, the same here and in continuous integration:
# form, lints, docs, tests, and a fresh installation with the demo.
#
# AUTOBOT_TEST_FULL=1 walks through all of what is usually walked through in part: each seed of the
# simulation, each way in which each command of a poll fails, and ten thousand commits of each kind.
set -eu

cd "$(dirname "$0")/.."
cache=${AUTOBOT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/autobot-test}
if [ "${CI:-}" = true ]; then
    # Checkouts come and go; what was compiled stays.
    CARGO_TARGET_DIR=${AUTOBOT_TARGET_DIR:-$HOME/.cache/autobot-target}
    export CARGO_TARGET_DIR
fi

say() {
    printf '\n%s\n' "==> $*"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# --- what the checks need -----------------------------------------------------

install_packages() {
    missing=
    for pair in git:git hg:mercurial svn:subversion cvs:cvs bzr:brz darcs:darcs make:make gcc:gcc python3:python3 curl:curl \
        dpkg-source:dpkg-dev pkg-config:pkg-config help2man:help2man makeinfo:texinfo \
        chromium:chromium lynx:lynx xmllint:libxml2-utils pgrep:procps openssl:openssl valgrind:valgrind virtualenv:python3-virtualenv \
        ssh-agent:openssh-client prove:perl patch:patch cmake:cmake ninja:ninja-build meson:meson \
        go:golang-go npm:npm mvn:maven gradle:gradle javac:default-jdk-headless; do
        has "${pair%%:*}" || missing="$missing ${pair#*:}"
    done
    # What Maven needs to compile and test without fetching anything.
    for plugin in compiler resources surefire; do
        [ -d "/usr/share/maven-repo/org/apache/maven/plugins/maven-$plugin-plugin" ] ||
            case $plugin in
                surefire) missing="$missing libsurefire-java" ;;
                *) missing="$missing libmaven-$plugin-plugin-java" ;;
            esac
    done
    [ -e /usr/share/java/junit4.jar ] || missing="$missing junit4"
    python3 -c 'import aiosmtpd' 2>/dev/null || missing="$missing python3-aiosmtpd"
    /usr/bin/python3 -c 'import croniter' 2>/dev/null || missing="$missing python3-croniter"
    # Long histories for Bazaar are imported.
    /usr/bin/python3 -c 'import fastimport' 2>/dev/null || missing="$missing python3-fastimport"
    # No user's path has them.
    [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
    [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
    pkg-config --exists openssl 2>/dev/null || missing="$missing libssl-dev"
    [ -n "$missing" ] || return 0
    has apt-get || { echo "install these first:$missing" >&2; exit 1; }
    say "installing$missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    # shellcheck disable=SC2086 # each word is a package
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing libc6-dev
}

# Rust's own tools, if its installer is there to add them.
install_rust_parts() {
    if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
        export PATH
    fi
    for part in fmt clippy; do
        if ! cargo "$part" --version >/dev/null 2>&1; then
            case $part in
                fmt) rustup component add rustfmt ;;
                *) rustup component add "$part" ;;
            esac
        fi
    done
}

# Writes to $1 the lists that the system has, with sources beside programs.
write_source_lists() {
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$list" ] || continue
        sed -n 's/^deb\(\( \[[^]]*\]\)\{0,1\} .*\(debian\|ubuntu\).*\)$/deb-src\1/p' "$list"
    done >"$1/sources.list"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ -f "$list" ] || continue
        # Others' archives (an editor, a cloud) have no sources and are left out.
        awk 'BEGIN { RS = ""; ORS = "\n\n" } /URIs:[^\n]*(debian|ubuntu)/' "$list" |
            sed 's/^Types:.*/Types: deb-src/'
    done >"$1/all.sources"
}

# GNU hello as Debian ships it: a project that is not ours to build. It is
# fetched once and kept outside the checkout.
fetch_hello() {
    if [ -n "${AUTOBOT_TEST_HELLO:-}" ]; then
        return 0
    fi
    tree=$cache/hello
    if [ ! -x "$tree/configure" ]; then
        say "fetching the source of GNU hello"
        work=$cache/hello-work
        rm -rf "$work" "$tree"
        mkdir -p "$work/lists.d" "$work/state/lists/partial" "$work/cache/archives/partial"
        write_source_lists "$work"
        mv "$work/all.sources" "$work/lists.d/"
        # A place of its own, so that neither root nor the system's lists are needed.
        cat >"$work/apt.conf" <<CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "$work/lists.d";
Dir::State::Lists "$work/state/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "";
Acquire::Languages "none";
CONF
        # A tree that did not arrive whole must not be found by the next run.
        if (
            cd "$work" &&
                APT_CONFIG=$work/apt.conf apt-get update -q &&
                APT_CONFIG=$work/apt.conf apt-get source -q --only-source hello
        ); then
            mv "$work"/hello-*/ "$tree"
            rm -rf "$work"
        else
            echo "the source of GNU hello cannot be fetched; set AUTOBOT_TEST_HELLO to a tree" >&2
            exit 1
        fi
    fi
    AUTOBOT_TEST_HELLO=$tree
    export AUTOBOT_TEST_HELLO
}

# Tools of Python projects, in an environment of their own outside the checkout: made
# once, and again when the list changes.
install_tools() {
    if [ -n "${AUTOBOT_TEST_TOOLS:-}" ]; then
        return 0
    fi
    tools=$cache/tools
    wanted="twisted==26.10.0 pylint==4.1.4 pyflakes==4.1.0 sphinx python-subunit==1.4.6 buildbot==4.3.0 buildbot-worker==4.3.0 pytest==9.2.0 tox==4.67.13"
    if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
        say "installing Python tools: $wanted"
        rm -rf "$tools"
        virtualenv -q "$tools"
        # shellcheck disable=SC2086 # each word is a package
        "$tools/bin/pip" install -q $wanted
        # Said last: half of an environment is made anew.
        echo "$wanted" >"$tools/installed"
    fi
    AUTOBOT_TEST_TOOLS=$tools
    export AUTOBOT_TEST_TOOLS
}

# Buildbot's slaves of other ages, each for the Python of its time. Where that is not to be had, the
# tests of it say so.
install_old_slaves() {
    if [ -n "${AUTOBOT_TEST_OLD_SLAVES:-}" ]; then
        return 0
    fi
    slaves=$cache/old-slaves
    mkdir -p "$slaves"
    python=$(find_python 3.7) && {
        wanted="$python twisted==20.3.0 buildbot-worker==0.9.15"
        if [ "$(cat "$slaves/0.9/installed" 2>/dev/null)" != "$wanted" ]; then
            say "installing for $wanted"
            rm -rf "$slaves/0.9"
            "$python" -m venv "$slaves/0.9"
            # shellcheck disable=SC2086 # each word but the first is a package
            "$slaves/0.9/bin/pip" install -q ${wanted#* }
            echo "$wanted" >"$slaves/0.9/installed"
        fi
    }
    python=$(find_python 2.7) && {
        wanted="$python twisted==15.5.0 buildbot-slave==0.8.14"
        # Its command is run, not its master: most of what it asks for is not needed.
        alone="buildbot==0.8.14 sqlalchemy==0.7.10"
        if [ "$(cat "$slaves/0.8/installed" 2>/dev/null)" != "$wanted $alone" ]; then
            say "installing for $wanted $alone"
            rm -rf "$slaves/0.8"
            # shellcheck disable=SC2086 # each word but the first is a package
            "$python" -m pip install -q --target "$slaves/0.8/lib" ${wanted#* } 2>"$slaves/0.8.log" ||
                { cat "$slaves/0.8.log" >&2; exit 1; }
            # shellcheck disable=SC2086 # each word is a package
            "$python" -m pip install -q --no-deps --target "$slaves/0.8/lib" $alone 2>"$slaves/0.8.log" ||
                { cat "$slaves/0.8.log" >&2; exit 1; }
            # Else only an installation for the whole system finds it.
            touch "$slaves/0.8/lib/zope/__init__.py"
            ln -s "$python" "$slaves/0.8/python"
            echo "$wanted $alone" >"$slaves/0.8/installed"
        fi
    }
    AUTOBOT_TEST_OLD_SLAVES=$slaves
    export AUTOBOT_TEST_OLD_SLAVES
}

# Prints the path of a Python of this version, of the system or of pyenv, that can install packages.
find_python() {
    for found in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1"; do
        # What pyenv puts in the path is a word only.
        if [ -x "$found" ] && "$found" -m pip --version >/dev/null 2>&1; then
            echo "$found"
            return 0
        fi
    done
    echo "no Python $1 is here: slaves of Buildbot that need it are not tested" >&2
    return 1
}

# What looks at pages as everybody may have them: a checker of accessibility and one of HTML.
install_npm_tools() {
    if [ -n "${AUTOBOT_TEST_NPM:-}" ]; then
        return 0
    fi
    tools=$cache/npm
    wanted="axe-core@4.14.1 vnu-jar@26.9.27"
    if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
        say "installing checkers of pages: $wanted"
        rm -rf "$tools"
        mkdir -p "$tools"
        # shellcheck disable=SC2086 # each word is a package
        npm install --prefix "$tools" --no-save --no-audit --no-fund --ignore-scripts --silent $wanted
        echo "$wanted" >"$tools/installed"
    fi
    AUTOBOT_TEST_NPM=$tools
    export AUTOBOT_TEST_NPM
}

install_packages
install_rust_parts
mkdir -p "$cache"
fetch_hello
install_tools
install_old_slaves
install_npm_tools

# --- the checks ---------------------------------------------------------------

say "cargo fmt"
cargo fmt --check

say "cargo clippy"
cargo clippy --all-targets --locked -- -D warnings

say "cargo doc"
RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --document-private-items

say "tests; pictures of all pages come into ${CARGO_TARGET_DIR:-target}/tmp/pictures"
if cargo nextest --version >/dev/null 2>&1; then
    # Most of them wait for others most of the time.
    NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$(($(nproc) * 2))}
    export NEXTEST_TEST_THREADS
    cargo nextest run --locked
else
    cargo test --locked
fi

say "instructions of the hot parts, beside what they were"
cargo test --locked --quiet --bench instructions

say "a fresh installation, and the demo"
# What the optimiser and the linker's last look at the whole program bring is for users, and
# takes minutes.
CARGO_PROFILE_RELEASE_OPT_LEVEL=0
CARGO_PROFILE_RELEASE_LTO=off
CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_PROFILE_RELEASE_LTO CARGO_PROFILE_RELEASE_CODEGEN_UNITS
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
scripts/install.sh --prefix "$prefix" --demo --once

say "all is well"
