//! Why a statement that mentions a stream table went to Postgres. Every fallback has a name here (or in the planner, for
//! what a plan cannot do), is counted under it in the metrics and shown by `SHOW weir.last_route`.

/// The statement mentions no stream table, and nothing that is known to stand over one.
pub const NO_STREAM_TABLE: &str = "no stream table";
/// Writes, DDL, EXPLAIN …: only a SELECT, VALUES, TABLE or WITH can be answered, and a COPY of one to the client.
pub const NOT_A_READ: &str = "not a plain read";
/// A COPY that is no `COPY (SELECT …) TO STDOUT`, or whose text might be read in two ways.
pub const COPY_FORM: &str = "COPY other than of a query to the client";
/// Options of COPY that Postgres refuses, or that are not known to be answered alike.
pub const COPY_OPTIONS: &str = "options of COPY";
/// A cursor that outlives its block, is declared outside of one or behind forwarded statements, or is read in binary.
pub const CURSOR: &str = "cursor";
/// DECLARE is Postgres' to do; what is fetched comes from memory.
pub const CURSOR_OPENED: &str = "cursor opened, fetched from memory";
/// Its rows have no order of their own, or may be others when they are found in another way: half of them from memory and
/// half from Postgres would be no answer.
pub const CURSOR_ORDER: &str = "cursor without a total order";
/// Something has changed about the time it was declared, and what its snapshot shows is not known.
pub const CURSOR_SNAPSHOT: &str = "snapshot of cursor not known";
/// With capture by triggers it is not known what lay between two snapshots.
pub const CURSOR_CAPTURE: &str = "cursor under capture by triggers";
/// Longer than what is looked at (`MAX_STATEMENT_BYTES`).
pub const TOO_LONG: &str = "statement too long";
/// Earlier messages of this session have not been answered yet.
pub const PIPELINED: &str = "pipelined behind a forwarded statement";
/// The messages up to Sync hold something besides unnamed Parse, Bind, Describe, Execute and Close of reads.
pub const BATCH: &str = "batch holds more than reads";
/// A message is not laid out as the protocol says; Postgres complains.
pub const MALFORMED: &str = "malformed message";
/// Named portals and row limits are cursors.
pub const PORTAL: &str = "named portal or row limit";
/// Upstream's replies did not match what was forwarded; the session is only passed on.
pub const DISTRUSTED: &str = "protocol not understood";
/// The transaction has failed: Postgres says 25P02.
pub const FAILED_TRANSACTION: &str = "failed transaction";
/// The transaction block has done something besides reads from memory, or its state was not known when it began.
pub const TRANSACTION: &str = "transaction block with forwarded statements";
/// Idle or transaction timeouts run in this block, and upstream must see the client's activity.
pub const TRANSACTION_TIMEOUT: &str = "timeout runs in transaction block";
/// `now()` is the time of the block's BEGIN, which memory does not know.
pub const CLOCK_IN_TRANSACTION: &str = "transaction time in transaction block";
/// The probe failed (a standby, for example, has no write position).
pub const PROBE: &str = "session state not known";
/// A prepared statement no longer stands for the text it was prepared with; all of them are looked at anew.
pub const STATEMENT_CHANGED: &str = "prepared statement changed unseen";
/// A temporary object may shadow a name.
pub const TEMPORARY_OBJECTS: &str = "session has temporary objects";
/// `quote_all_identifiers` is on, which changes what some functions return.
pub const QUOTED_NAMES: &str = "quote_all_identifiers is on";
/// Only UTF8 is rendered.
pub const CLIENT_ENCODING: &str = "client encoding is not UTF8";
/// Anything but READ COMMITTED holds a snapshot of its own.
pub const ISOLATION: &str = "isolation level is not read committed";
/// The session's settings differ from those the stream table was created under.
pub const SETTINGS: &str = "settings differ from the definition's";
/// `weir.consistency` holds none of scheduled, session, latest.
pub const CONSISTENCY: &str = "unknown weir.consistency";
/// Analysis has been started; the next execution may be answered.
pub const ANALYSIS_PENDING: &str = "analysis under way";
/// The statement reads no stream table (the name meant something else), or one that is gone.
pub const UNKNOWN_TABLE: &str = "not a stream table";
/// A stream table is being populated.
pub const POPULATING: &str = "populating";
/// A stream table is out of service; `pgtrickle.pgt_status()` says why.
pub const OUT_OF_SERVICE: &str = "stream table out of service";
/// The bookmark was not reached in time.
pub const BEHIND: &str = "behind";
/// Postgres evaluates this table, and its sources have moved since.
pub const FULL_MOVED: &str = "sources of a FULL table have moved";
/// The table's rows change with the time in a way that the engine does not follow; only the level `scheduled` takes those of its last refresh.
pub const CLOCK_TABLE: &str = "stream table reads the time";
/// A table's rows depend on the server's clock, which is not known well enough at the moment.
pub const CLOCK: &str = "server clock not known";
/// No state of tables that depend on the time was had for one moment in time.
pub const CLOCK_BEHIND: &str = "behind the server clock";
/// The position that `latest` asks for could not be had.
pub const POSITION: &str = "position not known";
/// Postgres refuses EXPLAIN of the statement to this role: it will say why.
pub const PRIVILEGE: &str = "privilege";
/// Not asked before this block began, and not to be asked within it.
pub const PRIVILEGE_UNKNOWN: &str = "privilege not asked yet in transaction block";
/// What a prepared statement reads has other columns now: Postgres says 0A000.
pub const RESULT_TYPE: &str = "prepared statement's result type changed";
/// Not described before this block began, and not to be described within it.
pub const RESULT_TYPE_UNKNOWN: &str = "result type not checked yet in transaction block";
/// A parameter's type or value cannot be read from this format.
pub const PARAMETER: &str = "parameter not understood";
/// The number of parameters or result formats is wrong; Postgres complains.
pub const FORMATS: &str = "parameter or format count";
/// A result column cannot be rendered in the format asked for.
pub const RENDERING: &str = "result not rendered";
/// Evaluation failed: errors are Postgres' to raise.
pub const EVALUATION: &str = "evaluation failed";
/// The answer exceeds `MAX_ANSWER_BYTES` or the read's row budget.
pub const TOO_LARGE: &str = "answer too large";
/// More tuples than a session's thread looks at; the execution is repeated elsewhere, so no statement is forwarded for it.
pub const NOT_AT_HOME: &str = "too long for the session's thread";
/// The session's statement_timeout has passed, and what is said then is Postgres' to say.
pub const STATEMENT_TIMEOUT: &str = "statement timeout";
/// The cache cannot evaluate this plan as a read.
pub const READ_UNSUPPORTED: &str = "read not supported in memory";
/// It would keep the block open, and what a subscription asks again and again is asked outside of one.
pub const SUBSCRIPTION_IN_BLOCK: &str = "subscription in transaction block";
/// The read was waiting for its bookmark in a transaction block when it was cancelled.
pub const CANCELLED: &str = "cancelled";

/// Which way the session's last statement went, for `SHOW weir.last_route`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    #[default]
    None,
    Memory,
    Forwarded(&'static str),
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Route::None => f.write_str("none"),
            Route::Memory => f.write_str("memory"),
            Route::Forwarded(reason) => write!(f, "forwarded: {reason}"),
        }
    }
}
