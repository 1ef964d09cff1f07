"""DuckDB with its postgres extension: attached tables and stream tables, `postgres_query`, writes, binary COPY underneath."""

import os
import sys

import duckdb
import duckdb_extension_postgres_scanner as extension

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
from common import attempt, rows, say, version  # noqa: E402

version("duckdb", duckdb)
found = [
    os.path.join(directory, file)
    for directory, _, files in os.walk(os.path.dirname(extension.__file__))
    for file in files
    if file == "postgres_scanner.duckdb_extension"
]
db = duckdb.connect()
db.execute(f"LOAD '{found[0]}'")
db.execute("SET pg_connection_limit = 4")
db.execute("ATTACH '' AS pg (TYPE postgres)")
TABLES = [
    "customers", "orders", "kinds", "extremes", "documents",
    "customer_totals", "order_lines", "country_totals", "every_kind", "every_extreme", "every_document",
]  # fmt: skip
for table in TABLES:
    attempt(f"describe {table}", lambda: db.execute(f"DESCRIBE pg.{table}").fetchall())
    attempt(f"scan {table}", lambda: db.execute(f"SELECT * FROM pg.{table} ORDER BY 1 LIMIT 20").fetchall())
    attempt(f"count {table}", lambda: db.execute(f"SELECT count(*) FROM pg.{table}").fetchall())

# DuckDB adds up doubles in the order rows arrive in, which is open: cents are added as integers.
READS = {
    "filter": "SELECT name, spent FROM pg.customer_totals WHERE id = 17",
    "in": "SELECT id, spent FROM pg.customer_totals WHERE id IN (3, 5, 8) ORDER BY id",
    "join": "SELECT t.id, t.spent, c.spent FROM pg.customer_totals t JOIN pg.country_totals c USING (country) WHERE t.id < 5 ORDER BY t.id",
    "aggregate": "SELECT country, count(*), sum(round(spent * 100)::BIGINT) FROM pg.customer_totals GROUP BY country ORDER BY country",
    "top": "SELECT id, spent FROM pg.customer_totals ORDER BY spent DESC, id LIMIT 5",
    "postgres_query": "SELECT * FROM postgres_query('pg', 'SELECT name, spent FROM customer_totals WHERE id = 17')",
    "with a table of its own": "SELECT l.n, t.spent FROM (SELECT unnest([1, 2, 3]) AS n) l JOIN pg.customer_totals t ON t.id = l.n ORDER BY 1",
}
for kind, sql in READS.items():
    before = None
    for _ in range(12):
        answer = db.execute(sql).fetchall()
        if answer != before:
            rows(kind, answer)
        before = answer

# Where a scan's block is READ COMMITTED, its COPY is a read like any other.
db.execute("ATTACH '' AS rc (TYPE postgres, ISOLATION_LEVEL 'READ COMMITTED')")
for kind, sql in READS.items():
    before = None
    for _ in range(12):
        answer = db.execute(sql.replace("pg.", "rc.").replace("'pg'", "'rc'")).fetchall()
        if answer != before:
            rows(f"{kind}, READ COMMITTED", answer)
        before = answer
db.execute("DETACH rc")

db.execute("BEGIN")
db.execute("INSERT INTO pg.scratch VALUES (1, 'duck', 1.5, NULL), (2, 'duck', 2.5, NULL)")
rows("own writes", db.execute("SELECT * FROM pg.scratch_totals").fetchall())
db.execute("ROLLBACK")
rows("rolled back", db.execute("SELECT * FROM pg.scratch_totals").fetchall())
db.execute("INSERT INTO pg.scratch SELECT n, 'bulk ' || (n % 3), n, NULL FROM range(1000, 6000) AS r(n)")
rows("inserted", db.execute("SELECT * FROM pg.scratch_totals ORDER BY label").fetchall())
db.execute("UPDATE pg.scratch SET value = 1 WHERE label = 'bulk 0'")
db.execute("DELETE FROM pg.scratch WHERE label = 'bulk 1'")
rows("changed", db.execute("SELECT * FROM pg.scratch_totals ORDER BY label").fetchall())
db.execute("CREATE TABLE pg.made AS SELECT n, n * 1.5 AS x FROM range(100) AS r(n)")
rows("made", db.execute("SELECT count(*), sum(x) FROM pg.made").fetchall())
db.execute("CALL postgres_execute('pg', 'DROP TABLE made')")
attempt("error", lambda: db.execute("SELECT * FROM postgres_query('pg', 'SELECT 1/0')").fetchall())
attempt("unique", lambda: db.execute("INSERT INTO pg.scratch VALUES (1000, 'again', 1, NULL)").fetchall())
attempt("into a stream table", lambda: db.execute("INSERT INTO pg.country_totals VALUES ('XX', 1, 1)").fetchall())
