#!/bin/sh
# psql in the hands of somebody who presses Ctrl-C: a running statement, a \watch, a COPY.
set -u
psql --version
# psql says that it asked for the cancel from its signal handler: before or after the server's answer.
interrupted() { timeout -s INT "$1" psql -X --no-psqlrc -At "$2" "$3" 2>&1 | sort; }

interrupted 1 -c 'SELECT pg_sleep(60)'
interrupted 1 -c "COPY (SELECT pg_sleep(0.05), n FROM generate_series(1, 10000) AS n) TO '/dev/null'"
# How often it was shown depends on the moment; the line with the time of day is left out.
cat > watch.sql <<'SQL'
SELECT id, spent FROM customer_totals WHERE id = 17 \watch 0.05
SQL
interrupted 2 -f watch.sql | grep '|' | sort -u
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
