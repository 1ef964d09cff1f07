//! Every registered function, under every `pg_proc` entry of its symbol: text, binary image or error.
//! `WEIR_ORACLE_ONLY` (parts of symbols, by commas) leaves out the others.

use crate::generate::{self, TYPES};
use crate::server::{ValueArray, connect};
use crate::{patterns, templates};
use std::collections::BTreeMap;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::functions::{Letters, Told, all, number_of, question, symbol_on, takes_letters};
use weir_planner::render::encode_text;
use weir_planner::settings::{SettingSet, Settings};
use weir_planner::types::{ColumnType, oid};
use weir_planner::value::encode_binary;
use weir_planner::{Expr, Value};
use weir_tests::rng::{rounds, seeded};

/// Tuples per function and zone in `make test`, and in the long run.
const TUPLES: (usize, usize) = (250, 5_000);
/// Mismatches shown of each function before the test fails.
const REASONS_SHOWN: usize = 25;
const SHOWN_PER_FUNCTION: usize = 3;
/// Zones in which functions that depend on TimeZone are tried.
const ZONES: &[&str] = &["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "<+02>-02"];
/// Functions with other ways of being checked: variadic or polymorphic ones, and the clock.
const ELSEWHERE: &[&str] = &[
    "text_concat",
    "text_concat_ws",
    "text_format",
    "textanycat(text,anynonarray)",
    "anytextcat(anynonarray,text)",
    "pg_num_nulls",
    "pg_num_nonnulls",
    "dpi",
    "now",
];

/// Functions that earlier servers do not have.
const SINCE_15: &[&str] = &[
    "regexp_like",
    "regexp_like_no_flags",
    "regexp_substr_no_start",
    "regexp_instr_no_start",
    "regexp_count_no_start",
];

/// Arrays, jsonb, enums and ranges, whose functions are of many types: `tests/tests/containers.rs`, `enums.rs` and `ranges.rs`
/// compare these.
fn is_of_containers(symbol: &str) -> bool {
    ["array", "json_", "jsonb_", "enum_", "range_", "elem_contained_by_range"]
        .iter()
        .any(|kind| symbol.starts_with(kind))
}

/// A row of `pg_proc`.
struct Entry {
    name: String,
    argument_oids: Vec<u32>,
    argument_names: Vec<String>,
    return_oid: u32,
    return_name: String,
    send: String,
    strict: bool,
}

/// A text as a value of one of the types of text.
fn of_type(value: Value, type_oid: u32) -> Value {
    match value {
        Value::Text(text) if type_oid == oid::BPCHAR => Value::Bpchar(text),
        value => value,
    }
}

/// What Postgres, or Weir, says.
#[derive(Debug, PartialEq)]
enum Outcome {
    Null,
    Value { text: String, binary: String },
    Error { sqlstate: String, message: String },
}

async fn entries(client: &Client, symbol: &str) -> Vec<Entry> {
    let rows = client
        .query(
            "SELECT quote_ident(p.proname), p.proargtypes::oid[]::int8[],
                    ARRAY(SELECT 'pg_catalog.' || quote_ident(t.typname) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a(o, n)
                          JOIN pg_type t ON t.oid = a.o ORDER BY n),
                    p.prorettype::int8, 'pg_catalog.' || quote_ident(r.typname), r.typsend::text, p.proisstrict
             FROM pg_proc p JOIN pg_type r ON r.oid = p.prorettype JOIN pg_language l ON l.oid = p.prolang
             WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND CASE l.lanname
                 WHEN 'internal' THEN p.prosrc = $1
                 WHEN 'sql' THEN p.proname || '(' || array_to_string(ARRAY(
                     SELECT t.typname FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a(o, n)
                     JOIN pg_type t ON t.oid = a.o ORDER BY n), ',') || ')' = $1
                 ELSE false END",
            &[&symbol],
        )
        .await
        .expect("pg_proc can be read");
    rows.iter()
        .map(|row| Entry {
            name: row.get(0),
            argument_oids: row.get::<_, Vec<i64>>(1).iter().map(|oid| *oid as u32).collect(),
            argument_names: row.get(2),
            return_oid: row.get::<_, i64>(3) as u32,
            return_name: row.get(4),
            send: row.get(5),
            strict: row.get(6),
        })
        .collect()
}

/// Runs one entry over the tuples, each in its own exception block.
async fn postgres(client: &Client, entry: &Entry, tuples: &[Vec<Value>]) -> Vec<Outcome> {
    let count = entry.argument_oids.len();
    let list = |f: &dyn Fn(usize) -> String| (0..count).map(f).collect::<Vec<_>>().join(", ");
    let (name, returns, send) = (&entry.name, &entry.return_name, &entry.send);
    let parameters = list(&|i| format!("a{i} {}", entry.argument_names[i]));
    let arguments = list(&|i| format!("a{i}"));
    client
        .batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION pg_temp.attempt({parameters}) RETURNS text[] LANGUAGE plpgsql AS $body$
             DECLARE r {returns};
             BEGIN
                 r := pg_catalog.{name}({arguments});
                 IF r IS NULL THEN RETURN ARRAY['null']; END IF;
                 RETURN ARRAY['value', format('%s', r), encode(pg_catalog.{send}(r), 'hex')];
             EXCEPTION WHEN OTHERS THEN RETURN ARRAY['error', SQLSTATE, SQLERRM];
             END $body$"
        ))
        .await
        .expect("the function can be wrapped");
    let unnest = list(&|i| format!("${}::{}[]", i + 1, entry.argument_names[i]));
    let query = format!("SELECT pg_temp.attempt({arguments}) FROM unnest({unnest}) AS t({arguments})");
    let arrays: Vec<ValueArray> = (0..count)
        .map(|i| ValueArray {
            element: entry.argument_oids[i],
            values: tuples.iter().map(|tuple| tuple[i].clone()).collect(),
        })
        .collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| array as _).collect();
    let rows = client.query(&query, &parameters).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    client.batch_execute("DROP FUNCTION pg_temp.attempt").await.expect("the wrapper can be dropped");
    rows.iter()
        .map(|row| {
            // Postgres cuts texts in its messages between the bytes of a character.
            let parts: Vec<String> =
                row.try_get(0).unwrap_or_else(|_| ["error", "unreadable", ""].map(str::to_owned).into());
            match parts[0].as_str() {
                "null" => Outcome::Null,
                "value" => Outcome::Value { text: parts[1].clone(), binary: parts[2].clone() },
                _ => Outcome::Error { sqlstate: parts[1].clone(), message: parts[2].clone() },
            }
        })
        .collect()
}

/// Runs it here. Error: why the value is left to Postgres.
fn weir(call: &Expr, tuple: &[Value], return_oid: u32, ctx: &EvalContext) -> Result<Outcome, String> {
    match call.eval(Tuple::single(tuple), ctx) {
        Value::Null => Ok(Outcome::Null),
        Value::Error(error) if error.is_unsupported() => {
            // What stands before the last colon is of this value.
            Err(error.message.rsplit(": ").next().unwrap_or_default().to_owned())
        }
        Value::Error(error) => {
            Ok(Outcome::Error { sqlstate: error.sqlstate.to_owned(), message: error.message.to_string() })
        }
        value => {
            let mut text = Vec::new();
            encode_text(&value, &ColumnType::new(return_oid), &ctx.settings, &mut text)
                .map_err(|_| "no text".to_owned())?;
            let mut image = Vec::new();
            encode_binary(&value, return_oid, &mut image).expect("a value has an image");
            let binary = image.iter().map(|b| format!("{b:02x}")).collect();
            Ok(Outcome::Value { text: String::from_utf8(text).expect("UTF-8"), binary })
        }
    }
}

/// Under the default collation, of the characters that are generated and more.
async fn default_letters(client: &Client) -> Letters {
    let row = client.query_one(&question("\"default\"", 0x1FFFF), &[]).await.expect("letters can be asked for");
    let classes: Vec<&str> = row.get(3);
    let classes = classes.try_into().expect("a text for each class");
    let told = Told { characters: row.get(0), lower: row.get(1), upper: row.get(2), classes };
    Letters::told(&told).expect("each character is one in both cases")
}

#[tokio::test]
async fn functions_agree() {
    let client = connect().await;
    let version: String = client.query_one("SHOW server_version_num", &[]).await.expect("a setting").get(0);
    let major = version.parse::<u32>().expect("a number") / 10_000;
    let mut rng = seeded("functions_agree");
    let count = rounds(TUPLES.0, TUPLES.1);
    let mut mismatches = Vec::new();
    // Functions whose argument types nothing is generated for, and functions that refused everything.
    let mut untried = Vec::new();
    let mut refused = BTreeMap::new();
    let (mut compared, mut skipped) = (0usize, 0usize);
    // Why results that Postgres has are left to it.
    let mut lost = BTreeMap::new();
    let letters = number_of(&default_letters(&client).await).expect("there is room");
    let of_ascii = number_of(&Letters::of_ascii()).expect("there is room");
    let only = std::env::var("WEIR_ORACLE_ONLY").ok();
    let is_asked = |symbol: &str| only.as_ref().is_none_or(|only| only.split(',').any(|part| symbol.contains(part)));
    let is_checked = |symbol: &str| is_asked(symbol) && !ELSEWHERE.contains(&symbol) && !is_of_containers(symbol);
    for function in all().filter(|function| is_checked(function.symbol)) {
        let Some(symbol) = symbol_on(function, major) else { continue };
        let mut tried = false;
        for entry in entries(&client, symbol).await {
            if entry.argument_oids.iter().any(|oid| !TYPES.contains(oid)) {
                continue;
            }
            tried = true;
            assert_eq!(entry.strict, function.strict, "strictness of {}", function.symbol);
            let mut args: Vec<Expr> = (0..entry.argument_oids.len()).map(Expr::Column).collect();
            if takes_letters(function.symbol) {
                // A name's collation is C.
                let letters = if function.symbol.starts_with("name") { of_ascii } else { letters };
                args.push(Expr::Const(Value::Int4(letters)));
            }
            let call = Expr::Call { function, args };
            let zones = if function.settings.contains(SettingSet::TIME_ZONE) { ZONES } else { &ZONES[..1] };
            let (mut answered, mut wrong) = (0, 0);
            for zone in zones {
                client.batch_execute(&format!("SET TIME ZONE '{zone}'")).await.expect("a known zone");
                let settings = Settings { time_zone: (*zone).into(), ..Settings::default() };
                let ctx = EvalContext { settings, ..EvalContext::default() };
                let tuples: Vec<Vec<Value>> = (0..count)
                    .map(|_| {
                        let fitting = templates::tuple(&mut rng, function.symbol);
                        if let Some(fitting) = fitting.or_else(|| patterns::tuple(&mut rng, function.symbol)) {
                            // `char(n)` and names have the same functions.
                            let types = entry.argument_oids.iter();
                            return fitting.into_iter().zip(types).map(|(value, oid)| of_type(value, *oid)).collect();
                        }
                        let types = entry.argument_oids.iter().enumerate();
                        types
                            .map(|(i, oid)| {
                                // A few tuples check what strictness does. Bodies of SQL functions are
                                // inlined, which can raise an error where strictness alone gives NULL.
                                let is_sql = function.symbol.ends_with(')');
                                if !is_sql && rand::Rng::random_range(&mut rng, 0..50) == 0 {
                                    Value::Null
                                } else {
                                    generate::argument(&mut rng, function.symbol, i, *oid)
                                }
                            })
                            .collect()
                    })
                    .collect();
                let expected = postgres(&client, &entry, &tuples).await;
                for (tuple, expected) in tuples.iter().zip(expected) {
                    match weir(&call, tuple, entry.return_oid, &ctx) {
                        Err(reason) => {
                            skipped += 1;
                            if !matches!(expected, Outcome::Error { .. }) {
                                *lost.entry(reason).or_insert(0usize) += 1;
                            }
                        }
                        Ok(actual) => {
                            compared += 1;
                            answered += 1;
                            if actual != expected {
                                wrong += 1;
                            }
                            if actual != expected && wrong <= SHOWN_PER_FUNCTION {
                                mismatches.push(format!(
                                    "{} {}{tuple:?} in {zone}\n    postgres {expected:?}\n    weir     {actual:?}",
                                    function.symbol, entry.name
                                ));
                            }
                        }
                    }
                }
            }
            if answered * 10 < count * zones.len() {
                refused.insert(function.symbol, answered);
            }
        }
        if !tried && (major >= 15 || !SINCE_15.contains(&function.symbol)) {
            untried.push(function.symbol);
        }
    }
    let known = lost.values().sum::<usize>();
    eprintln!("{compared} results compared, {skipped} left to Postgres, which has no error for {known} of them");
    let mut lost: Vec<_> = lost.into_iter().collect();
    lost.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    lost.iter().take(REASONS_SHOWN).for_each(|(reason, count)| eprintln!("{count:>8} {reason}"));
    assert!(untried.is_empty(), "not in pg_proc, or of types without a generator: {untried:?}");
    assert!(refused.is_empty(), "functions that refuse nearly everything: {refused:?}");
    assert!(mismatches.is_empty(), "mismatches:\n{}", mismatches.join("\n"));
}

/// `||` with other types and concat: their argument types are only known at the call.
#[tokio::test]
async fn concatenations_agree() {
    let client = connect().await;
    let mut rng = seeded("concatenations_agree");
    let lookup = |symbol: &str| weir_planner::functions::lookup(symbol).expect("registered");
    let cases = [
        ("$1::text || $2", "textanycat(text,anynonarray)", false),
        ("$2 || $1::text", "anytextcat(anynonarray,text)", true),
        ("concat($1::text, $2)", "text_concat", false),
        ("concat_ws(',', $1::text, $2)", "text_concat_ws", false),
    ];
    for (other, name) in [
        (oid::INT4, "int4"),
        (oid::INT8, "int8"),
        (oid::NUMERIC, "numeric"),
        (oid::BOOL, "bool"),
        (oid::BPCHAR, "bpchar"),
    ] {
        for (sql, symbol, swapped) in cases {
            let sql = sql.replace("$2", &format!("b::{name}")).replace("$1", "a");
            let query = format!("SELECT {sql} FROM unnest($1::text[], $2::{name}[]) AS t(a, b)");
            let (mut left, mut right) = (Vec::new(), Vec::new());
            for i in 0..50 {
                left.push(if i % 10 == 0 { Value::Null } else { generate::value(&mut rng, oid::TEXT) });
                right.push(if i % 9 == 0 { Value::Null } else { generate::value(&mut rng, other) });
            }
            let arrays = (
                ValueArray { element: oid::TEXT, values: left.clone() },
                ValueArray { element: other, values: right.clone() },
            );
            let rows = client.query(&query, &[&arrays.0, &arrays.1]).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
            for ((left, right), row) in left.iter().zip(&right).zip(&rows) {
                let expected: Option<String> = row.get(0);
                let tuple = if swapped { vec![right.clone(), left.clone()] } else { vec![left.clone(), right.clone()] };
                let mut args = vec![Expr::Column(0), Expr::Column(1)];
                if symbol == "text_concat_ws" {
                    args.insert(0, Expr::Const(Value::text(",")));
                }
                let call = Expr::Call { function: lookup(symbol), args };
                let actual = match call.eval(Tuple::single(&tuple), &EvalContext::default()) {
                    Value::Text(text) => Some(text.to_string()),
                    Value::Null => None,
                    // char(n) || text is text || text after a cast; it never comes as this function.
                    other => panic!("{query} {tuple:?}: {other:?}"),
                };
                assert_eq!(actual, expected, "{query} {tuple:?}");
            }
        }
    }
}
