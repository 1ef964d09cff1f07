#!/bin/sh
# Installs what a build and a private Postgres need, when it is missing. Debian and Ubuntu.
# With the argument `bench` also the peer that the bench measures, with `browser` the browser that the dashboards are tested in.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

have cargo || PATH="$HOME/.cargo/bin:$PATH"
have cargo || { echo "Rust is needed: https://rustup.rs" >&2; exit 1; }

missing=
have cc || missing="$missing build-essential"
have psql || missing="$missing postgresql-client"
# Certificates of the tests of TLS.
have openssl || missing="$missing openssl"
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! have pg_config; then
    missing="$missing postgresql"
fi
if [ "${1:-}" = bench ] && [ ! -x /usr/sbin/pgbouncer ] && ! have pgbouncer; then
    missing="$missing pgbouncer"
fi
if [ "${1:-}" = browser ] && ! have chromium && ! have chromium-browser && ! have google-chrome; then
    # Ubuntu's chromium is a snap, which starts in no container; its users have one already or install Chrome.
    missing="$missing chromium"
fi
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
echo "installing:$missing"
# The server package would start a cluster of its own; only its programs are wanted.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    $as_root mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
for attempt in 1 2 3; do
    # shellcheck disable=SC2086
    if $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 $missing >/dev/null; then
        # Only the program is wanted of PgBouncer, too; its service would take Weir's default port.
        case "$missing" in
        *pgbouncer*) [ ! -d /run/systemd/system ] || $as_root systemctl disable --now --quiet pgbouncer ;;
        esac
        exit 0
    fi
    echo "apt-get failed (attempt $attempt)" >&2
    sleep 5
done
exit 1
