"""libpq's own pipeline mode, driven call by call through psycopg's binding of it: what its test program `libpq_pipeline`
does (simple, multiple, aborted, prepared, disallowed, singlerow, nosync), and reads of stream tables among the rest."""

import os
import select
import time

from psycopg import pq

from common import say

print(f"libpq {pq.version()}")
Status = pq.ExecStatus


def connect():
    connection = pq.PGconn.connect(b"")
    assert connection.status == pq.ConnStatus.OK, connection.error_message
    return connection


def run(connection, sql):
    result = connection.exec_(sql)
    return show(result)


def show(result):
    if result is None:
        return "none"
    values = [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    return f"{Status(result.status).name} {values} {state.decode() if state else ''}"


def drain(connection, label, syncs):
    """Everything up to so many synchronisation points."""
    none_in_a_row = 0
    while syncs:
        while connection.is_busy():
            select.select([connection.socket], [], [], 10)
            connection.consume_input()
        result = connection.get_result()
        say(label, show(result))
        none_in_a_row = 0 if result else none_in_a_row + 1
        if none_in_a_row > 3:
            say(label, "nothing comes any more")
            return
        if result and result.status == Status.PIPELINE_SYNC:
            syncs -= 1


connection = connect()
POINT = b"SELECT spent FROM customer_totals WHERE id = $1"
for _ in range(12):
    connection.enter_pipeline_mode()
    connection.send_query_params(POINT, [b"17"], param_types=[23])
    connection.pipeline_sync()
    drain(connection, "one read", 1)
    connection.exit_pipeline_mode()
    time.sleep(0.01)
for _ in range(12):
    connection.enter_pipeline_mode()
    for number in (b"3", b"5", b"8"):
        connection.send_query_params(POINT, [number], param_types=[23], result_format=1)
    connection.pipeline_sync()
    connection.send_query_params(b"SELECT $1::int + 1", [b"1"])
    connection.send_query_params(POINT, [b"17"], param_types=[23])
    connection.pipeline_sync()
    connection.send_query_params(b"INSERT INTO scratch VALUES (1, 'a', 1, NULL) ON CONFLICT (id) DO UPDATE SET value = scratch.value + 1", None)
    connection.send_query_params(b"SELECT * FROM scratch_totals", None)
    connection.send_query_params(POINT, [b"17"], param_types=[23])
    connection.pipeline_sync()
    drain(connection, "mixed", 3)
    connection.exit_pipeline_mode()

connection.enter_pipeline_mode()
connection.send_prepare(b"point", POINT, [23])
connection.send_describe_prepared(b"point")
connection.pipeline_sync()
drain(connection, "prepared", 1)
for _ in range(12):
    connection.send_query_prepared(b"point", [b"17"])
    connection.send_flush_request()
    connection.flush()
    while connection.is_busy():
        select.select([connection.socket], [], [], 10)
        connection.consume_input()
    say("flushed", show(connection.get_result()))
    say("flushed", show(connection.get_result()))
connection.pipeline_sync()
drain(connection, "flushed", 1)

# Aborted: everything up to the next synchronisation point is skipped, reads of stream tables too.
connection.send_query_params(b"INSERT INTO scratch VALUES (2, 'b', 1, NULL)", None)
connection.send_query_params(b"SELECT 1/0", None)
connection.send_query_prepared(b"point", [b"17"])
connection.send_query_params(POINT, [b"17"], param_types=[23])
connection.pipeline_sync()
connection.send_query_prepared(b"point", [b"17"])
connection.pipeline_sync()
drain(connection, "aborted", 2)
connection.send_query_params(POINT, [b"no number"], param_types=[23])
connection.send_query_prepared(b"point", [b"17"])
connection.pipeline_sync()
drain(connection, "wrong parameter", 1)
connection.send_query_prepared(b"missing", [b"17"])
connection.pipeline_sync()
connection.send_query_prepared(b"point", [b"17"])
connection.pipeline_sync()
drain(connection, "missing statement", 2)

# Transactions within a pipeline.
for statement in (b"BEGIN", b"SELECT spent FROM customer_totals WHERE id = 17", b"INSERT INTO scratch VALUES (3, 'c', 1, NULL)"):
    connection.send_query_params(statement, None)
connection.send_query_params(b"SELECT * FROM scratch_totals ORDER BY label", None)
connection.send_query_params(b"ROLLBACK", None)
connection.send_query_params(b"SELECT * FROM scratch_totals ORDER BY label", None)
connection.pipeline_sync()
drain(connection, "transaction", 1)

# Single rows.
connection.send_query_params(b"SELECT id FROM customer_totals WHERE id < $1 ORDER BY id", [b"5"], param_types=[23])
connection.set_single_row_mode()
connection.send_query_params(POINT, [b"17"], param_types=[23])
connection.pipeline_sync()
drain(connection, "single rows", 1)

# Many, without waiting.
for number in range(1, 2001):
    connection.send_query_prepared(b"point", [str(1 + number % 150).encode()])
    if number % 100 == 0:
        connection.pipeline_sync()
drain(connection, "many", 20)
connection.exit_pipeline_mode()
say("after", run(connection, b"SELECT count(*) FROM scratch"))
connection.exec_prepared(b"point", [b"17"])
if path := os.environ.get("WEIR_ROUTES"):
    with open(path, "a", encoding="utf-8") as routes:
        routes.write(f"prepared, after the pipeline\t{connection.exec_(b'SHOW weir.last_route').get_value(0, 0).decode()}\n")
