//! Random sequences. Most are what a driver would send, over several batches and transaction blocks; then some messages
//! are dropped, doubled, exchanged or replaced by nonsense.

use super::dangling::keep_clear;
use super::statements::{CACHED, CACHED_QUERIES, FORWARDED, Kind, OTHERS, SETTINGS, Statement, TRANSACTIONS};
use super::step::{Sequence, Step};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Exchanges (a query, a batch, a copy …) in a sequence.
const EXCHANGES: std::ops::Range<usize> = 1..9;

/// Of a hundred sequences, so many are disturbed after they were made.
const DISTURBED: u32 = 45;
/// And so many of a hundred end with a message that ends the connection.
const FATAL: u32 = 3;

const STATEMENT_NAMES: [&str; 4] = ["", "", "s1", "s2"];
const PORTAL_NAMES: [&str; 5] = ["", "", "", "p1", "p2"];

/// What the generator believes the session knows.
#[derive(Default)]
struct Known {
    statements: Vec<(&'static str, Statement)>,
}

impl Known {
    fn get(&self, name: &str) -> Option<Statement> {
        self.statements.iter().rev().find(|(known, _)| *known == name).map(|(_, statement)| *statement)
    }
}

pub fn sequence(rng: &mut StdRng) -> Sequence {
    let mut steps = Vec::new();
    let mut known = Known::default();
    // A pipelining client asks everything before it waits.
    let waits = rng.random_range(0..100) < 85;
    for _ in 0..rng.random_range(EXCHANGES) {
        exchange(rng, &mut known, &mut steps);
        if waits && rng.random_range(0..100) < 90 {
            steps.push(Step::Wait);
        }
    }
    if rng.random_range(0..100) < DISTURBED {
        for _ in 0..rng.random_range(1..4) {
            disturb(rng, &known, &mut steps);
        }
    }
    if rng.random_range(0..100) < FATAL {
        steps.push(fatal(rng));
    }
    keep_clear(&mut steps);
    Sequence(steps)
}

fn exchange(rng: &mut StdRng, known: &mut Known, steps: &mut Vec<Step>) {
    let query = |texts: &[&str], rng: &mut StdRng| Step::Query((*texts.choose(rng).expect("not empty")).to_owned());
    match rng.random_range(0..100) {
        0..18 => steps.push(query(&CACHED_QUERIES, rng)),
        18..42 => batch(rng, known, steps),
        42..46 => opening(rng, known, steps),
        46..48 => closing(rng, known, steps),
        48..60 => named(rng, known, steps),
        60..70 => steps.push(query(&TRANSACTIONS, rng)),
        70..77 => steps.push(query(&SETTINGS, rng)),
        77..88 => steps.push(query(&OTHERS, rng)),
        88..93 => portal(rng, known, steps),
        93..96 => copy(rng, steps),
        96..98 => steps.push(function_call(rng)),
        _ => steps.push(single(rng, known)),
    }
}

fn any_statement(rng: &mut StdRng) -> Statement {
    // Temporary tables and their like make all later reads of a session Postgres'; most sequences are without.
    if rng.random_range(0..100) < 70 {
        *CACHED.choose(rng).expect("not empty")
    } else {
        *FORWARDED.choose(rng).expect("not empty")
    }
}

/// Parse, Bind, Describe, Execute, Sync, with some of them missing or repeated.
fn batch(rng: &mut StdRng, known: &mut Known, steps: &mut Vec<Step>) {
    for _ in 0..if rng.random_range(0..6) == 0 { rng.random_range(2..4) } else { 1 } {
        let statement = any_statement(rng);
        let name = if rng.random_range(0..8) == 0 { *STATEMENT_NAMES.choose(rng).expect("not empty") } else { "" };
        steps.push(parse(rng, name, statement));
        known.statements.push((name, statement));
        if rng.random_range(0..4) == 0 {
            steps.push(Step::Describe { kind: 'S', name });
        }
        if rng.random_range(0..12) > 0 {
            run(rng, name, statement, steps);
        }
    }
    end(rng, steps);
}

/// A statement prepared in one batch and executed in others.
fn named(rng: &mut StdRng, known: &mut Known, steps: &mut Vec<Step>) {
    let name = *STATEMENT_NAMES.choose(rng).expect("not empty");
    let statement = match known.get(name) {
        Some(statement) if rng.random_range(0..3) > 0 => statement,
        _ => {
            let statement = any_statement(rng);
            if !name.is_empty() && rng.random_range(0..3) > 0 {
                steps.push(Step::Close { kind: 'S', name });
            }
            steps.push(parse(rng, name, statement));
            if rng.random_range(0..2) == 0 {
                steps.push(Step::Describe { kind: 'S', name });
            }
            end(rng, steps);
            steps.push(Step::Wait);
            known.statements.push((name, statement));
            statement
        }
    };
    for _ in 0..rng.random_range(1..4) {
        run(rng, name, statement, steps);
        end(rng, steps);
        if rng.random_range(0..3) > 0 {
            steps.push(Step::Wait);
        }
    }
    if rng.random_range(0..5) == 0 {
        steps.push(Step::Close { kind: 'S', name });
        end(rng, steps);
    }
}

/// BEGIN in one flight with the block's first statements, as pgjdbc sends it with autocommit off.
fn opening(rng: &mut StdRng, known: &mut Known, steps: &mut Vec<Step>) {
    let begin = match rng.random_range(0..8) {
        0 => "BEGIN READ ONLY",
        1 => "START TRANSACTION ISOLATION LEVEL READ COMMITTED",
        2 => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        _ => "BEGIN",
    };
    let name = *STATEMENT_NAMES.choose(rng).expect("not empty");
    if name.is_empty() || rng.random_range(0..3) > 0 {
        steps.push(Step::Parse { name, sql: begin.to_owned(), types: vec![] });
    }
    // One that BEGIN has no parameter for is an error, and what follows is skipped.
    let values = if rng.random_range(0..12) == 0 { vec![Some(b"1".to_vec())] } else { vec![] };
    let portal = if rng.random_range(0..8) == 0 { "p1" } else { "" };
    steps.push(Step::Bind { portal, statement: name, formats: vec![], values, results: vec![] });
    if rng.random_range(0..10) == 0 {
        steps.push(Step::Describe { kind: 'P', name: portal });
    }
    steps.push(Step::Execute { portal, rows: 0 });
    match known.get("s2") {
        Some(statement) if rng.random_range(0..3) == 0 => run(rng, "s2", statement, steps),
        _ => {
            let statement = any_statement(rng);
            steps.push(parse(rng, "", statement));
            known.statements.push(("", statement));
            run(rng, "", statement, steps);
        }
    }
    end(rng, steps);
    if rng.random_range(0..3) > 0 {
        steps.push(Step::Wait);
    }
    for _ in 0..rng.random_range(0..3) {
        batch(rng, known, steps);
        steps.push(Step::Wait);
    }
    let end = ["COMMIT", "ROLLBACK", "COMMIT"].choose(rng).expect("not empty");
    if rng.random_range(0..4) > 0 {
        steps.push(Step::Query((*end).to_owned()));
    }
}

/// A statement closed, and the next read asked without waiting, as tokio-postgres does.
fn closing(rng: &mut StdRng, known: &mut Known, steps: &mut Vec<Step>) {
    let kind = if rng.random_range(0..4) == 0 { 'P' } else { 'S' };
    let name = *STATEMENT_NAMES.choose(rng).expect("not empty");
    steps.extend([Step::Close { kind, name }, Step::Sync]);
    match rng.random_range(0..3) {
        0 => steps.push(Step::Query((*CACHED_QUERIES.choose(rng).expect("not empty")).to_owned())),
        1 => named(rng, known, steps),
        _ => batch(rng, known, steps),
    }
}

fn parse(rng: &mut StdRng, name: &'static str, statement: Statement) -> Step {
    let types = match rng.random_range(0..10) {
        0 => statement.parameters.iter().map(|kind| oid(*kind)).collect(),
        1 => vec![*[0, 20, 23, 25, 1043, 1700, 2249, 999_999].choose(rng).expect("not empty")],
        _ => vec![],
    };
    Step::Parse { name, sql: statement.sql.to_owned(), types }
}

fn bind(rng: &mut StdRng, portal: &'static str, name: &'static str, statement: Statement) -> Step {
    let format = i16::from(rng.random_range(0..3) == 0);
    let mut values: Vec<_> = statement.parameters.iter().map(|kind| value(rng, *kind, format)).collect();
    let mut formats = if format == 0 && rng.random_range(0..2) == 0 { vec![] } else { vec![format] };
    let mut results = match rng.random_range(0..6) {
        0 | 1 => vec![],
        2 => vec![0],
        3 | 4 => vec![1],
        _ => (0..statement.columns).map(|_| rng.random_range(0..2)).collect(),
    };
    match rng.random_range(0..60) {
        0 => drop(values.pop()),
        1 => values.push(Some(b"1".to_vec())),
        2 => formats.push(0),
        3 => formats = vec![2],
        4 => results.push(1),
        5 => results = vec![7],
        _ => {}
    }
    Step::Bind { portal, statement: name, formats, values, results }
}

/// Bind, perhaps Describe, Execute.
fn run(rng: &mut StdRng, name: &'static str, statement: Statement, steps: &mut Vec<Step>) {
    let portal = if rng.random_range(0..10) == 0 { *PORTAL_NAMES.choose(rng).expect("not empty") } else { "" };
    steps.push(bind(rng, portal, name, statement));
    if rng.random_range(0..3) > 0 {
        steps.push(Step::Describe { kind: 'P', name: portal });
    }
    if rng.random_range(0..14) > 0 {
        let rows = if rng.random_range(0..8) == 0 { *[1, 2, 3, 5, 100, -1].choose(rng).expect("not empty") } else { 0 };
        steps.push(Step::Execute { portal, rows });
    }
    if rng.random_range(0..15) == 0 {
        steps.push(Step::Execute { portal, rows: rng.random_range(0..4) });
    }
    if rng.random_range(0..12) == 0 {
        steps.push(Step::Close { kind: 'P', name: portal });
    }
}

fn end(rng: &mut StdRng, steps: &mut Vec<Step>) {
    match rng.random_range(0..30) {
        0 => steps.push(Step::Flush),
        1 => steps.extend([Step::Flush, Step::Wait, Step::Sync]),
        2 => steps.extend([Step::Sync, Step::Sync]),
        3 => {}
        _ => steps.push(Step::Sync),
    }
}

/// A portal read in pieces inside a block, as drivers with a fetch size do.
fn portal(rng: &mut StdRng, known: &mut Known, steps: &mut Vec<Step>) {
    let in_block = rng.random_range(0..4) > 0;
    if in_block {
        steps.extend([Step::Query("BEGIN".to_owned()), Step::Wait]);
    }
    let statement = CACHED[[1, 2, 4, 5, 12][rng.random_range(0..5)]];
    let portal = *PORTAL_NAMES.choose(rng).expect("not empty");
    steps.push(Step::Parse { name: "", sql: statement.sql.to_owned(), types: vec![] });
    known.statements.push(("", statement));
    steps.push(bind(rng, portal, "", statement));
    if rng.random_range(0..2) == 0 {
        steps.push(Step::Describe { kind: 'P', name: portal });
    }
    for _ in 0..rng.random_range(1..6) {
        steps.push(Step::Execute { portal, rows: *[1, 2, 3, 5, 7, 0].choose(rng).expect("not empty") });
        if rng.random_range(0..3) > 0 {
            steps.extend([Step::Sync, Step::Wait]);
        }
        match rng.random_range(0..20) {
            0 => steps.push(Step::Describe { kind: 'P', name: portal }),
            1 => steps.push(Step::Close { kind: 'P', name: portal }),
            2 => steps.extend([Step::Query("SELECT count(*) FROM lines".to_owned()), Step::Wait]),
            3 => steps.push(bind(rng, portal, "", statement)),
            _ => {}
        }
    }
    steps.push(Step::Sync);
    if in_block {
        let end = ["COMMIT", "ROLLBACK", "SELECT 1/0"].choose(rng).expect("not empty");
        steps.extend([Step::Wait, Step::Query((*end).to_owned())]);
    }
}

fn copy(rng: &mut StdRng, steps: &mut Vec<Step>) {
    let sql =
        ["COPY scratch FROM STDIN", "COPY scratch FROM STDIN; SELECT count(*) FROM lines", "COPY totals FROM STDIN"];
    let sql = (*sql.choose(rng).expect("not empty")).to_owned();
    let extended = rng.random_range(0..3) == 0;
    if extended {
        steps.push(Step::Parse { name: "", sql, types: vec![] });
        steps.push(Step::Bind { portal: "", statement: "", formats: vec![], values: vec![], results: vec![] });
        steps.push(Step::Execute { portal: "", rows: 0 });
        if rng.random_range(0..2) == 0 {
            steps.push(Step::Sync);
        }
    } else {
        steps.push(Step::Query(sql));
    }
    if rng.random_range(0..2) == 0 {
        steps.push(Step::Wait);
    }
    for _ in 0..rng.random_range(0..5) {
        let line = match rng.random_range(0..8) {
            0 => "1\tduplicate\n".to_owned(),
            1 => "not a number\tx\n".to_owned(),
            2 => "\\.\n".to_owned(),
            3 => "900\tcut he".to_owned(),
            _ => format!("{}\trow\n", rng.random_range(300..900)),
        };
        steps.push(Step::CopyData(line.into_bytes()));
    }
    match rng.random_range(0..8) {
        0 => {}
        1 | 2 => steps.push(Step::CopyFail),
        _ => steps.push(Step::CopyDone),
    }
    if extended {
        steps.push(Step::Sync);
    }
}

fn function_call(rng: &mut StdRng) -> Step {
    // int4pl, text concatenation, a function that does not exist.
    let function = *[177, 1258, 999_999].choose(rng).expect("not empty");
    let arguments = (0..rng.random_range(1..4)).map(|_| value(rng, Kind::Int, 0)).collect();
    Step::FunctionCall { function, arguments }
}

/// One message out of its place.
fn single(rng: &mut StdRng, known: &Known) -> Step {
    let name = *STATEMENT_NAMES.choose(rng).expect("not empty");
    let portal = *PORTAL_NAMES.choose(rng).expect("not empty");
    match rng.random_range(0..14) {
        0 => Step::Flush,
        1 => Step::Sync,
        2 => Step::CopyDone,
        3 => Step::CopyFail,
        4 => Step::CopyData(b"5\tstray\n".to_vec()),
        5 => Step::Describe { kind: 'S', name },
        6 => Step::Describe { kind: 'P', name: portal },
        7 => Step::Close { kind: 'S', name },
        8 => Step::Close { kind: 'P', name: portal },
        9 => Step::Execute { portal, rows: rng.random_range(0..3) },
        10 => Step::Bind { portal, statement: "unknown", formats: vec![], values: vec![], results: vec![] },
        11 => bind(rng, portal, name, known.get(name).unwrap_or(CACHED[1])),
        12 => {
            let statement = any_statement(rng);
            parse(rng, name, statement)
        }
        _ => malformed(rng),
    }
}

/// Laid out wrongly, but not so that Postgres gives the connection up.
fn malformed(rng: &mut StdRng) -> Step {
    let (tag, body): (char, &[u8]) = *[
        ('S', &b"x"[..]),
        ('D', b"X\0"),
        ('C', b"X\0"),
        ('D', b"S"),
        ('D', b"Sname without end"),
        ('E', b"\0\0\0"),
        ('B', b"\0\0"),
        ('B', b"\0s1\0\0\0\0\x01\0\0\0\x09x\0\0"),
        ('B', b"\0\0\0\0\0\x01\xff\xff\xff\x00\0\0"),
        ('P', b"\0SELECT 1"),
        ('P', b"\0SELECT 1\0\0\x05\0\0"),
        ('P', b"s2\0SELECT shop FROM totals\0\0\0extra"),
        ('Q', b"SELECT shop FROM totals\0extra"),
        ('Q', b"no terminator"),
        ('Q', b"SELECT '\xff' FROM totals\0"),
        ('P', b"\0SELECT '\xc3\x28' FROM totals\0\0\0"),
        ('H', b"x"),
        ('C', b"P\0x"),
    ]
    .choose(rng)
    .expect("not empty");
    Step::Raw { tag, length: body.len() as u32 + 4, body: body.to_vec() }
}

/// Ends the connection.
fn fatal(rng: &mut StdRng) -> Step {
    let (tag, length) =
        *[('x', 4), ('\0', 4), ('S', 3), ('Q', 0), ('E', 20_000), ('D', 0x3fff_0000), ('B', 0xffff_ffff), ('p', 8)]
            .choose(rng)
            .expect("not empty");
    let body = if tag == 'p' { b"abc\0".to_vec() } else { vec![] };
    Step::Raw { tag, length, body }
}

fn disturb(rng: &mut StdRng, known: &Known, steps: &mut Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    let place = rng.random_range(0..steps.len());
    match rng.random_range(0..6) {
        0 => drop(steps.remove(place)),
        1 => steps.insert(place, steps[place].clone()),
        2 => {
            let other = rng.random_range(0..steps.len());
            steps.swap(place, other);
        }
        3 => steps.truncate(place + 1),
        _ => steps.insert(place, single(rng, known)),
    }
}

fn oid(kind: Kind) -> u32 {
    match kind {
        Kind::Bool => 16,
        Kind::BigInt => 20,
        Kind::Int => 23,
        Kind::Text => 25,
        Kind::Float => 701,
        Kind::Date => 1082,
        Kind::Timestamp => 1184,
        Kind::Numeric => 1700,
    }
}

/// A value in text or binary; in most cases one of the type.
fn value(rng: &mut StdRng, kind: Kind, format: i16) -> Option<Vec<u8>> {
    match rng.random_range(0..24) {
        0 => return None,
        1 => return Some((0..rng.random_range(0..12)).map(|_| rng.random()).collect()),
        2 => {
            return Some(
                [&b""[..], b"twenty", b"1e400", b"\xc3", b"a\0b", b"99999999999999999999"].choose(rng)?.to_vec(),
            );
        }
        _ => {}
    }
    let n: i32 = *[0, 1, 2, 3, 4, 7, 20, 50, 99, -1, 1000].choose(rng)?;
    if format == 0 {
        let text = match kind {
            Kind::Int | Kind::BigInt => {
                (*[n.to_string(), format!(" {n} "), format!("+{}", n.abs())].choose(rng)?).clone()
            }
            Kind::Numeric => {
                (*[format!("{n}.5"), n.to_string(), "0".into(), "NaN".into(), "1e3".into()].choose(rng)?).clone()
            }
            Kind::Float => {
                (*[format!("{n}.25"), "Infinity".into(), "nan".into(), "1e-310".into()].choose(rng)?).clone()
            }
            Kind::Text => (*["shop 1", "shop 3", "nowhere", "größe", "", "o'clock"].choose(rng)?).to_owned(),
            Kind::Bool => (*["t", "false", "ON", "0", "maybe"].choose(rng)?).to_owned(),
            Kind::Date => (*["2024-01-03", "20240104", "infinity", "03.01.2024", "Jan 5 2024"].choose(rng)?).to_owned(),
            Kind::Timestamp => (*["2024-01-03 05:00Z", "2024-01-02 10:00", "-infinity", "2024-01-02T03:04:05+02"]
                .choose(rng)?)
            .to_owned(),
        };
        return Some(text.into_bytes());
    }
    Some(match kind {
        Kind::Int => n.to_be_bytes().to_vec(),
        Kind::BigInt => i64::from(n).to_be_bytes().to_vec(),
        // Digits in base 10,000: one digit group, weight 0, positive, no scale.
        Kind::Numeric => [[0, 1], [0, 0], [0, 0], [0, 0], (n.unsigned_abs() as u16).to_be_bytes()].concat(),
        Kind::Float => (f64::from(n) / 4.0).to_be_bytes().to_vec(),
        Kind::Text => b"shop 2".to_vec(),
        Kind::Bool => vec![(n % 3) as u8],
        // From 2000-01-01: 8766 days to 2024-01-01.
        Kind::Date => (8766 + n).to_be_bytes().to_vec(),
        Kind::Timestamp => ((8766 * 86_400 + i64::from(n) * 3600) * 1_000_000).to_be_bytes().to_vec(),
    })
}
