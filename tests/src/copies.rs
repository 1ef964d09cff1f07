//! Random `COPY (SELECT …) TO STDOUT`: statements over one stream table whose values have all that COPY escapes, and options
//! in both syntaxes, of which some do not go together.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// The base table of the stream table `copied`.
pub const CREATE: &str = r#"CREATE TABLE held (id int PRIMARY KEY, t text, "a,b" text, n numeric, f float8, r float4, at timestamptz,
    d date, v interval, a int[], w text[], b bytea, j jsonb, u uuid, flag bool, c char(4), k int8)"#;

/// The columns of `copied`.
pub const COLUMNS: [&str; 17] =
    ["id", "t", "a,b", "n", "f", "r", "at", "d", "v", "a", "w", "b", "j", "u", "flag", "c", "k"];

/// Queries over it in a fixed order, all of which memory answers.
pub const READS: [&str; 18] = [
    "SELECT * FROM copied ORDER BY id",
    "TABLE copied ORDER BY id",
    "SELECT t FROM copied ORDER BY id",
    "SELECT t, \"a,b\" FROM copied ORDER BY id",
    "SELECT w FROM copied ORDER BY id",
    "SELECT FROM copied",
    "SELECT * FROM copied WHERE false",
    "SELECT t FROM copied WHERE id < 0",
    "SELECT id, n, f, r FROM copied WHERE n > 0 OR f IS NULL ORDER BY id",
    "SELECT count(*) AS \"how many\", sum(n), max(t) FROM copied",
    "SELECT id, t || ')' AS \"ein \"\"Name\"\"\" /* ) */ FROM copied WHERE t <> '(' ORDER BY id",
    "SELECT id, E'\\t\\')' AS \"tab\", \"a,b\" -- )\n FROM copied ORDER BY id LIMIT 9",
    "(SELECT id, b, j FROM copied ORDER BY id)",
    "WITH x AS (SELECT id, t FROM copied) SELECT id, t AS id, 'größe' AS größe FROM x ORDER BY x.id",
    "SELECT t AS \"\\.\" FROM copied WHERE t = '\\.' ORDER BY id",
    "SELECT a, v, at, d, flag FROM copied ORDER BY id",
    "SELECT c, u, k FROM copied WHERE ((id) > (3)) ORDER BY id OFFSET 2",
    "SELECT x.id, y.t FROM copied x JOIN copied y ON y.id = x.id + 1 ORDER BY x.id",
];

const TEXTS: [&str; 24] = [
    "",
    "a",
    "\\.",
    "\\N",
    "\\",
    "a\tb",
    "a,b",
    "a\"b",
    "\"",
    "'",
    "line\nline",
    "line\r\nline",
    "größe 漢字 \u{1f600}",
    "\u{8}\u{c}\u{b}",
    "\u{1}|\u{7f}",
    "NULL",
    "nil",
    " x ",
    "a;b|c",
    "\\x41",
    "\\\\.",
    "tab\\\tx",
    "\"\",\"\"",
    "|",
];

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn text(rng: &mut StdRng) -> &'static str {
    TEXTS.choose(rng).expect("not empty")
}

/// A row for `held`, as VALUES has it.
pub fn row(id: usize, rng: &mut StdRng) -> String {
    let of = |choices: &[&str], rng: &mut StdRng| match rng.random_range(0..6) {
        0 => "NULL".to_owned(),
        _ => (*choices.choose(rng).expect("not empty")).to_owned(),
    };
    let texts = |rng: &mut StdRng| if rng.random_bool(0.1) { "NULL".to_owned() } else { quoted(text(rng)) };
    let words: Vec<String> = (0..rng.random_range(0..4)).map(|_| texts(rng)).collect();
    let document = match rng.random_range(0..3) {
        0 => "NULL".to_owned(),
        _ => format!("jsonb_build_object({}, ARRAY[{}]::text[], 'x', 1.50)", quoted(text(rng)), words.join(", ")),
    };
    [
        id.to_string(),
        texts(rng),
        texts(rng),
        of(
            &["0", "1.50", "-12345678901234567890.123", "'NaN'", "1e-20", "'Infinity'::numeric::text::numeric"][..5],
            rng,
        ),
        of(&["0.1", "'-infinity'", "'NaN'", "1e300", "'-0'", "123456.789", "1e-7"], rng),
        of(&["0.1", "3.4e38", "1e-7", "'NaN'"], rng),
        of(
            &["'2024-02-29 12:34:56.789+00'", "'0044-03-15 00:00:00+00 BC'", "'infinity'", "'1999-12-31 23:59:59Z'"],
            rng,
        ),
        of(&["'2024-02-29'", "'-infinity'", "'0001-01-01 BC'"], rng),
        of(&["'1 year 2 mons -3 days 04:05:06.7'", "'0'", "'-00:00:01'"], rng),
        of(&["'{}'", "'{1,NULL,3}'", "'[0:1]={5,6}'", "'{{1,2},{3,4}}'"], rng),
        format!("ARRAY[{}]::text[]", words.join(", ")),
        of(&["''", "'\\x00ff5c'", "'abc\\\\def'", "'\\x0a09'"], rng),
        document,
        of(&["'00000000-0000-0000-0000-000000000001'", "'ffffffff-ffff-4fff-8fff-ffffffffffff'"], rng),
        of(&["true", "false"], rng),
        of(&["''", "'ab'", "'a\\.'", "E'\\t'"], rng),
        of(&["9223372036854775807", "-9223372036854775808", "0"], rng),
    ]
    .join(", ")
}

/// A setting that the images of values depend on.
pub fn setting(rng: &mut StdRng) -> &'static str {
    [
        "SET bytea_output = 'escape'",
        "SET bytea_output = 'hex'",
        "SET TimeZone = 'Asia/Kolkata'",
        "SET TimeZone = 'UTC'",
        "SET extra_float_digits = 0",
        "SET extra_float_digits = 1",
        "SET IntervalStyle = 'iso_8601'",
        "SET IntervalStyle = 'postgres'",
        "SET standard_conforming_strings = on",
    ]
    .choose(rng)
    .expect("not empty")
}

/// A COPY of this query.
pub fn statement(query: &str, rng: &mut StdRng) -> String {
    let spell = |word: &str, rng: &mut StdRng| match rng.random_range(0..3) {
        0 => word.to_lowercase(),
        _ => word.to_owned(),
    };
    let blank = |rng: &mut StdRng| *[" ", "  ", "\n", " /* ( ' */ ", "\t-- )\n"].choose(rng).expect("not empty");
    let options = match rng.random_range(0..3) {
        0 => old(rng),
        1 if rng.random_bool(0.5) => String::new(),
        _ => list(rng),
    };
    let end = ["", "", ";", " -- the end"].choose(rng).expect("not empty");
    let blanks: Vec<&str> = (0..4).map(|_| blank(rng)).collect();
    let to_stdout = ["TO STDOUT", "TO STDOUT", "TO STDIN"][if rng.random_range(0..40) == 0 { 2 } else { 0 }];
    format!(
        "{}{}({}{query}\n){}{}{}{options}{end}",
        spell("COPY", rng),
        blanks[0],
        blanks[1],
        blanks[2],
        spell(to_stdout, rng),
        blanks[3],
    )
}

fn delimiter(rng: &mut StdRng) -> &'static str {
    [
        "','", "';'", "'|'", "E'\\t'", "E'\\x01'", "'\"'", "'a'", "'ab'", "''", "'\\'", "'N'", "'é'", "E'\\n'", "'A'",
        "' '", "'.'",
    ]
    .choose(rng)
    .expect("not empty")
}

fn null(rng: &mut StdRng) -> &'static str {
    ["''", "'\\N'", "'nil'", "'NULL'", "E'\\\\N'", "'größe'", "E'a\\nb'", "'a,b'", "'\"'", "'|'", "E'\\\\.'", "' '"]
        .choose(rng)
        .expect("not empty")
}

fn quote(rng: &mut StdRng) -> &'static str {
    ["'\"'", "''''", "'|'", "'\\'", "','", "'ab'", "E'\\x02'", "'x'", "''"].choose(rng).expect("not empty")
}

/// Some columns, mostly of the table.
fn columns(rng: &mut StdRng) -> String {
    let name = |rng: &mut StdRng| match rng.random_range(0..12) {
        0 => "nope".to_owned(),
        1 => "\"größe\"".to_owned(),
        2 => "größe".to_owned(),
        3 => "user".to_owned(),
        4 => "T".to_owned(),
        5 | 6 => "t".to_owned(),
        7 => "id".to_owned(),
        _ => format!("\"{}\"", COLUMNS.choose(rng).expect("not empty")),
    };
    (0..rng.random_range(1..3)).map(|_| name(rng)).collect::<Vec<_>>().join(", ")
}

fn list(rng: &mut StdRng) -> String {
    let format = *["csv", "csv", "csv", "text", "binary", "CSV", "'csv'", "\"binary\"", "'TEXT'"]
        .choose(rng)
        .expect("not empty");
    let mut options = Vec::new();
    if rng.random_range(0..8) > 0 {
        options.push(format!("FORMAT {format}"));
    }
    for _ in 0..[0, 0, 1, 1, 2, 3][rng.random_range(0..6)] {
        let option = match rng.random_range(0..18) {
            0..3 => format!("DELIMITER {}", delimiter(rng)),
            3..6 => format!("NULL {}", null(rng)),
            6..9 => {
                let value = ["", " true", " off", " 'ON'", " 1", " 0", " match", " 2", " False"].choose(rng);
                format!("HEADER{}", value.expect("not empty"))
            }
            9 => format!("QUOTE {}", quote(rng)),
            10 => format!("ESCAPE {}", quote(rng)),
            11 => "FORCE_QUOTE *".to_owned(),
            12 | 13 => format!("FORCE_QUOTE ({})", columns(rng)),
            14 => format!(
                "ENCODING {}",
                ["'UTF8'", "'utf-8'", "unicode", "'LATIN1'", "'nonsense'"].choose(rng).expect("not empty")
            ),
            15 => ["FREEZE", "FREEZE false", "FORCE_NULL (t)", "FORCE_NOT_NULL (t)", "nonsense 1"]
                .choose(rng)
                .expect("not empty")
                .to_string(),
            _ => "HEADER".to_owned(),
        };
        options.push(option);
    }
    let with = ["", "WITH "].choose(rng).expect("not empty");
    format!("{with}({})", options.join(", "))
}

/// The syntax from before 9.0.
fn old(rng: &mut StdRng) -> String {
    let mut options = Vec::new();
    match rng.random_range(0..6) {
        0 => {}
        1 => options.push("BINARY".to_owned()),
        _ => options.push("CSV".to_owned()),
    }
    for _ in 0..[0, 0, 1, 1, 2, 3][rng.random_range(0..6)] {
        let by = ["", "AS "].choose(rng).expect("not empty");
        let option = match rng.random_range(0..10) {
            0 | 1 => format!("DELIMITER {by}{}", delimiter(rng)),
            2 | 3 => format!("NULL {by}{}", null(rng)),
            4 => "HEADER".to_owned(),
            5 => format!("QUOTE {by}{}", quote(rng)),
            6 => format!("ESCAPE {by}{}", quote(rng)),
            7 => "FORCE QUOTE *".to_owned(),
            8 => format!("FORCE QUOTE {}", columns(rng)),
            _ => "ENCODING 'UTF8'".to_owned(),
        };
        options.push(option);
    }
    let with = ["", "WITH "].choose(rng).expect("not empty");
    format!("{with}{}", options.join(" "))
}
