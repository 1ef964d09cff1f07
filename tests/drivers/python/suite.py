"""A driver's own test suite, out of its source distribution: prints the outcome of every test, sorted by name."""

import os
import sys
import unittest

# Tests of what stands between the client and any server (TLS files, clusters of their own, source style) or that need a
# moment's luck: they say nothing about the wire.
LEFT_OUT = {
    "asyncpg": (
        "test__sourcecode", "test_adversity", "test_subinterpreters", "TestSSLConnection", "TestClientSSLConnection",
        # Wants an error to arrive before four megabytes are written; it fails now and then without Weir, too.
        "test_executemany_server_failure_during_writes",
        # Wants to run in the database `postgres`, and where it does not, leaves another one behind.
        "test_type_cache_invalidation_in_pool",
    ),
    "psycopg2": ("test_replication",),
}

# Tests that want something within milliseconds, or count what has happened by a certain moment: whether they pass once says
# how busy the machine is. Their outcome is that of the first run that passes, or of the last of MOMENTS.
OF_THE_MOMENT = {
    "asyncpg": (
        "test_timeout.", "test_cancellation.",
        "test_connection_cancelled_during_transport_setup", "test_rejected_host_cannot_time_out_selected_connection",
        "test_copy_from_query_cancellation", "test_copy_from_query_timeout", "test_copy_to_table_timeout",
        "test_execute_script_interrupted", "test_executemany_timeout", "test_executemany_prepare",
        "test_introspection_on_large_db", "test_introspection_retries_after_cache_bust",
        "test_listen_", "test_connection_termination_callback_called_on_local",
        "test_pool_",
        "test_prepare_06_interrupted_close", "test_prepare_07_interrupted_terminate",
        "test_prepare_19_concurrent_calls", "test_prepare_20_concurrent_calls",
        "test_prepare_24_max_lifetime", "test_prepare_25_max_lifetime_reset", "test_prepare_26_max_lifetime_max_size",
    ),
    "psycopg2": (),
}
MOMENTS = 5


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.lines = {}

    def addSuccess(self, test):
        self.lines.setdefault(test.id(), "passed")

    def addError(self, test, error):
        self.lines[test.id()] = f"error {error[0].__name__}"
        self.show(test, error)

    def addFailure(self, test, error):
        self.lines[test.id()] = f"failed {error[0].__name__}"
        self.show(test, error)

    def addSkip(self, test, reason):
        self.lines[test.id()] = "skipped"

    def addExpectedFailure(self, test, error):
        self.lines[test.id()] = "failed as expected"

    def addUnexpectedSuccess(self, test):
        self.lines[test.id()] = "passed unexpectedly"

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.lines[test.id()] = f"subtest failed {error[0].__name__}"
            self.show(test, error)

    def show(self, test, error):
        """For whoever looks into a difference; the outcomes alone are compared."""
        if "WEIR_SUITE_ERRORS" in os.environ:
            sys.stderr.write(f"{test.id()}: {self._exc_info_to_string(error, test)}\n")


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


name, sources = sys.argv[1], sys.argv[2]
os.environ["PSYCOPG2_TESTDB"] = os.environ["PGDATABASE"]
if "WEIR_SUITE_ERRORS" not in os.environ:
    # Tests complain there of what they leave open, with addresses in memory, and until the interpreter has ended.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
module = __import__(name)
# The tests are taken from the sources, the driver itself from where it is installed.
os.symlink(os.path.join(sources, "tests"), "tests")
sys.path.insert(0, os.getcwd())
print(f"{name} {module.__version__.split()[0]}: its own tests")
found = unittest.defaultTestLoader.discover("tests", top_level_dir=os.getcwd())
chosen = [test for test in flatten(found) if not any(part in test.id() for part in LEFT_OUT[name])]
if len(sys.argv) > 3:
    chosen = [test for test in chosen if sys.argv[3] in test.id()]
outcomes = Outcomes()
sys.stdout.flush()
unittest.TestSuite(chosen).run(outcomes)
for test in chosen:
    if any(part in test.id() for part in OF_THE_MOMENT[name]):
        for _ in range(1, MOMENTS):
            if outcomes.lines.get(test.id(), "passed") in ("passed", "skipped", "failed as expected"):
                break
            # A class's own preparation belongs to it.
            again = Outcomes()
            unittest.TestSuite([test]).run(again)
            outcomes.lines.update(again.lines)
for test, outcome in sorted(outcomes.lines.items()):
    print(test, outcome)
