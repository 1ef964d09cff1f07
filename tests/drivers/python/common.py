"""What the Python programs share: canonical printing, repeated reads, and the routes they took."""

import os
import sys
import time

# A text is analysed after it has been met; the last of so many repetitions must have had the time for it.
REPETITIONS = 12
PAUSE_SECONDS = 0.01

# Reads that applications make of stream tables: kind, text with one `{}` per parameter, parameters.
READS = [
    ("point", "SELECT name, orders, spent FROM customer_totals WHERE id = {}", [17]),
    ("any", "SELECT id, spent FROM customer_totals WHERE id = ANY({}) ORDER BY id", [[3, 5, 8]]),
    ("in", "SELECT id, spent FROM customer_totals WHERE id IN ({}, {}, {}) ORDER BY id", [3, 5, 8]),
    ("top", "SELECT id, name, spent FROM customer_totals ORDER BY spent DESC, id LIMIT 5", []),
    ("limit", "SELECT id, spent FROM customer_totals ORDER BY id LIMIT {} OFFSET {}", [5, 10]),
    (
        "join",
        "SELECT t.id, t.spent, c.spent FROM customer_totals t JOIN country_totals c ON c.country = t.country"
        " WHERE t.id < {} ORDER BY t.id",
        [5],
    ),
    ("aggregate", "SELECT count(*), sum(spent), max(latest) FROM customer_totals", []),
    ("group", "SELECT country, max(spent) FROM customer_totals GROUP BY country ORDER BY country", []),
    ("text", "SELECT id, spent FROM customer_totals WHERE country = {} ORDER BY id LIMIT 3", ["JP"]),
    ("kinds", "SELECT * FROM every_kind ORDER BY id", []),
]


def show(value):
    """One form per value, whatever order or identity its type has."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{show(k)}: {show(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if isinstance(value, memoryview):
        value = bytes(value)
    return f"{type(value).__name__}:{value!r}"


def say(label, value=""):
    print(f"{label}: {value if isinstance(value, str) else show(value)}", flush=True)


def rows(label, found):
    """Prints rows one per line."""
    found = list(found)
    say(label, f"{len(found)} rows")
    for row in found:
        say(label, tuple(row))


def attempt(label, work):
    """Runs something that may fail, and prints which way it went, with class and SQLSTATE of the error."""
    try:
        say(label, work())
    except Exception as error:  # Whatever a driver raises is its behaviour.
        say(label, f"{type(error).__name__} {code(error)} {str(error).strip()}")


def code(error):
    for name in ("sqlstate", "pgcode"):
        if getattr(error, name, None):
            return getattr(error, name)
    return "-"


def note_route(kind, ask):
    """Through Weir, records which way the last statement went; `ask` runs a statement and returns the value it yields."""
    path = os.environ.get("WEIR_ROUTES")
    if path:
        with open(path, "a", encoding="utf-8") as routes:
            routes.write(f"{kind}\t{ask('SHOW weir.last_route')}\n")


def repeated(kind, read, ask):
    """Runs a read as often as an application would; prints its answer once, and again whenever it changes."""
    before = None
    for _ in range(REPETITIONS):
        found = [tuple(row) for row in read()]
        if found != before and show(found) != show(before):
            rows(kind, found)
        before = found
        time.sleep(PAUSE_SECONDS)
    note_route(kind, ask)


def placeholders(text, make):
    """The text with its parameters in the driver's own notation; `make` gets the number, from 1."""
    parts = text.split("{}")
    out = parts[0]
    for number, part in enumerate(parts[1:], 1):
        out += make(number) + part
    return out


def connection_values():
    get = os.environ.__getitem__
    return get("PGHOST"), int(get("PGPORT")), get("PGUSER"), get("PGPASSWORD"), get("PGDATABASE")


def version(name, module):
    print(f"{name} {getattr(module, '__version__', module)}", flush=True)
    sys.stdout.flush()
