"""Steps 3 and 4 of "The Modern Data Stack in One Box", and what the leaderboard's tutorial asks from DuckDB: DuckLake with its catalogue in Postgres, archives made by
`postgres_query`, and one query over an archive and a live stream table. The lake is DuckDB's own and lies in a directory;
`postgres_query` takes the name of an attached database, where the tutorial gives it a connection string."""

import os
import sys
import tempfile

import duckdb
import duckdb_extension_ducklake
import duckdb_extension_postgres_scanner

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
from common import rows, say, version  # noqa: E402

version("duckdb", duckdb)
db = duckdb.connect()
for package, name in ((duckdb_extension_postgres_scanner, "postgres_scanner"), (duckdb_extension_ducklake, "ducklake")):
    found = [
        os.path.join(directory, file)
        for directory, _, files in os.walk(os.path.dirname(package.__file__))
        for file in files
        if file == f"{name}.duckdb_extension"
    ]
    db.execute(f"LOAD '{found[0]}'")
db.execute("SET pg_connection_limit = 4")
db.execute("ATTACH '' AS pg (TYPE postgres)")
# Steps 2 and 5 of the leaderboard's tutorial.
rows("stream tables", db.execute("SELECT pgt_name, pgt_schema, schedule, refresh_mode FROM pg.pgtrickle.pgt_stream_tables ORDER BY pgt_name").fetchall())
rows("each once", db.execute("SELECT pgt_name, COUNT(*) AS rows FROM pg.pgtrickle.pgt_stream_tables GROUP BY pgt_name ORDER BY 1").fetchall())
provenance = "SELECT stream_table_name, delta_row_count, written_at FROM pg.pgtrickle.pgt_ducklake_provenance ORDER BY written_at DESC LIMIT 10"
rows("files of sinks", db.execute(provenance).fetchall())
with tempfile.TemporaryDirectory() as lake:
    db.execute(f"ATTACH 'ducklake:postgres:' AS company_lake (DATA_PATH '{lake}', METADATA_SCHEMA 'company_lake')")
    db.execute("USE company_lake")
    db.execute("CREATE TABLE orders_archive AS SELECT * FROM postgres_query('pg', 'SELECT * FROM orders')")
    db.execute("CREATE TABLE totals_archive AS SELECT * FROM postgres_query('pg', 'SELECT * FROM customer_totals')")
    rows("archived", db.execute("SELECT (SELECT count(*) FROM orders_archive), (SELECT count(*) FROM totals_archive)").fetchall())
    # DuckDB adds up doubles in the order rows arrive in, which is open: cents are added as integers.
    live_and_archived = """
        WITH historical AS (SELECT * FROM company_lake.totals_archive WHERE id < 10),
             live AS (SELECT * FROM postgres_scan('', 'public', 'customer_totals') WHERE id >= 10)
        SELECT country, sum(round(spent * 100)::BIGINT), count(DISTINCT id)
        FROM (SELECT * FROM historical UNION ALL SELECT * FROM live) GROUP BY country ORDER BY country"""
    before = db.execute(live_and_archived).fetchall()
    rows("live and archived", before)
    db.execute("BEGIN")
    db.execute("UPDATE orders_archive SET id = id WHERE false")
    db.execute("COMMIT")
    say("parquet files", any(file.endswith(".parquet") for _, _, files in os.walk(lake) for file in files))
    db.execute("USE memory")
    db.execute("DETACH company_lake")
db.execute("CALL postgres_execute('pg', 'DROP SCHEMA company_lake CASCADE')")
