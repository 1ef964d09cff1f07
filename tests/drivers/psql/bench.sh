#!/bin/sh
# pgbench: its own script and reads of stream tables, in every protocol, with several clients, threads and reconnects.
set -u
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
pgbench --version
counts() { grep -E '^(number of (transactions actually|failed)|query mode|number of (clients|threads))' ; }

pgbench -i -s 1 -q --foreign-keys 2>/dev/null
echo 'SELECT name, spent FROM customer_totals WHERE id = 17;' > constant.sql
printf '%s\n' '\set id random(1, 190)' 'SELECT name, spent FROM customer_totals WHERE id = :id;' > point.sql
printf '%s\n' '\set id random(1, 190)' 'BEGIN;' 'SELECT spent FROM customer_totals WHERE id = :id;' \
    'SELECT spent FROM country_totals;' 'COMMIT;' > block.sql
printf '%s\n' '\set id random(1, 190)' 'INSERT INTO orders (customer_id, amount, quantity, placed) VALUES (:id, 1.00, 1, now());' \
    'SELECT spent FROM customer_totals WHERE id = :id \gset' > write.sql
printf '%s\n' '\startpipeline' 'SELECT spent FROM customer_totals WHERE id = 1;' 'SELECT spent FROM customer_totals WHERE id = 2;' \
    'SELECT 1;' '\endpipeline' > pipeline.sql
for mode in simple extended prepared; do
    pgbench -n -M "$mode" -c 4 -j 2 -t 25 2>&1 | counts
    pgbench -n -M "$mode" -S -c 2 -j 2 -t 50 2>&1 | counts
    pgbench -n -M "$mode" -c 2 -t 10 -C -S 2>&1 | counts
    pgbench -n -M "$mode" -c 2 -j 2 -t 100 -f constant.sql 2>&1 | counts
    pgbench -n -M "$mode" -c 2 -j 2 -t 100 -f point.sql 2>&1 | counts
    pgbench -n -M "$mode" -c 2 -t 50 -f block.sql 2>&1 | counts
    pgbench -n -M "$mode" -c 2 -t 25 -f write.sql 2>&1 | counts
    [ "$mode" = simple ] || pgbench -n -M "$mode" -c 2 -t 50 -f pipeline.sql 2>&1 | counts
done
psql -X -At -c 'SELECT count(*), (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta) FROM pgbench_history' \
    -c "SELECT count(*), sum(amount) FROM orders WHERE amount = 1.00 AND note IS NULL"
# Every read of a stream table saw what its client had written: the totals add up.
psql -X -At -c 'SELECT sum(spent) = (SELECT sum(amount) FROM orders), sum(orders) FROM customer_totals'
