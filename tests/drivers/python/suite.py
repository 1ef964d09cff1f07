"""A driver's own test suite, out of its source distribution: prints the outcome of every test, sorted by name."""

import os
import sys
import unittest

# Tests of what stands between the client and any server (TLS files, clusters of their own, source style) or that need a
# moment's luck: they say nothing about the wire.
LEFT_OUT = {
    "asyncpg": (
        "test__sourcecode", "test_adversity", "test_subinterpreters", "TestSSLConnection", "TestClientSSLConnection",
        # Wants its statement answered within 50 ms.
        "test_cancellation_02",
        # Wants the same of a connection with a short timeout.
        "test_command_timeout_01",
        # Wants an error to arrive before four megabytes are written; it fails now and then without Weir, too.
        "test_executemany_server_failure_during_writes",
        # Counts the connections of a pool, one too few now and then without Weir.
        "test_pool_config_persistence",
        # Wants to run in the database `postgres`, and where it does not, leaves another one behind.
        "test_type_cache_invalidation_in_pool",
    ),
    "psycopg2": ("test_replication",),
}


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
for test, outcome in sorted(outcomes.lines.items()):
    print(test, outcome)
