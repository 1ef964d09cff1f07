//! Filters on the time: a random walk of commits, refreshes and a clock that goes on, jumps and goes back. Every view equals
//! the oracle at every moment its span names, the first and the last among them. `WEIR_ENGINE_SEED` replays one walk.

use super::fixtures::*;
use super::generate::{Plans, random_row, table_columns};
use super::oracle::{Oracle, normal_form};
use crate::clock::ClockSpan;
use crate::engine::{EngineError, TableChange};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use weir_planner::functions::lookup;
use weir_planner::plan::{AggregateCall, AggregateKind, Node};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Expr, Plan, RelationId, Row, Value};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Midnight: the clock walks around it.
const START: i64 = 9_800 * 24 * HOUR;
const TABLES: u32 = 2;
/// Stand for tables under a filter while a plan is made.
const FILTERED: u32 = 1_000;
const MAX_ROWS: usize = 12;

fn columns() -> Vec<ColumnType> {
    let mut columns = table_columns();
    columns.extend([ColumnType::new(oid::TIMESTAMPTZ), ColumnType::new(oid::DATE)]);
    columns
}

fn apply(symbol: &str, args: Vec<Expr>) -> Expr {
    call(lookup(symbol).expect("registered"), args)
}

/// Moments that a random clock meets: some microseconds, some seconds, some hours apart.
fn random_moment(random: &mut StdRng) -> i64 {
    let unit = [1, 1, SECOND / 2, HOUR][random.random_range(0..4)];
    START + unit * random.random_range(-30..30)
}

fn timed_row(random: &mut StdRng) -> Row {
    let mut values = random_row(random).to_vec();
    values.push(match random.random_range(0..20) {
        0 => Value::Null,
        1 => Value::TimestampTz([i64::MIN, i64::MAX, START][random.random_range(0..3)]),
        _ => Value::TimestampTz(random_moment(random)),
    });
    values.push(Value::Date((START / (24 * HOUR)) as i32 + random.random_range(-2..3)));
    values.into()
}

/// A comparison of a table's row with the time.
fn bound(random: &mut StdRng) -> Expr {
    let now = || apply("now", vec![]);
    let interval = |micros| Expr::Const(Value::interval(0, 0, micros));
    let (at, day) = (table_columns().len(), table_columns().len() + 1);
    let comparison = ["lt", "le", "ge", "gt", "eq"][random.random_range(0..5)];
    let of_timestamps = format!("timestamp_{comparison}");
    let today = || apply("timestamptz_date", vec![now()]);
    let shift = [1, 3, SECOND, HOUR][random.random_range(0..4)] * random.random_range(-4..5);
    let age = || apply("timestamp_mi", vec![now(), column(at)]);
    match random.random_range(0..11) {
        0..=3 => {
            apply(&of_timestamps, vec![column(at), apply("timestamptz_mi_interval", vec![now(), interval(shift)])])
        }
        4 => apply(&of_timestamps, vec![now(), column(at)]),
        // Most rows are of finite times: one that is not leaves all undecided.
        9 => apply(&format!("interval_{comparison}"), vec![age(), interval(shift)]),
        10 => {
            let days = apply("date_mi", vec![today(), column(day)]);
            apply(&format!("int4{comparison}"), vec![days, Expr::Const(Value::Int4(random.random_range(-1..2)))])
        }
        5 => {
            let second = apply("timestamptz_trunc", vec![Expr::Const(Value::text("second")), now()]);
            apply(&of_timestamps, vec![column(at), second])
        }
        6 => apply(&format!("date_{comparison}"), vec![column(day), today()]),
        7 => apply(&format!("date_{comparison}"), vec![apply("timestamptz_date", vec![column(at)]), today()]),
        _ => apply(&format!("date_{comparison}_timestamptz"), vec![column(day), now()]),
    }
}

/// A table's rows under one or two such comparisons, and now and then another condition between them. Or with comparisons as
/// parts of conditions and values.
fn filtered(random: &mut StdRng, table: u32) -> Plan {
    let mut conjuncts = vec![];
    if random.random_bool(0.7) {
        conjuncts.push(bound(random));
    }
    if random.random_bool(0.4) {
        conjuncts.push(call(&LESS, vec![column(0), int(random.random_range(2..5))]));
    }
    if random.random_bool(0.3) {
        conjuncts.push(Expr::Or(vec![bound(random), call(&LESS, vec![column(0), int(3)])]));
    }
    if random.random_bool(0.3) {
        conjuncts.push(Expr::Not(Box::new(bound(random))));
    }
    if conjuncts.is_empty() || random.random_bool(0.3) {
        conjuncts.push(bound(random));
    }
    let predicate = Expr::conjunction(conjuncts).expect("at least one");
    let rows = filter(scan(table, columns()), predicate);
    let width = table_columns().len();
    let mut exprs: Vec<Expr> = (0..width).map(Expr::Column).collect();
    if random.random_bool(0.3) {
        let (when, unless) = (bound(random), Expr::IsNull(Box::new(bound(random))));
        let branches = vec![(when, int(random.random_range(5..9))), (unless, Expr::Const(Value::Null))];
        exprs[0] = Expr::Case { branches, otherwise: Box::new(column(0)) };
    }
    if random.random_bool(0.2) {
        // As aggregates over windows of their own, by the first column.
        let mut plan = aggregate(rows, vec![0], vec![]);
        let Node::Aggregate { input, aggregates, .. } = &mut plan.node else { unreachable!("just made") };
        for kind in [AggregateKind::Max, AggregateKind::Min] {
            let filter = Some(bound(random));
            aggregates.push(AggregateCall { filter, ..aggregate_call(kind, Some(1), input) });
        }
        let outputs: Vec<ColumnType> = aggregates.iter().map(|call| call.output.clone()).collect();
        plan.columns.extend(outputs);
        let mut columns: Vec<Expr> = vec![column(0), column(1)];
        columns.extend(table_columns()[2..].iter().map(|_| Expr::Const(Value::Null)));
        return project(plan, columns, table_columns());
    }
    project(rows, exprs, table_columns())
}

struct Walk {
    random: StdRng,
    bench: Bench,
    oracle: Oracle,
    views: Vec<u32>,
    clock: i64,
    /// Of every view: the span its rows were last known to be right in.
    spans: HashMap<u32, ClockSpan>,
    compared: usize,
    /// Ends of spans at which another answer begins.
    changes: usize,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let random = StdRng::seed_from_u64(seed);
        let (bench, mut oracle) = (Bench::default(), Oracle::default());
        oracle.now_micros = START;
        let mut walk =
            Walk { random, bench, oracle, views: vec![], clock: START, spans: HashMap::new(), compared: 0, changes: 0 };
        for table in 0..TABLES {
            walk.bench.table(table);
            walk.oracle.tables.insert(RelationId(table), vec![]);
        }
        walk
    }

    fn commit(&mut self) {
        let table = self.random.random_range(0..TABLES);
        let rows = self.oracle.tables.get_mut(&RelationId(table)).expect("every table has rows");
        let mut changes = vec![];
        for _ in 0..self.random.random_range(1..4) {
            if rows.len() < MAX_ROWS && (rows.is_empty() || self.random.random_bool(0.6)) {
                let new = timed_row(&mut self.random);
                rows.push(new.clone());
                changes.push(insert(new));
            } else {
                let old = rows.swap_remove(self.random.random_range(0..rows.len()));
                let new = self.random.random_bool(0.4).then(|| timed_row(&mut self.random));
                rows.extend(new.clone());
                changes.push(TableChange::Row { old: Some(old), new });
            }
        }
        self.bench.commit(table, changes);
    }

    fn create(&mut self) {
        let mut relations: Vec<_> = (0..TABLES).map(|table| (FILTERED + table, table_columns())).collect();
        let views = self.oracle.views.iter().filter(|(_, plan)| !plan.columns.is_empty());
        relations.extend(
            views
                .filter(|(id, _)| self.bench.published.rows(id.0).len() < 40)
                .map(|(id, plan)| (id.0, plan.columns.clone())),
        );
        relations.sort_by_key(|(id, _)| *id);
        let depth = self.random.random_range(0..3);
        let mut plan = Plans { random: &mut self.random, relations, stars: 1 }.plan(depth);
        self.put_filters(&mut plan);
        let id = 100 + self.views.len() as u32;
        self.bench.engine.set_clock(self.clock);
        match self.bench.engine.add_view(RelationId(id), &plan, &self.bench.published) {
            Ok(changes) => self.bench.published.apply(changes),
            // As if nobody had asked for it.
            Err(EngineError::NotKept(_)) => return self.bench.published.apply(self.bench.engine.take_unreported()),
            Err(error) => panic!("a view that can be built: {error}"),
        }
        self.oracle.views.insert(RelationId(id), plan);
        self.views.push(id);
    }

    fn put_filters(&mut self, plan: &mut Plan) {
        if let Node::Scan { relation, columns } = &plan.node
            && relation.0 >= FILTERED
        {
            let (table, picked) = (relation.0 - FILTERED, columns.clone());
            let below = filtered(&mut self.random, table);
            *plan = project(below, picked.into_iter().map(Expr::Column).collect(), plan.columns.clone());
            return;
        }
        plan.inputs_mut().into_iter().for_each(|input| self.put_filters(input));
    }

    fn move_clock(&mut self) {
        self.clock = match self.random.random_range(0..10) {
            0..=4 => self.clock + self.random.random_range(0..4),
            5 | 6 => self.clock + SECOND / 4 * self.random.random_range(0..6),
            7 => self.clock - self.random.random_range(0..6),
            8 => random_moment(&mut self.random),
            // Just where some view's rows stop to be right.
            _ => match self.spans.values().map(|span| span.until).filter(|until| *until < START + 90 * HOUR).min() {
                Some(until) => until - self.random.random_range(0..2),
                None => self.clock,
            },
        };
    }

    fn refresh(&mut self) {
        let all = self.random.random_bool(0.3);
        let some: Vec<u32> = self.views.iter().copied().filter(|_| all || self.random.random_bool(0.4)).collect();
        let ids: Vec<RelationId> = some.iter().map(|&id| RelationId(id)).collect();
        let changes = self.bench.engine.refresh(&ids, self.clock);
        self.bench.published.apply(changes);
        for id in some {
            assert!(!self.bench.engine.is_due(RelationId(id), self.clock), "view {id} is due after its refresh");
            assert!(self.bench.engine.clock_span(RelationId(id)).contains(self.clock));
        }
    }

    /// Whatever has no input waiting is right in all of its span, whenever it was refreshed.
    fn check(&mut self) {
        for id in self.views.clone() {
            let relation = RelationId(id);
            if self.bench.engine.is_stale(relation) || self.bench.in_error(id) {
                continue;
            }
            let span = self.bench.engine.clock_span(relation);
            self.spans.insert(id, span);
            let ours = normal_form(self.bench.published.rows(id));
            let (first, last) = (span.from.max(START - 90 * HOUR), (span.until - 1).min(START + 90 * HOUR));
            if first > last {
                continue;
            }
            let between = self.random.random_range(first..=last);
            for moment in [first, last, between] {
                self.oracle.now_micros = moment;
                let plan = &self.oracle.views[&relation];
                // An error of this moment alone leaves the view undecided when it comes.
                let Ok(expected) = self.oracle.evaluate(plan) else { continue };
                let expected = normal_form(expected);
                assert!(ours == expected, "view {id} at {moment} of {span:?}\n{ours:#?}\n{expected:#?}\n{plan:#?}");
                self.compared += 1;
            }
            if span.until < START + 90 * HOUR {
                self.oracle.now_micros = span.until;
                let after = self.oracle.evaluate(&self.oracle.views[&relation]);
                self.changes += usize::from(after.is_ok_and(|after| normal_form(after) != ours));
            }
        }
    }
}

fn walk(seed: u64) -> (usize, usize) {
    let mut walk = Walk::new(seed);
    for _ in 0..120 {
        match walk.random.random_range(0..20) {
            0 | 1 if walk.views.len() < 6 => walk.create(),
            2 if walk.random.random_bool(0.2) => {
                // Refused where it is looked up by key, or has been let go already.
                let _ = walk.bench.engine.let_go_of(RelationId(walk.random.random_range(0..TABLES)));
            }
            2..=6 => walk.commit(),
            7..=12 => walk.move_clock(),
            _ => {
                walk.refresh();
                walk.check();
            }
        }
    }
    (walk.compared, walk.changes)
}

#[test]
fn views_are_right_in_all_of_their_span() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("WEIR_ENGINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WEIR_ENGINE_WALKS").unwrap_or(60),
    };
    let (mut compared, mut changes) = (0, 0);
    for seed in seeds {
        let run = std::panic::catch_unwind(|| walk(seed)).unwrap_or_else(|panic| {
            eprintln!("seed {seed}: replay with WEIR_ENGINE_SEED={seed}");
            std::panic::resume_unwind(panic)
        });
        (compared, changes) = (compared + run.0, changes + run.1);
    }
    println!("{compared} answers equal, {changes} spans that end with a change");
    assert!(compared > 1_000 && changes > 100, "the walk is worth something only if time changes answers");
}

#[test]
fn a_row_leaves_in_the_microsecond_it_does_in_sql() {
    let mut bench = Bench::default();
    bench.table(0);
    let at = |micros| row(vec![Value::TimestampTz(START + micros)]);
    let since = apply("timestamptz_mi_interval", vec![apply("now", vec![]), Expr::Const(Value::interval(0, 0, 10))]);
    let table = scan(0, vec![ColumnType::new(oid::TIMESTAMPTZ)]);
    let plan = filter(table, apply("timestamp_gt", vec![column(0), since]));
    bench.engine.set_clock(START);
    bench.view(1, &plan);
    bench.commit(0, vec![insert(at(0)), insert(at(5)), insert(at(-20))]);
    let mut rows_at = |clock: i64| {
        let changes = bench.engine.refresh(&[RelationId(1)], START + clock);
        bench.published.apply(changes);
        let span = bench.engine.clock_span(RelationId(1));
        (bench.published.rows(1).len(), span.from.saturating_sub(START), span.until.saturating_sub(START))
    };
    // A row of moment 0 is there while 0 > now - 10.
    assert_eq!(rows_at(0), (2, -10, 10));
    assert_eq!(rows_at(9), (2, -10, 10));
    assert_eq!(rows_at(10), (1, 10, 15));
    assert_eq!(rows_at(15), (0, 15, i64::MAX - START));
    assert_eq!(rows_at(-15), (3, i64::MIN.saturating_sub(START), -10));
}
