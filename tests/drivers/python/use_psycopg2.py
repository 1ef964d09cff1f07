"""psycopg2: client-side binding (every text differs), server cursors, COPY, large objects, notifications, two-phase commit."""

import io
import threading
import uuid

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from common import READS, attempt, note_route, placeholders, repeated, rows, say, version

version("psycopg2", psycopg2)
psycopg2.extras.register_uuid()


def run(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else cursor.statusmessage


def asker(connection):
    return lambda sql: run(connection, sql)[0][0]


connection = psycopg2.connect("")
connection.autocommit = True
say("server", connection.server_version)
say("parameters", [connection.get_parameter_status(n) for n in ("TimeZone", "client_encoding", "DateStyle", "is_superuser")])
for value in [True, 1, 2**62, 1.5, float("nan"), "größe", "it's \\ here", b"\x00\xff", [1, 2, None], ["a,b"], uuid.UUID(int=5), None]:
    attempt("echo", lambda: run(connection, "SELECT %s, pg_typeof(%s)::text", (psycopg2.Binary(value) if isinstance(value, bytes) else value, None)))
for table in ["kinds", "every_kind", "extremes", "every_extreme", "documents", "every_document"]:
    for identifier in range(1, 6):
        attempt(table, lambda: run(connection, f"SELECT * FROM {table} WHERE id = %s", (identifier,)))
for kind, text, parameters in READS:
    sql = placeholders(text, lambda _: "%s")
    repeated(kind, lambda: run(connection, sql, parameters), asker(connection))
for n in range(1, 40):
    rows("changing literal", run(connection, "SELECT spent FROM customer_totals WHERE id = %s", (n,)))
note_route("changing literal", asker(connection))

connection.autocommit = False
for n in range(12):
    rows("block", run(connection, "SELECT spent FROM customer_totals WHERE id = %s", (17,)))
    note_route("in a transaction block", asker(connection))
    connection.commit()
run(connection, "INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)")
run(connection, "SAVEPOINT one")
attempt("unique", lambda: run(connection, "INSERT INTO scratch VALUES (1, 'b', 1, NULL)"))
attempt("failed block", lambda: run(connection, "SELECT 1"))
run(connection, "ROLLBACK TO SAVEPOINT one")
rows("own writes", run(connection, "SELECT * FROM scratch_totals"))
connection.commit()
rows("committed", run(connection, "SELECT * FROM scratch_totals"))
connection.rollback()
for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
    connection.set_session(isolation_level=level, readonly=True, deferrable=False)
    rows(level, run(connection, "SELECT spent FROM customer_totals WHERE id = 17"))
    attempt("write", lambda: run(connection, "INSERT INTO scratch VALUES (2)"))
    connection.rollback()
connection.set_session(isolation_level="DEFAULT", readonly=False)

with connection.cursor("named") as cursor:
    cursor.itersize = 50
    cursor.execute("SELECT id, spent FROM customer_totals ORDER BY id")
    say("server cursor", sum(row[1] for row in cursor))
with connection.cursor("scrolls", scrollable=True) as cursor:
    cursor.execute("SELECT id FROM order_lines ORDER BY id")
    cursor.scroll(100)
    rows("scrolled", cursor.fetchmany(3))
connection.commit()
with connection.cursor() as cursor:
    cursor.executemany("INSERT INTO scratch VALUES (%s, %s, %s, NULL)", [(100 + n, f"l{n % 3}", n) for n in range(50)])
    psycopg2.extras.execute_values(cursor, "INSERT INTO scratch VALUES %s", [(200 + n, "v", n, None) for n in range(300)])
    psycopg2.extras.execute_batch(cursor, "INSERT INTO scratch VALUES (%s, 'b', 1, NULL)", [(600 + n,) for n in range(300)])
    cursor.copy_from(io.StringIO("".join(f"{1000 + n}\tcopy\t{n}\t\\N\n" for n in range(3000))), "scratch")
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5) TO STDOUT", out)
    say("copied out", out.getvalue())
connection.commit()
rows("written", run(connection, "SELECT * FROM scratch_totals ORDER BY label"))
with connection.cursor() as cursor:
    attempt("copy fails", lambda: cursor.copy_from(io.StringIO("not a number\n"), "scratch"))
connection.rollback()

# Large objects use the FunctionCall message.
large = connection.lobject(0, "wb", 4711)
say("large object", large.oid)
large.write(b"0123456789" * 50000)
large.seek(100000)
large.truncate(200000)
large.close()
connection.commit()
large = connection.lobject(4711, "rb")
large.seek(199990)
say("large object", large.read())
large.unlink()
connection.commit()

connection.autocommit = True
run(connection, "DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$")
say("notices", connection.notices)
run(connection, "LISTEN news")
other = psycopg2.connect("")
other.autocommit = True
for n in range(3):
    run(other, "SELECT pg_notify('news', %s)", (f"message {n}",))
while len(connection.notifies) < 3:
    connection.poll()
say("notified", [(n.channel, n.payload) for n in connection.notifies])
timer = threading.Timer(0.3, connection.cancel)
timer.start()
attempt("cancel", lambda: run(connection, "SELECT pg_sleep(30)"))
timer.join()
rows("several", run(connection, "SELECT 1; SELECT 2; SELECT spent FROM customer_totals WHERE id = 17"))
attempt("several, one fails", lambda: run(connection, "INSERT INTO scratch VALUES (800); SELECT 1/0"))
rows("undone", run(connection, "SELECT count(*) FROM scratch WHERE id = 800"))
say("big", len(run(connection, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)")))
wrong = 0
for n in range(200):
    run(connection, "INSERT INTO scratch VALUES (%s, 'mine', 1, NULL)", (30000 + n,))
    wrong += run(connection, "SELECT rows FROM scratch_totals WHERE label = 'mine'") != [(n + 1,)]
say("writes not seen", wrong)
note_route("after own insert", asker(connection))
connection.reset()
rows("after reset", run(connection, "SELECT spent FROM customer_totals WHERE id = 17"))
connection.rollback()

connection.autocommit = False
identifier = connection.xid(1, "global", "branch")
connection.tpc_begin(identifier)
run(connection, "INSERT INTO scratch VALUES (40000, 'prepared', 1, NULL)")
connection.tpc_prepare()
connection.tpc_commit()
rows("two-phase", run(connection, "SELECT * FROM scratch_totals WHERE label = 'prepared'"))
connection.close()

# The asynchronous mode, driven by poll.
connection = psycopg2.connect("", async_=1)
psycopg2.extras.wait_select(connection)
for _ in range(12):
    cursor = connection.cursor()
    cursor.execute("SELECT spent FROM customer_totals WHERE id = 17")
    psycopg2.extras.wait_select(connection)
    rows("asynchronous", cursor.fetchall())
