#!/bin/sh
# TPC-H data of the given scale factor in the given directory, one CSV file per table, from the dbgen that DuckDB's tpch
# extension contains. Both come from PyPI, in pinned versions that belong together.
set -eu
SCALE=$1
DIRECTORY=$2
CACHE=${WEIR_TPCH_CACHE:-$HOME/.cache/weir-tpch}
DUCKDB=1.5.5
mkdir -p "$CACHE" "$DIRECTORY"

if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 python3-venv >/dev/null
fi
PYTHON=$CACHE/python/bin/python
if [ ! -e "$CACHE/duckdb-$DUCKDB.done" ]; then
    python3 -m venv "$CACHE/python"
    "$CACHE/python/bin/pip" install --quiet --disable-pip-version-check --timeout 15 --retries 3 \
        "duckdb==$DUCKDB" "duckdb-extension-tpch==$DUCKDB"
    touch "$CACHE/duckdb-$DUCKDB.done"
fi
EXTENSION=$(find "$CACHE/python/lib" -name tpch.duckdb_extension)
"$PYTHON" - "$EXTENSION" "$SCALE" "$DIRECTORY" <<'PYTHON'
import sys

import duckdb

extension, scale, directory = sys.argv[1:]
connection = duckdb.connect()
connection.execute(f"LOAD '{extension}'")
connection.execute(f"CALL dbgen(sf = {float(scale)})")
for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
    connection.execute(f"COPY {table} TO '{directory}/{table}.csv' (FORMAT csv, HEADER false)")
PYTHON
