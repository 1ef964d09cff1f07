#!/bin/sh
# pg_dump in its formats and pg_restore into another database: what is dumped through Weir is what is dumped directly.
set -u
pg_dump --version
# Newer minor versions guard plain dumps with a random key; archives carry the time.
stable() { sed -e '/^\\\(un\)\{0,1\}restrict /d' -e '/^; *Archive created at/d'; }
# Weir writes its own status and history into these while it runs: their definitions are compared, not their rows.
pg_dump() { command pg_dump --exclude-table-data='pgtrickle.*' "$@"; }

pg_dump 2>&1 | stable
pg_dump --inserts --rows-per-insert=50 -t orders | stable | cksum
pg_dump --schema-only --no-owner | stable | cksum
pg_dump -t customer_totals -t 'pgtrickle.*' | stable | cksum
pg_dump --serializable-deferrable -t customers | stable | cksum
pg_dump -Fc -f dump.custom && pg_restore -f - dump.custom | stable | cksum
# The list numbers what pg_dump has met; Weir's probes come and go among the objects it numbers.
pg_restore -l dump.custom | stable | sed 's/^[0-9]*;/;/'
pg_dump -Fd -j 2 -f dump.directory && pg_restore -f - dump.directory | stable | cksum
pg_dump -Ft -f dump.tar && pg_restore -f - dump.tar | stable | cksum
pg_dump nonexistent 2>&1 | sed 's/port [0-9]*/port/'

# Restored under another name in the same database: through Weir that is ordinary DDL and COPY.
psql -X -q -c 'ALTER TABLE documents RENAME TO documents_kept' -c 'DROP TABLE scratch CASCADE' 2>&1
pg_restore -d "$PGDATABASE" -t scratch dump.custom 2>&1
pg_restore -d "$PGDATABASE" --single-transaction -t documents dump.custom 2>&1
psql -X -At -c 'TABLE scratch' -c 'TABLE documents ORDER BY id' 2>&1
pg_restore -d "$PGDATABASE" -t customers dump.custom 2>&1
createdb restored 2>&1
pg_restore -d restored --no-owner -j 2 dump.custom 2>&1
psql -X -At -d restored -c 'SELECT count(*), sum(spent) FROM customer_totals' -c 'SELECT count(*) FROM orders' 2>&1
dropdb --force restored 2>&1
vacuumdb --analyze -t orders 2>&1
reindexdb -t orders 2>&1
clusterdb -t orders 2>&1
pg_isready -q && echo accepting
