//! Postgres is the oracle: the same statement through Weir and directly must answer the same, to the byte.

use crate::reads;
use crate::scenario::Scenario;
use crate::wire::{RawClient, Table};
use bytes::Bytes;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// At most this many differing rows are shown.
const SHOWN_ROWS: usize = 10;

/// How long the analysis of one statement may take.
const ANALYSIS_TIMEOUT: Duration = Duration::from_secs(10);
/// What has been written without a pause is read within this time.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take until a table is in memory again.
const SETTLING_TIMEOUT: Duration = Duration::from_secs(20);
/// float4 and float8, and by how much the last digits of sums may differ, relative to their size.
const FLOATS: [(u32, f64); 2] = [(700, 1e-5), (701, 1e-9)];
/// Reads besides `SELECT *` in one comparison of a scenario.
const RANDOM_READS: usize = 3;

/// Whether the statement fixes the order of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Compared as a multiset.
    Any,
    /// ORDER BY over a unique key.
    Exact,
}

/// Compares one statement, in text (simple protocol) and in binary (extended protocol). `Err` tells the difference.
/// The caller sees to it that both see the same commits: writers pause, and the session through Weir reads at the
/// consistency level `latest`.
pub fn compare(weir: &mut RawClient, direct: &mut RawClient, sql: &str, order: Order) -> Result<(), String> {
    compare_text(weir, direct, sql, order)?;
    compare_binary(weir, direct, sql, order)
}

fn compare_text(weir: &mut RawClient, direct: &mut RawClient, sql: &str, order: Order) -> Result<(), String> {
    let answers = (weir.query(sql), direct.query(sql));
    compare_tables(&answers.0, &answers.1, order).map_err(|found| format!("text: {sql}\n{found}"))
}

fn compare_binary(weir: &mut RawClient, direct: &mut RawClient, sql: &str, order: Order) -> Result<(), String> {
    let answers = (Table::read(&weir.extended(sql, &[], 1)), Table::read(&direct.extended(sql, &[], 1)));
    compare_tables(&answers.0, &answers.1, order).map_err(|found| format!("binary: {sql}\n{found}"))
}

/// Rows in any order, equal at every moment, and from memory in the end: what a change of the catalogue has made necessary is
/// waited for. Panics.
pub fn settled(weir: &mut RawClient, direct: &mut RawClient, sql: &str) {
    let started = Instant::now();
    loop {
        compare(weir, direct, sql, Order::Any).unwrap_or_else(|found| panic!("{found}"));
        let route = weir.last_route();
        if route.starts_with("memory") {
            return;
        }
        assert!(started.elapsed() < SETTLING_TIMEOUT, "{sql}: {route}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The same rows in this order, but for the last digits of floats: what Postgres sums up depends on the order of its rows.
pub fn compare_close(weir: &mut RawClient, direct: &mut RawClient, sql: &str) -> Result<(), String> {
    let (mut answer, expected) = (weir.query(sql), direct.query(sql));
    for (at, column) in expected.columns.iter().enumerate() {
        let Some((_, tolerance)) = FLOATS.iter().find(|(type_oid, _)| *type_oid == column.type_oid) else { continue };
        for (row, expected) in answer.rows.iter_mut().zip(&expected.rows) {
            if is_close(&row[at], &expected[at], *tolerance) {
                row[at].clone_from(&expected[at]);
            }
        }
    }
    compare_tables(&answer, &expected, Order::Exact).map_err(|found| format!("{sql}\n{found}"))
}

fn is_close(weir: &Option<Bytes>, direct: &Option<Bytes>, tolerance: f64) -> bool {
    let number = |shown: &Option<Bytes>| std::str::from_utf8(shown.as_ref()?).ok()?.parse::<f64>().ok();
    match (number(weir), number(direct)) {
        (Some(x), Some(y)) => (x - y).abs() <= tolerance * x.abs().max(y.abs()),
        _ => false,
    }
}

/// As `compare`, and both answers through Weir must have come from memory. Nobody waits for the analysis of a statement
/// that Weir has not met (in this protocol, or since the catalogue changed), and a read waits no longer than two seconds for
/// what writers without a pause have written before, of which a busy machine has more: these reasons for forwarding are waited
/// out; no other is. What is answered meanwhile must be right too.
pub fn compare_from_memory(
    weir: &mut RawClient,
    direct: &mut RawClient,
    sql: &str,
    order: Order,
) -> Result<(), String> {
    for compare in [compare_text, compare_binary] {
        let started = Instant::now();
        loop {
            compare(weir, direct, sql, order)?;
            let route = weir.last_route();
            if route.starts_with("memory") {
                break;
            }
            let patience = match route.as_str() {
                "forwarded: behind" => BACKLOG_TIMEOUT,
                route if route.contains("analysis") => ANALYSIS_TIMEOUT,
                _ => Duration::ZERO,
            };
            if started.elapsed() > patience {
                return Err(format!("not from memory but {route:?}: {sql}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

/// Compares every stream table of a scenario, which memory must answer, and random reads over them. The writers pause.
pub fn compare_scenario(
    weir: &mut RawClient,
    direct: &mut RawClient,
    scenario: Scenario,
    rng: &mut StdRng,
) -> Result<(), String> {
    weir.execute("SET weir.consistency = 'latest'");
    for table in scenario.tables {
        compare_from_memory(weir, direct, &format!("SELECT * FROM {table}"), Order::Any)?;
    }
    for _ in 0..RANDOM_READS {
        let (sql, order) = reads::random(scenario, rng);
        compare(weir, direct, &sql, order)?;
    }
    Ok(())
}

/// Compares two answers: error, columns (names, types, typmods, origin), rows, command tag.
pub fn compare_tables(weir: &Table, direct: &Table, order: Order) -> Result<(), String> {
    if weir.error != direct.error {
        return Err(format!("errors differ: through Weir {:?}, directly {:?}", weir.error, direct.error));
    }
    if weir.columns != direct.columns {
        return Err(format!("columns differ: through Weir {:#?}, directly {:#?}", weir.columns, direct.columns));
    }
    if order == Order::Exact && weir.rows != direct.rows {
        let place = weir.rows.iter().zip(&direct.rows).position(|(left, right)| left != right);
        let place = place.unwrap_or(weir.rows.len().min(direct.rows.len()));
        return Err(format!(
            "rows differ from row {place} on: through Weir {}, directly {}",
            show(weir.rows.get(place)),
            show(direct.rows.get(place))
        ));
    }
    compare_multisets(&weir.rows, &direct.rows)?;
    if weir.tag != direct.tag {
        return Err(format!("command tags differ: through Weir {:?}, directly {:?}", weir.tag, direct.tag));
    }
    Ok(())
}

type Row = Vec<Option<Bytes>>;

fn compare_multisets(weir: &[Row], direct: &[Row]) -> Result<(), String> {
    let mut weights: HashMap<&Row, i64> = HashMap::new();
    for row in weir {
        *weights.entry(row).or_default() += 1;
    }
    for row in direct {
        *weights.entry(row).or_default() -= 1;
    }
    weights.retain(|_, weight| *weight != 0);
    if weights.is_empty() {
        return Ok(());
    }
    let mut report = format!("{} rows through Weir, {} directly; difference:", weir.len(), direct.len());
    let mut differing: Vec<_> = weights.into_iter().map(|(row, weight)| (show(Some(row)), weight)).collect();
    differing.sort();
    for (row, weight) in differing.iter().take(SHOWN_ROWS) {
        let side = if *weight > 0 { "only through Weir" } else { "only directly" };
        let _ = write!(report, "\n  {side} ({}): {row}", weight.abs());
    }
    if differing.len() > SHOWN_ROWS {
        let _ = write!(report, "\n  and {} more", differing.len() - SHOWN_ROWS);
    }
    Err(report)
}

fn show(row: Option<&Row>) -> String {
    let Some(row) = row else { return "(no row)".to_owned() };
    let show = |value: &Option<Bytes>| match value {
        None => "NULL".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => format!("{bytes:02x?}"),
        },
    };
    format!("({})", row.iter().map(show).collect::<Vec<_>>().join(", "))
}
