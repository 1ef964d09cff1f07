//! A look at a statement's text that costs less than a microsecond: its first word, and whether it names anything Weir
//! has to do with. It errs only towards forwarding; what a statement really means is decided by Postgres' own analysis.

use super::copy;
use super::reason;
use super::subscription::is_subscription;
use crate::registry::Tables;
use crate::words::{MAX_IDENTIFIER_BYTES, Words};
use weir_planner::types;

/// What a statement is to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mentions a stream table, or what stands over one, and begins as a read does: memory may be able to answer.
    Read,
    /// `COPY (SELECT …) TO STDOUT` of a query that mentions one: memory may be able to answer.
    Copy,
    /// `DECLARE … CURSOR` of a query that mentions one: memory may be able to answer what is fetched.
    Declare,
    /// Mentions a stream table and does something else with it: the reason why Postgres answers.
    NotARead(&'static str),
    /// `SHOW weir.…` and the like, answered by Weir.
    Show(Show),
    /// A plain `BEGIN`: opens a block and changes nothing else.
    Begin,
    /// A plain `COMMIT` or `ROLLBACK`: ends a block and changes nothing of itself.
    Finish,
    /// Begins with `SET` or `RESET`, or is a BEGIN with more to it: may set the transaction's characteristics.
    Set,
    /// Calls a function of the `pgtrickle` schema that takes effect in Weir.
    Maintenance,
    /// Asks for a stream table's rows and then its changes.
    Subscription,
    /// Nothing Weir has to do with.
    Plain,
    /// Neither, and no query to Postgres either: empty, or a savepoint.
    NoQuery,
}

impl Kind {
    /// Memory may be able to answer.
    pub fn is_read(self) -> bool {
        matches!(self, Kind::Read | Kind::Copy)
    }
}

/// What Weir itself is asked, or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// `CREATE EXTENSION IF NOT EXISTS pg_trickle`: there is nothing to do.
    Extension,
    LastRoute,
    Frontier,
    Version,
}

/// Type of the one column of a `SHOW` (`ShowGUCOption` results are text).
pub const SHOW_TYPE: u32 = types::oid::TEXT;

/// Calls that Weir waits for, as prefixes of the function's name within `pgtrickle`.
const MAINTENANCE_CALLS: [&str; 6] = ["create_", "alter_", "drop_", "refresh", "resume_", "suspend_"];

pub fn classify(text: &str, tables: &Tables) -> Kind {
    let mut words = Words::of(text);
    let Some(first) = words.next() else { return Kind::NoQuery };
    let mut lowered = String::with_capacity(MAX_IDENTIFIER_BYTES);
    first.lower_into(&mut lowered);
    match lowered.as_str() {
        "select" | "with" | "values" | "table" => mentions(words, tables, Kind::Read),
        "begin" | "start" if opens_plainly(text) => Kind::Begin,
        "commit" | "end" | "rollback" | "abort" if finishes_plainly(text) => Kind::Finish,
        "create" if creates_extension(text) => Kind::Show(Show::Extension),
        "show" => show(text).map_or(Kind::Plain, Kind::Show),
        "set" | "reset" => Kind::Set,
        // Inside a block it still sets the characteristics it names (`BeginTransactionBlock` warns and goes on).
        "begin" | "start" => match mentions(words, tables, Kind::NotARead(reason::NOT_A_READ)) {
            Kind::Plain => Kind::Set,
            mentioned => mentioned,
        },
        "" => Kind::Plain,
        "copy" if is_subscription(text) => Kind::Subscription,
        "copy" => match mentions(words, tables, Kind::Copy) {
            Kind::Copy => copy::read(text).map_or_else(Kind::NotARead, |_| Kind::Copy),
            other => other,
        },
        "declare" => mentions(words, tables, Kind::Declare),
        "savepoint" | "release" if plain_words(text).is_some() => Kind::NoQuery,
        _ => mentions(words, tables, Kind::NotARead(reason::NOT_A_READ)),
    }
}

fn mentions(words: Words<'_>, tables: &Tables, kind: Kind) -> Kind {
    let mut found = Kind::Plain;
    let mut after_pgtrickle = false;
    let mut lowered = String::with_capacity(MAX_IDENTIFIER_BYTES);
    for word in words {
        word.lower_into(&mut lowered);
        let word = lowered.as_str();
        if after_pgtrickle && MAINTENANCE_CALLS.iter().any(|call| word.starts_with(call)) {
            return Kind::Maintenance;
        }
        after_pgtrickle = word == "pgtrickle";
        if found == Kind::Plain && tables.names.contains(word) {
            found = kind;
        }
    }
    found
}

/// The statement's lower-cased tokens when it is nothing but words; `None` otherwise.
fn plain_words(text: &str) -> Option<Vec<String>> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || matches!(b, b'.' | b'_' | b',');
    if text.len() > 128 || !text.bytes().all(plain) {
        return None;
    }
    Some(text.to_ascii_lowercase().split_ascii_whitespace().map(str::to_owned).collect())
}

fn opens_plainly(text: &str) -> bool {
    let Some(words) = plain_words(text) else { return false };
    let mut rest = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["begin", "work" | "transaction", ref rest @ ..] | ["start", "transaction", ref rest @ ..] => rest.to_vec(),
        ["begin", ref rest @ ..] => rest.to_vec(),
        _ => return false,
    };
    // Modes under which a read sees exactly what it would see without them.
    let harmless: [&[&str]; 3] = [&["read", "only"], &["read", "write"], &["isolation", "level", "read", "committed"]];
    while let Some(mode) = harmless.iter().find(|mode| rest.starts_with(mode)) {
        rest.drain(..mode.len());
    }
    rest.is_empty()
}

fn finishes_plainly(text: &str) -> bool {
    let Some(words) = plain_words(text) else { return false };
    matches!(
        words.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["commit" | "end" | "rollback" | "abort"] | ["commit" | "end" | "rollback" | "abort", "work" | "transaction"]
    )
}

/// Scripts written for pg_trickle begin with it, and what it would bring is there already.
fn creates_extension(text: &str) -> bool {
    let Some(words) = plain_words(text) else { return false };
    matches!(
        words.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["create", "extension", "if", "not", "exists", "pg_trickle"]
            | ["create", "extension", "if", "not", "exists", "pg_trickle", "cascade"]
    )
}

fn show(text: &str) -> Option<Show> {
    match plain_words(text)?.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["show", "weir.last_route"] => Some(Show::LastRoute),
        ["show", "weir.frontier"] => Some(Show::Frontier),
        ["show", "weir.version"] => Some(Show::Version),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        let mut tables = Tables::default();
        for name in ["top_ten", "größe", "odd\"name"] {
            tables.names.insert(name.to_owned());
        }
        tables
    }

    #[test]
    fn statements_are_told_apart() {
        let tables = tables();
        for (text, expected) in [
            ("select * from top_ten", Kind::Read),
            ("SELECT * FROM Top_Ten t where 1=1;", Kind::Read),
            ("/* hint */ -- x\n select 1 from public.\"top_ten\"", Kind::Read),
            ("(select a from top_ten)", Kind::Read),
            ("with a as (select 1) table top_ten", Kind::Read),
            ("select * from größe", Kind::Read),
            ("select * from \"odd\"\"name\"", Kind::Read),
            ("select * from top_tenth, atop_ten", Kind::Plain),
            ("select 1", Kind::Plain),
            ("", Kind::NoQuery),
            (";", Kind::NoQuery),
            ("-- top_ten", Kind::NoQuery),
            ("insert into log select * from top_ten", Kind::NotARead(reason::NOT_A_READ)),
            ("begin", Kind::Begin),
            ("START TRANSACTION READ ONLY;", Kind::Begin),
            ("begin isolation level read committed read write", Kind::Begin),
            ("begin isolation level serializable", Kind::Set),
            ("begin; select 1", Kind::Set),
            ("COMMIT", Kind::Finish),
            ("rollback work ;", Kind::Finish),
            ("rollback to a", Kind::Plain),
            ("commit and chain", Kind::Plain),
            ("set transaction read only", Kind::Set),
            ("CREATE EXTENSION IF NOT EXISTS pg_trickle;", Kind::Show(Show::Extension)),
            ("CREATE EXTENSION pg_trickle", Kind::Plain),
            ("create extension if not exists pgcrypto", Kind::Plain),
            ("show weir.last_route;", Kind::Show(Show::LastRoute)),
            ("SHOW weir.Frontier", Kind::Show(Show::Frontier)),
            ("show timezone", Kind::Plain),
            ("select pgtrickle.create_stream_table('top_ten', 'select 1')", Kind::Maintenance),
            ("select * from pgtrickle.pgt_status()", Kind::Plain),
            ("copy (select * from pgtrickle.subscribe('top_ten')) to stdout", Kind::Subscription),
            ("copy (select * from top_ten) to stdout", Kind::Copy),
            ("copy (select 1) to stdout", Kind::Plain),
            ("copy top_ten to stdout", Kind::NotARead(reason::COPY_FORM)),
            ("copy (table top_ten) to stdout (freeze)", Kind::NotARead(reason::COPY_OPTIONS)),
            ("copy (select pgtrickle.drop_stream_table('top_ten')) to stdout", Kind::Maintenance),
            ("declare c cursor for select * from top_ten", Kind::Declare),
            ("call pgtrickle.refresh_stream_table('x')", Kind::Maintenance),
        ] {
            assert_eq!(classify(text, &tables), expected, "{text}");
        }
    }

    #[test]
    fn unfinished_text_is_scanned_to_its_end() {
        let tables = tables();
        for text in ["select \"", "select \"\"\"", "/*", "--", "select $", "\"", "select 'top_ten"] {
            classify(text, &tables);
        }
    }
}
