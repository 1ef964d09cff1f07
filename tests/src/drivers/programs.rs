//! The client programs and what runs them. `scripts/prepare-drivers.sh` installs the drivers into the cache directory.

use std::path::PathBuf;

/// One client program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub name: &'static str,
    /// Program and arguments; `{cache}` is the cache directory, `{here}` is `tests/drivers`.
    command: &'static [&'static str],
    /// Needs nothing but what `make test` installs anyway, and a few seconds.
    pub quick: bool,
    /// Whether it reads stream tables: one that does must have some of its reads answered from memory.
    pub reads_stream_tables: bool,
}

const PYTHON: &str = "{cache}/python/bin/python";

/// A program that exercises a driver over the fixture.
const fn program(name: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, command, quick: false, reads_stream_tables: true }
}

/// A program of the Postgres client package.
const fn quick(name: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, command, quick: true, reads_stream_tables: true }
}

/// A driver's own test suite: prints the outcome of every test.
const fn suite(name: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, command, quick: false, reads_stream_tables: false }
}

/// All programs, in the order in which they run.
pub const ALL: [Program; 20] = [
    quick("psql", &["sh", "{here}/psql/psql.sh"]),
    // A few reads, which may come before their analysis has ended.
    Program { reads_stream_tables: false, ..quick("psql-interactive", &["sh", "{here}/psql/interrupt.sh"]) },
    // It reads in REPEATABLE READ.
    Program { reads_stream_tables: false, ..quick("pg_dump", &["sh", "{here}/psql/dump.sh"]) },
    quick("pgbench", &["sh", "{here}/psql/bench.sh"]),
    program("psycopg2", &[PYTHON, "{here}/python/use_psycopg2.py"]),
    program("psycopg", &[PYTHON, "{here}/python/use_psycopg.py"]),
    program("asyncpg", &[PYTHON, "{here}/python/use_asyncpg.py"]),
    program("pg8000", &[PYTHON, "{here}/python/use_pg8000.py"]),
    program("sqlalchemy", &[PYTHON, "{here}/python/use_sqlalchemy.py"]),
    program("django", &[PYTHON, "{here}/python/use_django.py"]),
    // It reads in REPEATABLE READ, which is Postgres' to answer, unless it is told otherwise.
    program("duckdb", &[PYTHON, "{here}/duckdb/use_duckdb.py"]),
    Program { reads_stream_tables: false, ..program("duckdb-one-box", &[PYTHON, "{here}/duckdb/one_box.py"]) },
    program("node-postgres", &["node", "--no-deprecation", "{here}/node/use_pg.mjs"]),
    program("postgres.js", &["node", "--no-deprecation", "{here}/node/use_postgres.mjs"]),
    program("pgjdbc", &["java", "-cp", "{cache}/java/classes:{cache}/java/jars/*", "UseJdbc"]),
    program("tokio-postgres", &["{cache}/rust/release/use_tokio_postgres"]),
    program("sqlx", &["{cache}/rust/release/use_sqlx"]),
    program("libpq-pipeline", &[PYTHON, "{here}/python/use_pipeline.py"]),
    suite("psycopg2-suite", &[PYTHON, "{here}/python/suite.py", "psycopg2", "{cache}/suites/psycopg2"]),
    suite("asyncpg-suite", &[PYTHON, "{here}/python/suite.py", "asyncpg", "{cache}/suites/asyncpg"]),
];

impl Program {
    /// Program and arguments with their paths filled in.
    pub fn command(&self) -> Vec<String> {
        let cache = cache_directory().display().to_string();
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/drivers");
        self.command.iter().map(|part| part.replace("{cache}", &cache).replace("{here}", here)).collect()
    }
}

/// Where drivers are installed: `WEIR_DRIVERS_CACHE`, or `weir-drivers` in the user's cache directory.
pub fn cache_directory() -> PathBuf {
    if let Some(given) = std::env::var_os("WEIR_DRIVERS_CACHE") {
        return given.into();
    }
    let home = std::env::var_os("HOME").expect("HOME is set");
    PathBuf::from(home).join(".cache/weir-drivers")
}
