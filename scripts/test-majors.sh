#!/bin/sh
# The tests that talk to a server, against the other supported majors (PG_MAJOR; fetched on first use), with the given
# weir binary. Every major is run, whatever the one before answered. Left out: what holds no matter which server it is
# (the harness itself), and the long random walks, which run on the installed major; but 18 gets all of the oracle fuzzer.
set -u
WEIR_BINARY=$1
export WEIR_BINARY
# Thousands of rounds per major would take a day.
unset WEIR_LONG

SUITES='array_subqueries capture maintain planning consistency cursors domains dropped_errors errors failure hidden_views known_bugs large_reads
    float_statistics jsonpath letters literals looks opaque_columns opening partitions read_your_writes rows session sql_functions sums table_functions transactions
    unseen_errors views_over whole_rows windows wire_forward'
selection=
for suite in $SUITES; do selection="$selection --test $suite"; done

failed=
for major in ${MAJORS:-14 16 17 18}; do
    echo "--- Postgres $major"
    if cargo nextest --version >/dev/null 2>&1; then
        # shellcheck disable=SC2086
        PG_MAJOR=$major cargo nextest run --workspace $selection --no-fail-fast || failed="$failed $major"
    else
        # shellcheck disable=SC2086
        PG_MAJOR=$major cargo test --workspace $selection --no-fail-fast -- --test-threads 2 || failed="$failed $major"
    fi
    if [ "$major" = 18 ]; then
        PG_MAJOR=18 WEIR_LONG=1 cargo test -p weir-tests --test oracle_fuzz || failed="$failed $major(oracle_fuzz)"
    fi
done
[ -z "$failed" ] || { echo "failed on Postgres$failed" >&2; exit 1; }
