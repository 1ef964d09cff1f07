"""asyncpg: binary throughout, named statements, cursors, COPY, prepared-statement cache, notifications, cancel by timeout."""

import asyncio
import datetime
import decimal
import io
import os
import uuid

import asyncpg

from common import PAUSE_SECONDS, READS, REPETITIONS, code, placeholders, rows, say, show, version

version("asyncpg", asyncpg)


async def attempt(label, awaitable):
    try:
        say(label, await awaitable)
    except Exception as error:  # Whatever a driver raises is its behaviour.
        say(label, f"{type(error).__name__} {code(error)} {error}")


async def note_route(connection, kind):
    path = os.environ.get("WEIR_ROUTES")
    if path:
        with open(path, "a", encoding="utf-8") as routes:
            routes.write(f"{kind}\t{await connection.fetchval('SHOW weir.last_route')}\n")


async def repeated(connection, kind, sql, parameters):
    before = None
    for _ in range(REPETITIONS):
        found = [tuple(row) for row in await connection.fetch(sql, *parameters)]
        if show(found) != before:
            rows(kind, found)
        before = show(found)
        await asyncio.sleep(PAUSE_SECONDS)
    await note_route(connection, kind)


async def types(connection):
    utc = datetime.timezone.utc
    for kind, value in [
        ("bool", True), ("int2", -3), ("int4", 7), ("int8", 2**62), ("float4", 1.5), ("float8", float("-inf")),
        ("numeric", decimal.Decimal("1.50")), ("numeric", decimal.Decimal("NaN")), ("numeric", decimal.Decimal("Infinity")),
        ("text", "größe"), ("bytea", b"\x00\xff"), ("date", datetime.date(2024, 2, 29)), ("time", datetime.time(1, 2, 3)),
        ("timestamp", datetime.datetime(2024, 2, 29, 1)), ("timestamptz", datetime.datetime(2024, 2, 29, 1, tzinfo=utc)),
        ("interval", datetime.timedelta(days=3, seconds=5)), ("uuid", uuid.UUID(int=5)), ("json", '{"a": 1}'),
        ("jsonb", '{"b": [1, null]}'), ("int4[]", [1, 2, None]), ("text[]", ["a,b", None]), ("int4[][]", [[1], [2]]),
        ("inet", "10.0.0.1/8"), ("int4range", asyncpg.Range(1, 5)), ("text", None),
    ]:  # fmt: skip
        await attempt(f"echo {kind}", connection.fetchrow(f"SELECT $1::{kind} AS v, pg_typeof($1::{kind})::text", value))
    await attempt("wrong type", connection.fetch("SELECT $1::int", "x"))
    for table in ["kinds", "every_kind", "extremes", "every_extreme", "documents", "every_document"]:
        for identifier in range(1, 6):
            await attempt(table, connection.fetch(f"SELECT * FROM {table} WHERE id = $1", identifier))


async def transactions(connection):
    async with connection.transaction():
        await connection.execute("INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO scratch VALUES (1, 'b', 1, NULL)")
        except asyncpg.UniqueViolationError as error:
            say("savepoint", f"{error.sqlstate} {error.constraint_name} {error.detail}")
        rows("own writes", await connection.fetch("SELECT * FROM scratch_totals"))
    for isolation in ["read_committed", "repeatable_read", "serializable"]:
        for _ in range(REPETITIONS):
            async with connection.transaction(isolation=isolation, readonly=True):
                rows(isolation, await connection.fetch("SELECT spent FROM customer_totals WHERE id = $1", 17))
                rows(isolation, await connection.fetch("SELECT count(*) FROM country_totals"))
            await asyncio.sleep(PAUSE_SECONDS)
    for _ in range(REPETITIONS):
        async with connection.transaction():
            rows("block", await connection.fetch("SELECT spent FROM customer_totals WHERE id = $1", 17))
            await note_route(connection, "in a transaction block")
        await asyncio.sleep(PAUSE_SECONDS)


async def cursors(connection):
    async with connection.transaction():
        total = 0
        async for row in connection.cursor("SELECT id, spent FROM customer_totals ORDER BY id", prefetch=50):
            total += row["spent"]
        say("cursor", total)
        cursor = await connection.cursor("SELECT id FROM order_lines ORDER BY id")
        await cursor.forward(100)
        rows("cursor", await cursor.fetch(3))
    statement = await connection.prepare("SELECT name, spent FROM customer_totals WHERE id = $1")
    say("parameters", [p.name for p in statement.get_parameters()])
    say("columns", [(a.name, a.type.name) for a in statement.get_attributes()])
    for n in range(15):
        say("prepared", tuple(await statement.fetchrow(n + 1)))
    await note_route(connection, "prepared")
    say("big", len(await connection.fetch("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")))
    say("lines", len(await connection.fetch("SELECT * FROM order_lines")))


async def batches(connection):
    await connection.executemany("INSERT INTO scratch VALUES ($1, $2, $3, NULL)", [(100 + n, f"l{n % 3}", n) for n in range(300)])
    await attempt("executemany fails", connection.executemany("INSERT INTO scratch (id) VALUES ($1)", [(900,), (100,), (901,)]))
    if hasattr(connection, "fetchmany"):
        for _ in range(REPETITIONS):
            rows("fetchmany", await connection.fetchmany("SELECT spent FROM customer_totals WHERE id = $1", [(3,), (5,), (8,)]))
            await asyncio.sleep(PAUSE_SECONDS)
        await note_route(connection, "fetchmany")
    rows("batches", await connection.fetch("SELECT * FROM scratch_totals ORDER BY label"))


async def copies(connection):
    records = [(1000 + n, f"copy {n % 5}", decimal.Decimal(n), None) for n in range(5000)]
    say("copied in", await connection.copy_records_to_table("scratch", records=records))
    out = io.BytesIO()
    say("copied out", await connection.copy_from_query("SELECT id, spent FROM customer_totals WHERE id < $1 ORDER BY id", 20, output=out))
    say("copied out", out.getvalue())
    out = io.BytesIO()
    await connection.copy_from_query("SELECT * FROM every_kind ORDER BY id", output=out, format="binary")
    say("copied out in binary", out.getvalue())
    for n in range(REPETITIONS):
        out = io.BytesIO()
        await connection.copy_from_query("SELECT id, name, spent FROM customer_totals ORDER BY id", output=out, format="csv", header=True)
        if n in (0, REPETITIONS - 1):
            say("copied again", out.getvalue())
        await asyncio.sleep(PAUSE_SECONDS)
    await note_route(connection, "COPY")
    await attempt("copy fails", connection.copy_to_table("scratch", source=io.BytesIO(b"not a number\n")))
    rows("copied", await connection.fetch("SELECT * FROM scratch_totals ORDER BY label"))


async def messages(connection):
    heard = asyncio.Queue()
    connection.add_log_listener(lambda _, message: say("notice", f"{message.severity} {message.message}"))
    await connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$")
    await connection.add_listener("news", lambda _c, _pid, channel, payload: heard.put_nowait((channel, payload)))
    other = await asyncpg.connect()
    for n in range(3):
        await other.execute("SELECT pg_notify('news', $1)", f"message {n}")
    await other.close()
    for _ in range(3):
        say("notified", await asyncio.wait_for(heard.get(), 5))
    await connection.reset()


async def main():
    connection = await asyncpg.connect()
    say("server", tuple(connection.get_server_version())[:2])
    say("settings", connection.get_settings().TimeZone)
    await types(connection)
    for kind, text, parameters in READS:
        await repeated(connection, kind, placeholders(text, lambda n: f"${n}"), parameters)
    await transactions(connection)
    await cursors(connection)
    await batches(connection)
    await copies(connection)
    await messages(connection)
    await attempt("timeout", connection.fetch("SELECT pg_sleep(30)", timeout=0.3))
    rows("after it", await connection.fetch("SELECT spent FROM customer_totals WHERE id = $1", 17))
    say("several", await connection.execute("SELECT 1; SELECT 2; INSERT INTO scratch VALUES (800)"))
    await attempt("several, one fails", connection.execute("INSERT INTO scratch VALUES (801); SELECT 1/0"))
    rows("undone", await connection.fetch("SELECT count(*) FROM scratch WHERE id >= 800 AND id < 802"))
    wrong = 0
    for n in range(200):
        await connection.execute("INSERT INTO scratch VALUES ($1, 'mine', 1, NULL)", 30000 + n)
        wrong += await connection.fetchval("SELECT rows FROM scratch_totals WHERE label = $1", "mine") != n + 1
    say("writes not seen", wrong)
    await note_route(connection, "after own insert")
    await connection.close()
    # Without the statement cache every text is prepared anew.
    connection = await asyncpg.connect(statement_cache_size=0)
    await repeated(connection, "point without statement cache", "SELECT spent FROM customer_totals WHERE id = $1", [17])
    await connection.close()
    async with asyncpg.create_pool(min_size=2, max_size=4) as pool:
        for _ in range(REPETITIONS):
            found = await asyncio.gather(*[pool.fetchval("SELECT spent FROM customer_totals WHERE id = $1", n) for n in range(1, 9)])
            say("pool", found)
        async with pool.acquire() as connection:
            await repeated(connection, "pool", "SELECT spent FROM customer_totals WHERE id = $1", [17])


asyncio.run(main())
