#!/bin/sh
# psql: scripts, backslash commands, \copy, and reads of stream tables by the simple protocol.
set -u
psql --version
# The process id in a notification is the backend's own.
ask() { psql -X --no-psqlrc -v ON_ERROR_STOP=0 "$@" 2>&1 | sed 's/process with PID [0-9]*/process/'; }

ask <<'SQL'
\set VERBOSITY verbose
SELECT * FROM kinds ORDER BY id;
SELECT * FROM extremes ORDER BY id;
SELECT * FROM documents ORDER BY id;
\x auto
SELECT * FROM every_kind WHERE id = 3;
\x off
\pset null (null)
SELECT 1 AS a; SELECT 2 AS b;
SELECT 1\; SELECT 2\; SELECT 1/0\; SELECT 3;
SELECT 'unterminated;
';
SELEC 1;
SELECT * FROM nowhere;
INSERT INTO kinds (id) VALUES (1);
DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning' USING DETAIL = 'its detail', HINT = 'its hint'; END $$;
SET client_min_messages = debug1;
CREATE TABLE IF NOT EXISTS scratch (id int);
RESET client_min_messages;
;

BEGIN;
INSERT INTO scratch VALUES (1, 'a', 1.5, '2024-01-01 00:00+00');
SAVEPOINT one;
INSERT INTO scratch VALUES (1, 'twice', 1, NULL);
SELECT 1;
ROLLBACK TO one;
SELECT count(*) FROM scratch_totals;
COMMIT;
SELECT * FROM scratch_totals;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT count(*) FROM customer_totals;
INSERT INTO scratch VALUES (2);
COMMIT;
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1/0;
SELECT 'goes on';
COMMIT;
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT off
INSERT INTO scratch VALUES (3, 'later', 2, NULL);
SELECT * FROM scratch_totals ORDER BY label;
ROLLBACK;
\set AUTOCOMMIT on
SELECT * FROM scratch_totals ORDER BY label;
\set FETCH_COUNT 100
SELECT id, customer_id, amount FROM orders ORDER BY id LIMIT 250;
SELECT id, spent FROM customer_totals ORDER BY id LIMIT 250;
\set FETCH_COUNT 0
SELECT repeat('x', 3000000) \g /dev/null
SELECT length(repeat('x', 30000000));
SQL

ask <<'SQL'
\d
\d+ customers
\d orders
\d customer_totals
\d+ customer_totals
\dt
\dv
\dv+ country_totals
\di
\ds
\dn+
\df pgtrickle.create_stream_table
\dp orders
\du
\l app
\dy
\dRp
\dx
\dT
\ddp
\sv customer_totals
\dconfig weir.*
\encoding
SELECT * FROM customer_totals WHERE id = 7 \gdesc
SELECT country, vip, count(*) FROM customers GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
SELECT 'SELECT ' || n FROM generate_series(1, 3) AS n \gexec
SELECT spent AS total, orders AS amount FROM customer_totals WHERE id = 7 \gset got_
\echo :got_total :got_amount
SELECT :'got_total'::numeric * 2;
\if :{?got_total}
\echo set
\endif
\errverbose
SELECT * FROM customer_totals WHERE spent / 0 > 1;
\errverbose
PREPARE point (int) AS SELECT name, spent FROM customer_totals WHERE id = $1;
EXECUTE point(1);
EXECUTE point(2);
DEALLOCATE point;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, spent FROM customer_totals ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
MOVE ABSOLUTE 100 IN c;
FETCH c;
CLOSE c;
COMMIT;
LISTEN news;
NOTIFY news, 'hello';
SELECT 1;
UPDATE customer_totals SET spent = 0;
DELETE FROM every_kind;
INSERT INTO order_lines VALUES (1);
TRUNCATE customer_totals;
\copy customer_totals FROM '/dev/null'
SET SESSION AUTHORIZATION pg_read_all_data;
SELECT count(*) FROM customer_totals;
RESET SESSION AUTHORIZATION;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SET bytea_output = 'escape';
SET extra_float_digits = 0;
SELECT * FROM every_kind ORDER BY id;
RESET ALL;
SELECT * FROM every_kind ORDER BY id;
SET client_encoding = 'LATIN1';
SELECT short FROM every_kind WHERE id = 3;
RESET client_encoding;
EXPLAIN (COSTS off) SELECT 1;
SQL

ask <<'SQL'
\copy orders TO 'orders.copy'
\copy (SELECT * FROM customer_totals ORDER BY id) TO 'totals.csv' (FORMAT csv, HEADER)
\copy kinds TO 'kinds.bin' (FORMAT binary)
CREATE TABLE orders2 (LIKE orders);
\copy orders2 FROM 'orders.copy'
SELECT count(*), sum(amount) FROM orders2;
CREATE TABLE kinds2 (LIKE kinds);
\copy kinds2 FROM 'kinds.bin' (FORMAT binary)
SELECT count(*) FROM kinds2;
COPY scratch FROM STDIN;
100	copied	1.25	2024-05-05 00:00+00
101	copied	2.50	\N
\.
SELECT * FROM scratch_totals ORDER BY label;
COPY scratch FROM STDIN;
102	broken
\.
COPY scratch FROM STDIN (FORMAT csv);
100,duplicate,1,
\.
SELECT * FROM scratch_totals ORDER BY label;
COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 3) TO STDOUT;
\copy (SELECT * FROM every_kind ORDER BY id) TO 'every.bin' (FORMAT binary)
\copy (SELECT * FROM every_kind ORDER BY id) TO 'every.csv' WITH CSV HEADER FORCE QUOTE *
\copy (SELECT * FROM every_document ORDER BY id) TO 'every.txt' (DELIMITER '|', NULL 'nil')
\copy (SELECT nope FROM customer_totals) TO 'nothing'
SELECT lo_from_bytea(4711, '\x00ff10');
\lo_list
\lo_export 4711 large
\lo_unlink 4711
\lo_export 4711 nowhere
SQL
cksum < orders.copy
cksum < totals.csv
cksum < kinds.bin
cksum < every.bin
cksum < every.csv
cksum < every.txt
cksum < large
ask -c 'SELECT 1; SELECT 2' -c 'SELECT 1/0; SELECT 3' -c 'SELECT 4'
ask -1 -c 'INSERT INTO scratch VALUES (200)' -c 'SELECT 1/0'
ask -c 'SELECT count(*) FROM scratch WHERE id = 200'
ask -At -F, -c 'TABLE country_totals ORDER BY country'
ask --csv -c 'TABLE country_totals ORDER BY country'
ask -H -c 'TABLE country_totals ORDER BY country'

# Reads that keep coming, as an application's would; each text twelve times.
repeated() {
    label=$1 sql=$2
    {
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
            echo "$sql;"
            echo '\! sleep 0.01'
        done
        if [ -n "${WEIR_ROUTES:-}" ]; then
            echo "\\o |sed 's/^/$label\\t/' >> $WEIR_ROUTES"
            echo 'SHOW weir.last_route;'
            echo '\o'
        fi
    } | ask -At | uniq -c
}
repeated point 'SELECT name, orders, spent FROM customer_totals WHERE id = 17'
repeated in 'SELECT id, spent FROM customer_totals WHERE id IN (3, 5, 8) ORDER BY id'
repeated any "SELECT id, spent FROM customer_totals WHERE id = ANY('{3,5,8}') ORDER BY id"
repeated top 'SELECT id, name, spent FROM customer_totals ORDER BY spent DESC, id LIMIT 5'
repeated join 'SELECT t.id, t.spent, c.spent FROM customer_totals t JOIN country_totals c ON c.country = t.country WHERE t.id < 5 ORDER BY t.id'
repeated aggregate 'SELECT count(*), sum(spent) FROM customer_totals'
repeated range "SELECT count(*), sum(amount) FROM order_lines WHERE placed >= '2024-01-05' AND placed < '2024-01-12'"
repeated text "SELECT id, spent FROM customer_totals WHERE country = 'JP' ORDER BY id LIMIT 3"
repeated kinds 'SELECT * FROM every_kind ORDER BY id'
repeated extremes 'SELECT * FROM every_extreme ORDER BY id'
repeated documents 'SELECT * FROM every_document ORDER BY id'
repeated 'like' "SELECT count(*) FROM customer_totals WHERE name LIKE 'customer 1%'"
repeated page 'SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5 OFFSET 10'
repeated 'group' 'SELECT country, max(spent) FROM customer_totals GROUP BY country ORDER BY country'
