"""pg8000: a client in pure Python with a wire implementation of its own; unnamed and prepared statements, COPY."""

import io
import time

import pg8000.dbapi
import pg8000.native

from common import READS, attempt, connection_values, note_route, placeholders, repeated, rows, say, version

HOST, PORT, USER, PASSWORD, DATABASE = connection_values()
version("pg8000", pg8000)
ARGUMENTS = {"user": USER, "password": PASSWORD, "host": HOST, "port": PORT, "database": DATABASE}
# It sends every parameter untyped; the text says what it is.
CASTS = {"any": "int4[]", "limit": "int8", "text": "text"}

native = pg8000.native.Connection(**ARGUMENTS)


def ask(sql):
    return native.run(sql)[0][0]


for table in ["kinds", "every_kind", "extremes", "every_extreme", "documents", "every_document"]:
    for identifier in range(1, 6):
        attempt(table, lambda: native.run(f"SELECT * FROM {table} WHERE id = :id", id=identifier))
for kind, text, parameters in READS:
    values = {f"p{n}": value for n, value in enumerate(parameters, 1)}
    sql = placeholders(text, lambda n: f"CAST(:p{n} AS {CASTS.get(kind, 'int4')})")
    repeated(kind, lambda: native.run(sql, **values), ask)
    prepared = native.prepare(sql)
    repeated(f"{kind} prepared", lambda: prepared.run(**values), ask)
    prepared.close()
native.run("SELECT name, spent FROM customer_totals LIMIT 0")
say("columns", [(c["name"], c["type_oid"]) for c in native.columns])
native.run("START TRANSACTION")
native.run("INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)")
rows("own writes", native.run("SELECT * FROM scratch_totals"))
attempt("unique", lambda: native.run("INSERT INTO scratch VALUES (1)"))
attempt("failed block", lambda: native.run("SELECT 1"))
native.run("ROLLBACK")
rows("rolled back", native.run("SELECT * FROM scratch_totals"))
native.run("COPY scratch FROM STDIN", stream=[f"{1000 + n}\tcopy\t{n}\t\\N\n" for n in range(3000)])
out = io.BytesIO()
native.run("COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5) TO STDOUT", stream=out)
say("copied out", out.getvalue())
native.run("LISTEN news")
native.run("NOTIFY news, 'hello'")
native.run("SELECT 1")
say("notified", [(channel, payload) for _, channel, payload in native.notifications])
native.run("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
say("notices", [notice[b"M"] for notice in native.notices])
say("big", len(native.run("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")))
native.close()

connection = pg8000.dbapi.connect(**ARGUMENTS)
cursor = connection.cursor()


def ask_cursor(sql):
    cursor.execute(sql)
    return cursor.fetchone()[0]


for _ in range(12):
    cursor.execute("SELECT spent FROM customer_totals WHERE id = %s", (17,))
    rows("block", cursor.fetchall())
    note_route("in a transaction block", ask_cursor)
    connection.commit()
    time.sleep(0.01)
cursor.executemany("INSERT INTO scratch VALUES (%s, 'many', 1, NULL)", [(5000 + n,) for n in range(50)])
connection.commit()
cursor.execute("SELECT * FROM scratch_totals ORDER BY label")
rows("written", cursor.fetchall())
connection.close()
