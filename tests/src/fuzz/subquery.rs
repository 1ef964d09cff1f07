//! Subqueries as conditions, values and items of FROM, and set-returning functions.

use super::expression::Scope;
use super::schema::{Kind, Relation};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A condition with subqueries: whole, negated, or as a part of a larger one.
pub(super) fn condition(scope: &Scope, depth: usize, rng: &mut StdRng) -> String {
    if depth == 0 || rng.random_bool(0.7) {
        return scope.condition(1, rng);
    }
    let inner = membership(scope, rng);
    match rng.random_range(0..8) {
        0 => format!("({inner} OR {})", scope.condition(0, rng)),
        1 => format!("NOT ({inner} AND {})", scope.condition(0, rng)),
        2 => format!("CASE WHEN {} THEN {inner} ELSE NOT {inner} END", scope.condition(0, rng)),
        3 => format!("({inner}) IS NOT TRUE"),
        _ => inner,
    }
}

/// A test of the rows of a subquery.
fn membership(scope: &Scope, rng: &mut StdRng) -> String {
    let relation = scope.relations.choose(rng).expect("there are relations");
    let inner = Scope {
        columns: relation.columns.iter().map(|(name, kind)| (format!("s.{name}"), *kind)).collect(),
        relations: vec![],
    };
    let Some((mine, kind)) = scope.plain_column(rng) else { return "true".into() };
    let partners: Vec<&String> = inner.columns.iter().filter(|(_, own)| *own == kind).map(|(name, _)| name).collect();
    let Some(theirs) = partners.choose(rng) else { return scope.condition(1, rng) };
    let filter = inner.condition(0, rng);
    let from = format!("FROM {} s WHERE", relation.name);
    match rng.random_range(0..15) {
        // Few rows look groups up by their keys.
        13 | 14 if kind.has_extremes() => {
            let few = scope.plain_column(rng).map(|(other, kind)| format!("{other} = {}", kind.literal(rng)));
            let few = few.unwrap_or_else(|| "true".into());
            let call = ["min", "max"][rng.random_range(0..2)];
            let filter = if rng.random_bool(0.5) { format!(" AND {filter}") } else { String::new() };
            let operator = ["<=", "="][rng.random_range(0..2)];
            format!("({few} AND {mine} {operator} (SELECT {call}({theirs}) {from} {theirs} = {mine}{filter}))")
        }
        10 => {
            format!("EXISTS (SELECT {theirs} {from} {theirs} >= {mine} GROUP BY {theirs} HAVING count(*) > 1)")
        }
        11 => format!("{mine} NOT IN (SELECT {theirs} {from} {filter} ORDER BY {theirs} LIMIT 2)"),
        12 => format!("{mine} <> ALL (SELECT {theirs} {from} {theirs} <= {mine} AND {filter})"),
        0 => format!("EXISTS (SELECT 1 {from} {theirs} = {mine} AND {filter})"),
        1 => format!("NOT EXISTS (SELECT 1 {from} {theirs} = {mine})"),
        2 => format!("{mine} IN (SELECT {theirs} {from} {filter})"),
        3 | 4 => format!("{mine} NOT IN (SELECT {theirs} {from} {filter})"),
        5 => {
            let (operator, quantifier) =
                (["<", ">=", "<>"][rng.random_range(0..3)], ["ANY", "ALL"][rng.random_range(0..2)]);
            format!("{mine} {operator} {quantifier} (SELECT {theirs} {from} {filter})")
        }
        6 if kind == Kind::Bool => format!("{mine} = (SELECT bool_or({theirs}) {from} {filter})"),
        6 if kind.has_extremes() => format!("{mine} = (SELECT max({theirs}) {from} {filter})"),
        7 => format!("(SELECT count(*) {from} {theirs} = {mine}) > {}", rng.random_range(0..3)),
        8 if kind.has_extremes() => format!("{mine} >= (SELECT min({theirs}) {from} {theirs} = {mine} AND {filter})"),
        _ => match scope.plain_column(rng).and_then(|(other, kind)| {
            let partner = inner.columns.iter().find(|(_, own)| *own == kind)?;
            Some((other, partner.0.clone(), kind))
        }) {
            Some((other, partner, other_kind))
                if kind.has_extremes() && other_kind.has_extremes() && rng.random_bool(0.4) =>
            {
                let operator = ["=", "<", ">=", "<>"][rng.random_range(0..4)];
                let filter = if rng.random_bool(0.5) { filter } else { format!("{theirs} = {mine}") };
                format!("({mine}, {other}) {operator} (SELECT max({theirs}), min({partner}) {from} {filter})")
            }
            Some((other, partner, _)) => {
                let not = if rng.random_bool(0.5) { "NOT " } else { "" };
                format!("({mine}, {other}) {not}IN (SELECT {theirs}, {partner} {from} {filter})")
            }
            None => scope.condition(1, rng),
        },
    }
}

/// A scalar subquery in the select list.
pub(super) fn scalar(scope: &Scope, rng: &mut StdRng) -> (String, Kind) {
    let relation = scope.relations.choose(rng).expect("there are relations");
    let inner = Scope {
        columns: relation.columns.iter().map(|(name, kind)| (format!("s.{name}"), *kind)).collect(),
        relations: vec![],
    };
    let (call, kind) = inner.aggregate(false, rng);
    let Some((mine, of)) = scope.plain_column(rng) else { return ("1".into(), Kind::Int4) };
    if rng.random_bool(0.2) {
        return (format!("({})", membership(scope, rng)), Kind::Bool);
    }
    if let Some((theirs, _)) = inner.columns.iter().find(|(_, own)| *own == of)
        && rng.random_bool(0.3)
    {
        let from = format!("FROM {} s WHERE {theirs} <= {mine}", relation.name);
        return match rng.random_range(0..4) {
            3 => {
                let limit = ["", "", " LIMIT 2"][rng.random_range(0..3)];
                (format!("ARRAY(SELECT {theirs} {from} ORDER BY {theirs} DESC{limit})"), Kind::Other)
            }
            0 => (format!("(SELECT {call} {from})"), kind),
            1 => (format!("(SELECT {theirs} {from} ORDER BY {theirs} DESC NULLS LAST LIMIT 1)"), of),
            _ => (format!("(SELECT count(*) FROM (SELECT DISTINCT {theirs} {from}) d)"), Kind::Int8),
        };
    }
    match inner.columns.iter().find(|(_, own)| *own == of) {
        Some((theirs, _)) if rng.random_bool(0.6) => {
            (format!("(SELECT {call} FROM {} s WHERE {theirs} = {mine})", relation.name), kind)
        }
        _ => (format!("(SELECT {call} FROM {} s)", relation.name), kind),
    }
}

/// Columns of a relation under the alias `s`.
fn inner(relation: &Relation) -> Scope {
    let columns = relation.columns.iter().map(|(name, kind)| (format!("s.{name}"), *kind)).collect();
    Scope { columns, relations: vec![] }
}

/// An item of FROM that reads the items before it, with its join and its columns.
pub(super) fn lateral(scope: &Scope, alias: &str, rng: &mut StdRng) -> (String, Vec<(String, Kind)>) {
    let column = |at: usize, kind: Kind| (format!("{alias}.l{at}"), kind);
    if rng.random_bool(0.35) {
        let (call, kinds) = function(scope, rng);
        let (join, on) = join(rng);
        let names = (0..kinds.len()).map(|at| format!("l{at}")).collect::<Vec<_>>().join(", ");
        let columns = kinds.into_iter().enumerate().map(|(at, kind)| column(at, kind)).collect();
        return (format!("{join} {call} {alias}({names}){on}"), columns);
    }
    let relation = scope.relations.choose(rng).expect("there are relations");
    if let Some(function) = relation.function_name().filter(|_| rng.random_bool(0.25)) {
        let (join, on) = join(rng);
        let columns = relation.function_columns().enumerate().map(|(at, (_, kind))| column(at, *kind)).collect();
        return (format!("{join} {function}({}) {alias}{on}", scope.simple(Kind::Int4, rng)), columns);
    }
    let own = inner(relation);
    let correlated = scope.plain_column(rng).and_then(|(mine, kind)| {
        let theirs = own.columns.iter().find(|(_, own)| *own == kind)?;
        Some((mine, theirs.0.clone()))
    });
    let Some((mine, theirs)) = correlated else {
        let value = scope.simple(Kind::Int4, rng);
        return (format!("CROSS JOIN LATERAL (SELECT {value} AS l0) {alias}"), vec![column(0, Kind::Int4)]);
    };
    let operator = ["=", "=", "=", "<", "IS NOT DISTINCT FROM"].choose(rng).expect("not empty");
    let from = format!("FROM {} s WHERE {theirs} {operator} {mine}", relation.name);
    let (join, on) = join(rng);
    let plain = own.plain_column(rng).unwrap_or(("1".into(), Kind::Int4));
    let (query, kinds) = match rng.random_range(0..6) {
        0 => {
            let (call, kind) = own.aggregate(false, rng);
            (format!("SELECT {call} AS l0, count(*) AS l1 {from}"), vec![kind, Kind::Int8])
        }
        1 => {
            let (call, kind) = own.aggregate(false, rng);
            let group = format!("GROUP BY {} HAVING count(*) < 3", plain.0);
            (format!("SELECT {} AS l0, {call} AS l1 {from} {group}", plain.0), vec![plain.1, kind])
        }
        2 => {
            let limit = ["LIMIT 1", "LIMIT 2", "OFFSET 1", "LIMIT 1 OFFSET 1"].choose(rng).expect("not empty");
            (format!("SELECT {} AS l0 {from} ORDER BY 1 {limit}", plain.0), vec![plain.1])
        }
        3 => (format!("SELECT DISTINCT {} AS l0 {from}", plain.0), vec![plain.1]),
        4 => {
            let other = format!("SELECT {} FROM {} s", plain.0, relation.name);
            let operator = ["UNION", "UNION ALL", "EXCEPT", "INTERSECT"].choose(rng).expect("not empty");
            (format!("SELECT {} AS l0 {from} {operator} {other}", plain.0), vec![plain.1])
        }
        _ => {
            let filter = own.condition(1, rng);
            (format!("SELECT {} AS l0, {mine} IS NULL AS l1 {from} AND {filter}", plain.0), vec![plain.1, Kind::Bool])
        }
    };
    let columns = kinds.into_iter().enumerate().map(|(at, kind)| column(at, kind)).collect();
    (format!("{join} LATERAL ({query}) {alias}{on}"), columns)
}

fn join(rng: &mut StdRng) -> (&'static str, &'static str) {
    if rng.random_bool(0.5) { ("CROSS JOIN", "") } else { ("LEFT JOIN", " ON true") }
}

/// A set-returning function in FROM and the kinds of its columns.
fn function(scope: &Scope, rng: &mut StdRng) -> (String, Vec<Kind>) {
    let (call, kind) = sets(scope, rng);
    match rng.random_range(0..6) {
        4 => (format!("few({})", scope.simple(Kind::Int4, rng)), vec![Kind::Int4]),
        5 => {
            let (a, b) = (scope.simple(Kind::Int4, rng), scope.simple(Kind::Int8, rng));
            (format!("twins({a}, {b})"), vec![Kind::Int4, Kind::Int8])
        }
        0 => (format!("{call} WITH ORDINALITY"), vec![kind, Kind::Int8]),
        1 => {
            let (other, second) = sets(scope, rng);
            (format!("ROWS FROM ({call}, {other})"), vec![kind, second])
        }
        _ => (call, vec![kind]),
    }
}

/// A call of a set-returning function.
pub(super) fn sets(scope: &Scope, rng: &mut StdRng) -> (String, Kind) {
    match rng.random_range(0..7) {
        6 => {
            let (a, b) = (scope.simple(Kind::Json, rng), scope.simple(Kind::Int4, rng));
            (format!("jsonb_array_elements(jsonb_build_array({a}, {b}))"), Kind::Json)
        }
        5 if rng.random_bool(0.5) => {
            let text = scope.simple(Kind::Text, rng);
            let call =
                ["string_to_table(#, 'a')", "regexp_split_to_table(#, '(?:a|b)?')", "string_to_table(#, NULL, 'b')"];
            (call.choose(rng).expect("not empty").replace('#', &text), Kind::Text)
        }
        0 => (format!("generate_series(1, least({}, 4))", scope.simple(Kind::Int4, rng)), Kind::Int4),
        1 => (format!("generate_series({}, -1, -2)", scope.simple(Kind::Int8, rng)), Kind::Int8),
        2 => {
            let start = scope.simple(Kind::Timestamp, rng);
            let step = ["1 hour", "1 day", "1 mon"].choose(rng).expect("not empty");
            let end = "timestamp '2024-02-29 01:00'";
            (
                format!("generate_series(greatest({start}, timestamp '2024-02-28 20:00'), {end}, '{step}')"),
                Kind::Timestamp,
            )
        }
        _ => {
            let kind = *Kind::STORED.choose(rng).expect("not empty");
            // There are no arrays of them here.
            let kind = if matches!(kind, Kind::Range | Kind::List | Kind::Json | Kind::Inet | Kind::TimeTz) {
                Kind::Int4
            } else {
                kind
            };
            let items: Vec<String> = (0..rng.random_range(1..4)).map(|_| scope.simple(kind, rng)).collect();
            // A type modifier is no longer known of an array's elements.
            let result = if kind == Kind::Fixed { Kind::Loose } else { kind };
            (format!("unnest(ARRAY[{}])", items.join(", ")), result)
        }
    }
}
