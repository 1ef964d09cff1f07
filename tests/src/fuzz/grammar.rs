//! Queries over everything that is maintained, and some that is not.

use super::expression::Scope;
use super::query::Query;
use super::schema::{Kind, Relation};
use super::subquery::{condition, lateral, scalar, sets};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

impl Query {
    /// A random query over these relations, at most `depth` queries deep.
    pub fn random(relations: &[Relation], depth: usize, rng: &mut StdRng) -> Query {
        let mut query = match rng.random_range(0..12) {
            0..4 => plain(relations, depth, rng),
            4..8 => grouped(relations, depth, rng),
            8..11 => windowed(relations, depth, rng),
            _ => distinct_on(relations, depth, rng),
        };
        if query.limit.is_some() {
            return query;
        }
        if depth > 0 && rng.random_bool(0.15) && query.distinct_on == 0 {
            combine(&mut query, relations, depth, rng);
        }
        if query.distinct_on == 0 && query.is_plain() && rng.random_bool(0.12) {
            limit(&mut query, rng);
        }
        query
    }

    /// Equal output rows look alike.
    fn is_plain(&self) -> bool {
        self.targets.iter().all(|(_, kind)| kind.is_plain())
    }
}

/// FROM: one to three items, joined along columns of one kind where there are such; columns are those of all items.
fn from(query: &mut Query, relations: &[Relation], depth: usize, rng: &mut StdRng) -> Scope {
    let mut scope = Scope { columns: vec![], relations: relations.to_vec() };
    for at in 0..[1, 1, 1, 1, 2, 2, 2, 3][rng.random_range(0..8)] {
        let alias = format!("q{at}");
        if at > 0 && rng.random_bool(0.25) {
            let (item, columns) = lateral(&scope, &alias, rng);
            query.from.push(item);
            scope.columns.extend(columns);
            continue;
        }
        let (item, columns) = item(relations, depth, rng);
        let own: Vec<(String, Kind)> =
            columns.into_iter().map(|(name, kind)| (format!("{alias}.{name}"), kind)).collect();
        if at == 0 {
            query.from.push(format!("{item} {alias}"));
            scope.columns = own;
            continue;
        }
        let pairs: Vec<(String, String)> = own
            .iter()
            .filter(|(_, kind)| kind.is_plain())
            .flat_map(|(mine, kind)| {
                let partners = scope.columns.iter().filter(move |(_, other)| other == kind);
                partners.map(move |(theirs, _)| (mine.clone(), theirs.clone()))
            })
            .collect();
        let on = match pairs.choose(rng) {
            Some((mine, theirs)) => format!("{mine} = {theirs}"),
            None => "true".into(),
        };
        scope.columns.extend(own);
        let kind =
            *["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"].choose(rng).expect("not empty");
        // A FULL JOIN has to be a merge: Postgres refuses other conditions.
        let more = kind != "FULL JOIN" && rng.random_bool(0.2);
        let on = if more { format!("{on} AND {}", condition(&scope, depth, rng)) } else { on };
        let kind = if on == "true" && kind == "FULL JOIN" { "LEFT JOIN" } else { kind };
        query.from.push(format!("{kind} {item} {alias} ON {on}"));
    }
    for _ in 0..rng.random_range(0..3) {
        let condition = condition(&scope, depth, rng);
        query.conditions.push(condition);
    }
    scope
}

fn item(relations: &[Relation], depth: usize, rng: &mut StdRng) -> (String, Vec<(String, Kind)>) {
    if depth > 0 && rng.random_bool(0.25) {
        let query = Query::random(relations, depth - 1, rng);
        let columns = query.targets.iter().enumerate().map(|(at, (_, kind))| (format!("c{at}"), *kind)).collect();
        return (format!("({query})"), columns);
    }
    let relation = relations.choose(rng).expect("there are relations");
    (relation.name.clone(), relation.columns.clone())
}

fn targets(query: &mut Query, scope: &Scope, count: usize, rng: &mut StdRng) {
    for _ in 0..count {
        let target = match scope.any_column(rng) {
            Some(column) if rng.random_bool(0.6) => column,
            Some((_, kind)) if kind.is_plain() => (scope.expr(kind, 2, rng), kind),
            Some(column) => column,
            None => ("1".into(), Kind::Int4),
        };
        query.targets.push(target);
    }
}

fn plain(relations: &[Relation], depth: usize, rng: &mut StdRng) -> Query {
    let mut query = Query::default();
    let scope = from(&mut query, relations, depth, rng);
    let count = rng.random_range(1..5);
    targets(&mut query, &scope, count, rng);
    if depth > 0 && rng.random_bool(0.15) {
        query.targets.push(scalar(&scope, rng));
    }
    let has_sets = rng.random_bool(0.08);
    if has_sets {
        query.targets.push(sets(&scope, rng));
    }
    query.distinct = query.is_plain() && rng.random_bool(0.15);
    // Rows that are equal in all columns show the same. What is shown and is no key is computed for rows beyond the limit, too.
    let is_ordered = query.from.len() == 1 && scope.columns.iter().all(|(_, kind)| kind.is_plain());
    if is_ordered && !has_sets && !query.distinct && rng.random_bool(0.25) {
        if let Some(column) = scope.column_of(Kind::Int4, rng) {
            query.targets.push((format!("12 / ({column} - 3)"), Kind::Int4));
        }
        query.order = scope.columns.iter().map(|(column, _)| column.clone()).collect();
        query.limit = Some(format!("LIMIT {}", rng.random_range(1..3)));
    }
    query
}

fn grouped(relations: &[Relation], depth: usize, rng: &mut StdRng) -> Query {
    let mut query = Query { grouped: true, ..Query::default() };
    let scope = from(&mut query, relations, depth, rng);
    let mut keys: Vec<(String, Kind)> = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        if let Some(key) = scope.plain_column(rng)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    query.targets.extend(keys.iter().cloned());
    for _ in 0..rng.random_range(1..4) {
        let call = scope.aggregate(false, rng);
        query.targets.push(call);
    }
    if rng.random_bool(0.3) {
        query.having.push(format!("count(*) > {}", rng.random_range(0..3)));
    }
    let names: Vec<String> = keys.iter().map(|(name, _)| name.clone()).collect();
    if !names.is_empty() && rng.random_bool(0.25) {
        let list = names.join(", ");
        query.group = vec![match rng.random_range(0..3) {
            0 => format!("ROLLUP ({list})"),
            1 => format!("CUBE ({list})"),
            _ => format!("GROUPING SETS (({list}), (), ({}))", names[0]),
        }];
        query.targets.push((format!("grouping({list})"), Kind::Int4));
    } else {
        query.group = names;
    }
    query
}

/// Every column, each with a direction: rows that tie look alike.
fn total_order(columns: &[(String, Kind)], rng: &mut StdRng) -> String {
    let mut keys: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("{name}{}", ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"][rng.random_range(0..4)]))
        .collect();
    keys.shuffle(rng);
    keys.join(", ")
}

fn windowed(relations: &[Relation], depth: usize, rng: &mut StdRng) -> Query {
    let mut query = Query::default();
    let scope = from(&mut query, relations, depth.min(1), rng);
    let count = rng.random_range(1..3);
    targets(&mut query, &scope, count, rng);
    let plain: Vec<(String, Kind)> = scope.columns.iter().filter(|(_, kind)| kind.is_plain()).cloned().collect();
    for _ in 0..rng.random_range(1..3) {
        let partition = match scope.plain_column(rng) {
            Some((column, _)) if rng.random_bool(0.6) => format!("PARTITION BY {column} "),
            _ => String::new(),
        };
        let total = plain.len() == scope.columns.len() && rng.random_bool(0.5);
        let single = scope.plain_column(rng);
        let order = match (&single, total) {
            (_, true) => total_order(&plain, rng),
            (Some((column, _)), _) => {
                format!("{column}{}", ["", " DESC", " NULLS FIRST"][rng.random_range(0..3)])
            }
            (None, _) => continue,
        };
        let (column, kind) = scope.any_column(rng).unwrap_or(("1".into(), Kind::Int4));
        let choice = rng.random_range(0..13);
        let (call, result) = match choice {
            0 if total => ("row_number()".into(), Kind::Int8),
            0 | 1 => ("rank()".into(), Kind::Int8),
            2 => ("dense_rank()".into(), Kind::Int8),
            3 => ("percent_rank()".into(), Kind::Float),
            4 => ("cume_dist()".into(), Kind::Float),
            5 => (format!("ntile({})", rng.random_range(1..4)), Kind::Int4),
            6 => (format!("lag({column}, {})", rng.random_range(0..3)), kind),
            7 => (format!("lead({column})"), kind),
            8 => (format!("first_value({column})"), kind),
            9 => (format!("last_value({column})"), kind),
            10 => (format!("nth_value({column}, {})", rng.random_range(1..4)), kind),
            _ => scope.aggregate(true, rng),
        };
        let of_numbers = !total && single.is_some_and(|(_, kind)| kind.is_integer());
        let frame = if choice >= 8 && rng.random_bool(0.7) { frame(of_numbers, rng) } else { String::new() };
        query.targets.push((format!("{call} OVER ({partition}ORDER BY {order}{frame})"), result));
    }
    query
}

fn frame(range_offsets: bool, rng: &mut StdRng) -> String {
    let mode = ["ROWS", "GROUPS", "RANGE"][rng.random_range(0..3)];
    let offsets = mode != "RANGE" || range_offsets;
    let mut bound = |unbounded: &str, direction: &str| match rng.random_range(0..3) {
        0 => unbounded.to_owned(),
        1 if offsets => format!("{} {direction}", rng.random_range(0..3)),
        _ => "CURRENT ROW".to_owned(),
    };
    let (start, end) = (bound("UNBOUNDED PRECEDING", "PRECEDING"), bound("UNBOUNDED FOLLOWING", "FOLLOWING"));
    let exclude = ["", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"][rng.random_range(0..5)];
    format!(" {mode} BETWEEN {start} AND {end}{exclude}")
}

fn distinct_on(relations: &[Relation], depth: usize, rng: &mut StdRng) -> Query {
    let mut query = Query::default();
    let scope = from(&mut query, relations, depth, rng);
    let mut plain: Vec<(String, Kind)> = scope.columns.into_iter().filter(|(_, kind)| kind.is_plain()).collect();
    if plain.is_empty() {
        query.targets.push(("count(*)".into(), Kind::Int8));
        return query;
    }
    plain.shuffle(rng);
    plain.truncate(rng.random_range(1..5));
    query.distinct_on = rng.random_range(1..=plain.len());
    // All targets are sorted by: which row is first is settled.
    query.order = plain.iter().map(|(name, _)| format!("{name}{}", ["", " DESC"][rng.random_range(0..2)])).collect();
    query.targets = plain;
    query
}

fn combine(query: &mut Query, relations: &[Relation], depth: usize, rng: &mut StdRng) {
    let mut other = Query::default();
    let scope = from(&mut other, relations, depth - 1, rng);
    other.targets = query
        .targets
        .iter()
        .map(|(_, kind)| match kind {
            Kind::Float | Kind::Loose | Kind::Oid | Kind::Other => (format!("NULL::{}", kind.sql()), *kind),
            kind => (scope.expr(*kind, 1, rng), *kind),
        })
        .collect();
    let operators: &[&str] = if query.is_plain() {
        &["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"]
    } else {
        &["UNION ALL"]
    };
    query.other = Some((operators.choose(rng).expect("not empty"), Box::new(other)));
}

fn limit(query: &mut Query, rng: &mut StdRng) {
    let mut places: Vec<usize> = (1..=query.targets.len()).collect();
    places.shuffle(rng);
    query.order = places.iter().map(|place| format!("{place}{}", ["", " DESC"][rng.random_range(0..2)])).collect();
    query.limit = Some(match rng.random_range(0..4) {
        3 => {
            // Fewer keys, so that there are ties.
            query.order.truncate(1);
            format!("FETCH FIRST {} ROWS WITH TIES", rng.random_range(0..4))
        }
        0 => format!("LIMIT {}", rng.random_range(0..5)),
        1 => format!("LIMIT {} OFFSET {}", rng.random_range(0..5), rng.random_range(0..4)),
        _ => format!("OFFSET {}", rng.random_range(0..4)),
    });
}
