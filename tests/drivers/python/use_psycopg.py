"""psycopg 3: server-side binding, automatic preparation, pipeline mode, server cursors, COPY, notifications, cancel."""

import datetime
import decimal
import logging
import threading
import time
import uuid

import psycopg
from psycopg.types.json import Json, Jsonb

from common import PAUSE_SECONDS, READS, REPETITIONS, attempt, note_route, placeholders, repeated, rows, say, version

version("psycopg", psycopg)
# Its log names objects by their addresses.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def asker(connection):
    return lambda sql: connection.execute(sql).fetchone()[0]


def values():
    return [
        True, 1, -(2**40), 2**62, 1.5, float("inf"), decimal.Decimal("1.50"), decimal.Decimal("NaN"),
        decimal.Decimal("Infinity"), "größe", "", b"\x00\xff", datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4),
        datetime.datetime(2024, 2, 29, 1, 2, 3), datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc),
        datetime.timedelta(days=3, seconds=5, microseconds=7), uuid.UUID(int=5), Json({"a": [1, None]}),
        Jsonb({"b": "x"}), [1, 2, None], ["a,b", None, '"q"'], [], None,
    ]  # fmt: skip


def types(connection, binary):
    for value in values():
        attempt(
            f"echo binary={binary}",
            lambda value=value: connection.execute("SELECT %s, pg_typeof(%s)::text", [value, value], binary=binary).fetchone(),
        )
    for table in ["kinds", "every_kind", "extremes", "every_extreme", "documents", "every_document"]:
        for _ in range(8):
            for identifier in range(1, 6):
                attempt(
                    f"{table} {identifier} binary={binary}",
                    lambda table=table, identifier=identifier: connection.execute(
                        f"SELECT * FROM {table} WHERE id = %s", [identifier], binary=binary
                    ).fetchall(),
                )
        note_route(f"{table} binary={binary}" if table.startswith("every") else "base", asker(connection))


def transactions(connection):
    with connection.transaction():
        connection.execute("INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO scratch VALUES (1, 'b', 1, NULL)")
        except psycopg.errors.UniqueViolation as error:
            say("savepoint", f"{error.sqlstate} {error.diag.constraint_name} {error.diag.message_detail}")
        rows("own writes", connection.execute("SELECT * FROM scratch_totals ORDER BY label"))
    rows("committed", connection.execute("SELECT * FROM scratch_totals ORDER BY label"))
    for level in psycopg.IsolationLevel:
        connection.isolation_level = level
        with connection.transaction():
            say(level.name, connection.execute("SHOW transaction_isolation").fetchone())
            rows(level.name, connection.execute("SELECT spent FROM customer_totals WHERE id = 17"))
    connection.isolation_level = None
    connection.read_only = True
    with connection.transaction():
        rows("read only", connection.execute("SELECT spent FROM customer_totals WHERE id = 17"))

    def write():
        with connection.transaction():
            connection.execute("INSERT INTO scratch VALUES (9)")

    attempt("write in read only", write)
    connection.read_only = None


def without_autocommit():
    with psycopg.connect() as connection:
        for _ in range(12):
            rows("block", connection.execute("SELECT spent FROM customer_totals WHERE id = %s", [17]))
            note_route("in a transaction block", asker(connection))
            connection.commit()
            time.sleep(0.01)
        connection.execute("INSERT INTO scratch VALUES (2, 'block', 2, NULL)")
        rows("block, written", connection.execute("SELECT * FROM scratch_totals ORDER BY label"))
        connection.rollback()
        rows("block, rolled back", connection.execute("SELECT * FROM scratch_totals ORDER BY label"))
        attempt("error", lambda: connection.execute("SELECT 1/0"))
        attempt("after the error", lambda: connection.execute("SELECT 1"))
        connection.rollback()
        say("status", connection.info.transaction_status.name)


def batches(connection):
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO scratch VALUES (%s, %s, %s, NULL)", [(100 + n, f"label {n % 3}", n) for n in range(300)]
        )
        say("executemany", cursor.rowcount)
        cursor.executemany("SELECT rows, value FROM scratch_totals WHERE label = %s", [("label 0",), ("label 2",)], returning=True)
        while True:
            rows("returning", cursor.fetchall())
            if not cursor.nextset():
                break
        attempt("executemany fails", lambda: cursor.executemany("INSERT INTO scratch VALUES (%s)", [(900,), (100,), (901,)]))
    rows("batches", connection.execute("SELECT * FROM scratch_totals ORDER BY label"))


def pipeline(connection):
    for round_number in range(12):
        with connection.pipeline() as pipe:
            cursors = [connection.execute("SELECT spent FROM customer_totals WHERE id = %s", [n]) for n in (3, 5, 8)]
            other = connection.execute("SELECT %s::int + 1", [round_number])
            pipe.sync()
            tail = connection.execute("SELECT count(*) FROM country_totals")
            found = [cursor.fetchall() for cursor in cursors] + [other.fetchall(), tail.fetchall()]
        say("pipeline", found)
    note_route("pipeline", asker(connection))
    for _ in range(12):
        with connection.pipeline():
            cursors = [connection.execute("SELECT spent FROM customer_totals WHERE id = %s", [n]) for n in (3, 5, 8)]
            say("pipeline of reads", [cursor.fetchall() for cursor in cursors])
        time.sleep(0.01)
    note_route("pipeline of reads", asker(connection))

    def failing():
        with connection.pipeline():
            connection.execute("INSERT INTO scratch VALUES (700, 'pipe', 1, NULL)")
            connection.execute("SELECT 1/0")
            connection.execute("INSERT INTO scratch VALUES (701, 'pipe', 1, NULL)")

    attempt("pipeline fails", failing)
    rows("after it", connection.execute("SELECT * FROM scratch_totals WHERE label = 'pipe'"))


def cursors(connection):
    with connection.transaction():
        with connection.cursor("named") as cursor:
            cursor.itersize = 50
            cursor.execute("SELECT id, spent FROM customer_totals ORDER BY id")
            say("server cursor", sum(row[1] for row in cursor))
        with connection.cursor("scrolls", scrollable=True) as cursor:
            cursor.execute("SELECT id FROM order_lines ORDER BY id")
            cursor.scroll(100)
            rows("scrolled", cursor.fetchmany(3))
            cursor.scroll(-50)
            rows("scrolled back", cursor.fetchmany(2))
    with connection.cursor("held", withhold=True) as cursor:
        cursor.execute("SELECT id FROM customer_totals ORDER BY id")
        rows("held", cursor.fetchmany(3))
    with connection.cursor() as cursor:
        say("stream", [row[0] for row in cursor.stream("SELECT id FROM customer_totals WHERE id < %s ORDER BY id", [20])])
        say("big", sum(len(row[0]) for row in cursor.stream("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")))
        say("fetchall", len(cursor.execute("SELECT * FROM order_lines").fetchall()))


def copies(connection):
    with connection.cursor() as cursor:
        with cursor.copy("COPY scratch (id, label, value) FROM STDIN") as copy:
            for n in range(5000):
                copy.write_row((1000 + n, f"copy {n % 5}", n))
        say("copied in", cursor.rowcount)
        with cursor.copy("COPY scratch (id, label) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(10):
                copy.write_row((10000 + n, "binary"))
        rows("copied", cursor.execute("SELECT * FROM scratch_totals WHERE label LIKE 'copy%' OR label = 'binary' ORDER BY label"))
        with cursor.copy("COPY (SELECT id, spent FROM customer_totals ORDER BY id) TO STDOUT") as copy:
            say("copied out", sum(len(block) for block in copy))
        with cursor.copy("COPY (SELECT * FROM every_kind ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            say("copied out in binary", b"".join(bytes(block) for block in copy))
        # The last of these have been analysed.
        for n in range(REPETITIONS):
            with cursor.copy("COPY (SELECT id, name, spent FROM customer_totals ORDER BY id) TO STDOUT") as copy:
                found = list(copy.rows())
            if n in (0, REPETITIONS - 1):
                rows("copied rows", found)
            time.sleep(PAUSE_SECONDS)
        note_route("COPY", asker(connection))

        def broken():
            with cursor.copy("COPY scratch (id, label, value) FROM STDIN") as copy:
                copy.write("not a number\n")

        attempt("copy fails", broken)

        def abandoned():
            with cursor.copy("COPY scratch (id, label, value) FROM STDIN") as copy:
                copy.write_row((20000, "never", 1))
                raise RuntimeError("changed my mind")

        attempt("copy abandoned", abandoned)
    rows("not copied", connection.execute("SELECT * FROM scratch_totals WHERE label = 'never'"))


def messages(connection):
    connection.add_notice_handler(lambda notice: say("notice", f"{notice.severity} {notice.message_primary}"))
    connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$")
    connection.execute("LISTEN news")
    with psycopg.connect(autocommit=True) as other:
        for n in range(3):
            other.execute("SELECT pg_notify('news', %s)", [f"message {n}"])
    for notification in connection.notifies(timeout=5, stop_after=3):
        say("notified", f"{notification.channel} {notification.payload}")
    connection.execute("UNLISTEN *")


def cancels(connection):
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    attempt("cancel", lambda: connection.execute("SELECT pg_sleep(30)"))
    timer.join()
    timer = threading.Timer(0.3, connection.cancel_safe)
    timer.start()
    attempt("cancel_safe", lambda: connection.execute("SELECT pg_sleep(30)"))
    timer.join()
    rows("after cancel", connection.execute("SELECT spent FROM customer_totals WHERE id = 17"))


def several_statements(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1; SELECT 2, 3; SELECT spent FROM customer_totals WHERE id = 17")
    while True:
        rows("several", cursor.fetchall())
        if not cursor.nextset():
            break
    attempt("several with parameters", lambda: cursor.execute("SELECT 1; SELECT %s", [2]))
    attempt("several, one fails", lambda: cursor.execute("INSERT INTO scratch VALUES (800); SELECT 1/0"))
    rows("undone", connection.execute("SELECT count(*) FROM scratch WHERE id = 800"))
    attempt("empty", lambda: cursor.execute("").statusmessage)
    with psycopg.ClientCursor(connection) as client:
        rows("client cursor", client.execute("SELECT spent FROM customer_totals WHERE id = %s", [17]))
    with psycopg.RawCursor(connection) as raw:
        rows("raw cursor", raw.execute("SELECT spent FROM customer_totals WHERE id = $1", [17]))


def own_writes(connection):
    wrong = 0
    for n in range(200):
        connection.execute("INSERT INTO scratch VALUES (%s, 'mine', 1, NULL)", [30000 + n])
        found = connection.execute("SELECT rows FROM scratch_totals WHERE label = %s", ["mine"]).fetchone()
        wrong += found != (n + 1,)
    say("writes not seen", wrong)
    note_route("after own insert", asker(connection))


def two_phase():
    with psycopg.connect() as connection:
        identifier = connection.xid(1, "global", "branch")
        connection.tpc_begin(identifier)
        connection.execute("INSERT INTO scratch VALUES (40000, 'prepared', 1, NULL)")
        connection.tpc_prepare()
        connection.tpc_commit()
        rows("two-phase", connection.execute("SELECT * FROM scratch_totals WHERE label = 'prepared'"))


with psycopg.connect(autocommit=True) as connection:
    say("server", connection.info.server_version)
    say("parameters", [connection.info.parameter_status(n) for n in ("TimeZone", "client_encoding", "DateStyle", "server_encoding")])
    for binary in (False, True):
        types(connection, binary)
    for kind, text, parameters in READS:
        sql = placeholders(text, lambda _: "%s")
        repeated(kind, lambda: connection.execute(sql, parameters).fetchall(), asker(connection))
        repeated(f"{kind} binary", lambda: connection.execute(sql, parameters, binary=True).fetchall(), asker(connection))
        repeated(f"{kind} unprepared", lambda: connection.execute(sql, parameters, prepare=False).fetchall(), asker(connection))
    transactions(connection)
    batches(connection)
    pipeline(connection)
    cursors(connection)
    copies(connection)
    messages(connection)
    cancels(connection)
    several_statements(connection)
    own_writes(connection)
without_autocommit()
two_phase()
