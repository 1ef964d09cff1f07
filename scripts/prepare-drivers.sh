#!/bin/sh
# Installs the client drivers of the driver matrix (tests/drivers) in pinned versions into a cache directory outside the
# clone, and builds the programs that must be compiled. What is there already is kept.
set -eu
cd "$(dirname "$0")/.."
CACHE=${WEIR_DRIVERS_CACHE:-$HOME/.cache/weir-drivers}
HERE=$PWD/tests/drivers
mkdir -p "$CACHE"

have() { command -v "$1" >/dev/null 2>&1; }

missing=
python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
have node || missing="$missing nodejs"
have npm || missing="$missing npm"
have javac || missing="$missing default-jdk-headless"
have pgbench || ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 || missing="$missing postgresql"
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    echo "installing:$missing"
    # shellcheck disable=SC2086
    $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 $missing >/dev/null
fi

# A step is done again when what it is made from has changed.
step() {
    name=$1 made_from=$2
    shift 2
    mark=$CACHE/$name.done
    if [ ! -e "$mark" ] || [ "$(cat "$mark")" != "$made_from" ]; then
        echo "preparing $name"
        "$@"
        echo "$made_from" >"$mark"
    fi
}

python_packages() {
    [ -x "$CACHE/python/bin/python" ] || python3 -m venv "$CACHE/python"
    "$CACHE/python/bin/pip" install --quiet --disable-pip-version-check -r "$HERE/python/requirements.txt"
}

# The tests of a driver come with its source distribution only.
suites() {
    mkdir -p "$CACHE/suites"
    for package in psycopg2==2.9.13 asyncpg==0.32.0; do
        "$CACHE/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
            -d "$CACHE/suites" "$package"
        rm -rf "$CACHE/suites/${package%%=*}"
        mkdir "$CACHE/suites/${package%%=*}"
        tar -xzf "$CACHE/suites/$(echo "$package" | sed 's/==/-/').tar.gz" --strip-components 1 \
            -C "$CACHE/suites/${package%%=*}"
    done
}

node_packages() {
    mkdir -p "$CACHE/node"
    cp "$HERE/node/package.json" "$CACHE/node/"
    (cd "$CACHE/node" && npm install --silent --no-audit --no-fund --no-package-lock)
}

# pgjdbc is taken out of Debian's package without installing that.
java_program() {
    rm -rf "$CACHE/java"
    mkdir -p "$CACHE/java/jars" "$CACHE/java/classes" "$CACHE/java/package"
    (cd "$CACHE/java/package" && apt-get download -qq libpostgresql-jdbc-java 2>/dev/null && dpkg-deb -x ./*.deb .)
    cp -L "$CACHE/java/package/usr/share/java/postgresql.jar" "$CACHE/java/jars/"
    javac -cp "$CACHE/java/jars/*" -d "$CACHE/java/classes" "$HERE/java/UseJdbc.java"
}

rust_programs() {
    CARGO_TARGET_DIR=$CACHE/rust cargo build --quiet --release --manifest-path "$HERE/rust/Cargo.toml"
}

step python "$(cat "$HERE/python/requirements.txt")" python_packages
step suites "psycopg2==2.9.13 asyncpg==0.32.0" suites
step node "$(cat "$HERE/node/package.json")" node_packages
step java "$(cksum <"$HERE/java/UseJdbc.java")" java_program
step rust "$(cat "$HERE"/rust/Cargo.toml "$HERE"/rust/src/*.rs | cksum)" rust_programs
