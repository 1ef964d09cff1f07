#!/bin/sh
# psql in the hands of somebody who presses Ctrl-C: a running statement, a \watch, a COPY.
set -u
psql --version
# Presses Ctrl-C as soon as the condition (the rest of the arguments) holds. psql says from its signal handler that it asked
# for the cancel, before or after the server's answer: the lines are sorted.
interrupt_when() {
    until "$@"; do sleep 0.1; done
    kill -INT "$pid"
    wait "$pid"
    sort -u out
}
start() {
    PGAPPNAME=interrupted psql -X --no-psqlrc -At "$1" "$2" >out 2>&1 &
    pid=$!
}
is_running() {
    [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'interrupted' AND state = 'active'")" = 1 ]
}
has_shown() { grep -q '|' out; }

start -c 'SELECT pg_sleep(60)'
interrupt_when is_running
start -c "COPY (SELECT pg_sleep(0.05), n FROM generate_series(1, 10000) AS n) TO '/dev/null'"
interrupt_when is_running
# How often it was shown depends on the moment; the line with the time of day is left out.
cat > watch.sql <<'SQL'
SELECT id, spent FROM customer_totals WHERE id = 17 \watch 0.05
SQL
start -f watch.sql
interrupt_when has_shown | grep '|'
# The session goes on after a cancel.
cat > cancel.sql <<'SQL'
SET statement_timeout = 200;
SELECT pg_sleep(60);
SELECT 'after';
SELECT spent FROM customer_totals WHERE id = 17;
BEGIN;
SELECT pg_sleep(60);
SELECT 'failed block';
ROLLBACK;
SELECT spent FROM customer_totals WHERE id = 17;
SQL
psql -X --no-psqlrc -At -f cancel.sql 2>&1
# What was cancelled has ended, and nothing is left open.
psql -X --no-psqlrc -At -c "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid() AND state = 'active'"
