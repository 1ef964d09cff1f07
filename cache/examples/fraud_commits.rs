//! Measures the engine alone on the fraud scenario: 1,000 users, 100 merchants, 1,000,000 transactions and the nine
//! stream tables. Prints the time to build each table, its accounted bytes, and the time of one committed transaction
//! with and without `risk_scores` and its dependants.
//!
//! `cargo run --release -p weir-cache --example fraud_commits [transactions [commits]]`

use std::time::{Duration, Instant};
use weir_cache::Engine;
use weir_cache::engine::{Content, TableChange};
use weir_planner::catalog::{Catalog, ColumnEntry, RelationEntry, RelationKind};
use weir_planner::functions::lookup;
use weir_planner::optimize::optimize;
use weir_planner::plan::{AggregateCall, AggregateKind, Join, JoinKind, Node, SortKey, WindowCall, WindowKind};
use weir_planner::types::oid::{INT4, INT8, NUMERIC, TEXT, TIMESTAMPTZ};
use weir_planner::{ColumnType, Expr, Numeric, Plan, RelationId, Row, Value};

/// As the `weir` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USERS: i64 = 1_000;
const MERCHANTS: i64 = 100;

const USER_TABLE: u32 = 1;
const MERCHANT_TABLE: u32 = 2;
const TRANSACTION_TABLE: u32 = 3;
const TIER_TABLE: u32 = 4;

const USER_VELOCITY: u32 = 11;
const MERCHANT_STATS: u32 = 12;
const CATEGORY_VOLUME: u32 = 13;
const COUNTRY_RISK: u32 = 14;
const MERCHANT_TIER_STATS: u32 = 15;
const RISK_SCORES: u32 = 16;
const ALERT_SUMMARY: u32 = 17;
const TOP_RISKY_MERCHANTS: u32 = 18;
const TOP_10: u32 = 19;

fn column(index: usize) -> Expr {
    Expr::Column(index)
}
fn text(value: &str) -> Expr {
    Expr::Const(Value::text(value))
}
fn number(value: &str) -> Expr {
    Expr::Const(numeric(value))
}
fn numeric(value: &str) -> Value {
    Value::Numeric(Numeric::parse(value).expect("a numeric literal"))
}
fn int4(value: i32) -> Expr {
    Expr::Const(Value::Int4(value))
}
fn int8(value: i64) -> Expr {
    Expr::Const(Value::Int8(value))
}
fn call(symbol: &str, args: Vec<Expr>) -> Expr {
    let function = lookup(symbol).unwrap_or_else(|| panic!("function {symbol} is not implemented"));
    Expr::Call { function, args }
}
fn types(oids: &[u32]) -> Vec<ColumnType> {
    oids.iter().map(|&oid| ColumnType::new(oid)).collect()
}
fn scan(relation: u32, columns: &[usize], oids: &[u32]) -> Plan {
    Plan { node: Node::Scan { relation: RelationId(relation), columns: columns.to_vec() }, columns: types(oids) }
}
fn project(input: Plan, exprs: Vec<Expr>, oids: &[u32]) -> Plan {
    Plan { node: Node::Project { input: Box::new(input), exprs }, columns: types(oids) }
}
fn join(kind: JoinKind, left: Plan, right: Plan, left_column: usize, right_column: usize) -> Plan {
    let columns = left.columns.iter().chain(&right.columns).cloned().collect();
    let equal = vec![(column(left_column), column(right_column))];
    Plan { node: Node::Join(Box::new(Join { kind, left, right, equal, residual: None })), columns }
}
fn aggregate(input: Plan, keys: Vec<Expr>, calls: Vec<AggregateCall>, oids: &[u32]) -> Plan {
    Plan { node: Node::Aggregate { input: Box::new(input), keys, aggregates: calls }, columns: types(oids) }
}
fn agg(kind: AggregateKind, arg: Option<Expr>, input: u32, output: u32) -> AggregateCall {
    AggregateCall {
        kind,
        args: arg.into_iter().collect(),
        distinct: false,
        filter: None,
        order: vec![],
        input: Some(ColumnType::new(input)),
        output: ColumnType::new(output),
    }
}
fn count_distinct(arg: usize) -> AggregateCall {
    AggregateCall { distinct: true, ..agg(AggregateKind::Count, Some(column(arg)), INT8, INT8) }
}
fn or_zero(expr: Expr) -> Expr {
    Expr::Coalesce(vec![expr, number("0")])
}
fn round(expr: Expr, digits: i32) -> Expr {
    call("numeric_round", vec![expr, int4(digits)])
}

/// `dimension LEFT JOIN transactions GROUP BY keys`, with count, sum, avg, and distinct counts.
fn volume(dimension: Plan, link: usize, keys: Vec<usize>, distinct: &[usize], key_oids: &[u32]) -> Plan {
    let width = dimension.columns.len();
    // transactions: id, user_id, merchant_id, amount
    let transactions = scan(TRANSACTION_TABLE, &[0, 1, 2, 3], &[INT8, INT8, INT8, NUMERIC]);
    let joined = join(JoinKind::Left, dimension, transactions, 0, link);
    let amount = column(width + 3);
    let mut calls = vec![
        agg(AggregateKind::Count, Some(column(width)), INT8, INT8),
        agg(AggregateKind::SumNumeric, Some(amount.clone()), NUMERIC, NUMERIC),
        agg(AggregateKind::AvgNumeric, Some(amount), NUMERIC, NUMERIC),
    ];
    calls.extend(distinct.iter().map(|&position| count_distinct(width + position)));
    let mut oids = key_oids.to_vec();
    oids.extend([INT8, NUMERIC, NUMERIC]);
    oids.extend(distinct.iter().map(|_| INT8));
    let count = keys.len();
    let grouped = aggregate(joined, keys.into_iter().map(column).collect(), calls, &oids);
    let mut exprs: Vec<Expr> = (0..=count).map(column).collect();
    exprs.push(or_zero(column(count + 1)));
    exprs.push(or_zero(round(column(count + 2), 2)));
    exprs.extend((count + 3..oids.len()).map(column));
    project(grouped, exprs, &oids)
}

const VELOCITY: [u32; 7] = [INT8, TEXT, TEXT, INT8, NUMERIC, NUMERIC, INT8];
const SCORES: [u32; 13] =
    [INT8, INT8, TEXT, TEXT, INT8, TEXT, TEXT, NUMERIC, TIMESTAMPTZ, INT8, NUMERIC, NUMERIC, TEXT];

fn risk_scores() -> Plan {
    let transactions = scan(TRANSACTION_TABLE, &[0, 1, 2, 3, 4], &[INT8, INT8, INT8, NUMERIC, TIMESTAMPTZ]);
    let users = scan(USER_TABLE, &[0, 1, 2], &[INT8, TEXT, TEXT]);
    let merchants = scan(MERCHANT_TABLE, &[0, 1, 2], &[INT8, TEXT, TEXT]);
    let joined = join(JoinKind::Inner, transactions, users, 1, 0); // 5..8
    let joined = join(JoinKind::Inner, joined, merchants, 2, 0); // 8..11
    let joined = join(JoinKind::Left, joined, scan(USER_VELOCITY, &[0, 1, 2, 3, 4, 5, 6], &VELOCITY), 1, 0); // 11..18
    let joined = join(JoinKind::Left, joined, scan(MERCHANT_STATS, &[0, 1, 2, 3, 4, 5, 6], &VELOCITY), 2, 0); // 18..25
    let coalesce = |a: usize, b: Expr| Expr::Coalesce(vec![column(a), b]);
    let count = || coalesce(14, int8(0));
    let average = || coalesce(16, column(3));
    let times = |factor: &str| call("numeric_mul", vec![number(factor), average()]);
    let level = Expr::Case {
        branches: vec![
            (
                Expr::And(vec![
                    call("int84gt", vec![count(), int4(20)]),
                    call("numeric_gt", vec![column(3), times("3")]),
                ]),
                text("HIGH"),
            ),
            (
                Expr::Or(vec![
                    call("int84gt", vec![count(), int4(10)]),
                    call("numeric_gt", vec![column(3), times("2")]),
                ]),
                text("MEDIUM"),
            ),
        ],
        otherwise: Box::new(text("LOW")),
    };
    let exprs = vec![
        column(0),
        column(1),
        coalesce(12, column(6)),
        column(7),
        column(2),
        coalesce(19, column(9)),
        coalesce(20, column(10)),
        column(3),
        column(4),
        count(),
        average(),
        coalesce(23, column(3)),
        level,
    ];
    project(joined, exprs, &SCORES)
}

fn level_count(level: &str) -> AggregateCall {
    let case = Expr::Case {
        branches: vec![(call("texteq", vec![column(2), text(level)]), int4(1))],
        otherwise: Box::new(int4(0)),
    };
    agg(AggregateKind::SumInt, Some(case), INT4, INT8)
}

fn top_risky_merchants() -> Plan {
    let scores = scan(RISK_SCORES, &[5, 6, 12], &[TEXT, TEXT, TEXT]);
    let risky = Expr::Case {
        branches: vec![(
            Expr::ScalarArray {
                function: lookup("texteq").expect("texteq is implemented"),
                any: true,
                left: Box::new(column(2)),
                list: vec![text("HIGH"), text("MEDIUM")],
            },
            int4(1),
        )],
        otherwise: Box::new(int4(0)),
    };
    let calls = vec![
        agg(AggregateKind::CountRows, None, INT8, INT8),
        level_count("HIGH"),
        level_count("MEDIUM"),
        level_count("LOW"),
        agg(AggregateKind::SumInt, Some(risky), INT4, INT8),
    ];
    let oids = [TEXT, TEXT, INT8, INT8, INT8, INT8, INT8];
    let grouped = aggregate(scores, vec![column(0), column(1)], calls, &oids);
    let numeric_of = |index: usize| call("int8_numeric", vec![column(index)]);
    let rate = call(
        "numeric_div",
        vec![
            call("numeric_mul", vec![number("100.0"), numeric_of(6)]),
            Expr::NullIf {
                equal: lookup("numeric_eq").expect("numeric_eq is implemented"),
                args: Box::new((numeric_of(2), number("0"))),
            },
        ],
    );
    let exprs = (0..6).map(column).chain([round(rate, 1)]).collect();
    project(grouped, exprs, &[TEXT, TEXT, INT8, INT8, INT8, INT8, NUMERIC])
}

fn top_10() -> Plan {
    let kinds = [TEXT, TEXT, INT8, INT8, INT8, INT8, NUMERIC];
    let input = scan(TOP_RISKY_MERCHANTS, &[0, 1, 2, 3, 4, 5, 6], &kinds);
    let key = |index: usize, kind: u32, descending: bool| SortKey {
        expr: column(index),
        kind: ColumnType::new(kind),
        descending,
        nulls_first: descending,
    };
    let order = vec![key(3, INT8, true), key(0, TEXT, false)];
    let numbered = Plan {
        columns: types(&[TEXT, TEXT, INT8, INT8, INT8, INT8, NUMERIC, INT8]),
        node: Node::Window {
            input: Box::new(input),
            functions: vec![WindowCall::plain(WindowKind::RowNumber, vec![], order.clone(), ColumnType::new(INT8))],
        },
    };
    let columns = numbered.columns.clone();
    Plan { node: Node::Sort { input: Box::new(numbered), keys: order, limit: Some(int8(10)), offset: None }, columns }
}

fn country_risk() -> Plan {
    let velocity = scan(USER_VELOCITY, &[2, 3, 4, 5, 6], &[TEXT, INT8, NUMERIC, NUMERIC, INT8]);
    let columns = velocity.columns.clone();
    let predicate = call("int84gt", vec![column(1), int4(0)]);
    let filtered = Plan { node: Node::Filter { input: Box::new(velocity), predicate }, columns };
    let calls = vec![
        agg(AggregateKind::CountRows, None, INT8, INT8),
        agg(AggregateKind::SumInt8, Some(column(1)), INT8, NUMERIC),
        agg(AggregateKind::SumNumeric, Some(column(2)), NUMERIC, NUMERIC),
        agg(AggregateKind::AvgNumeric, Some(column(3)), NUMERIC, NUMERIC),
        agg(AggregateKind::SumInt8, Some(column(4)), INT8, NUMERIC),
    ];
    let oids = [TEXT, INT8, NUMERIC, NUMERIC, NUMERIC, NUMERIC];
    let grouped = aggregate(filtered, vec![column(0)], calls, &oids);
    let exprs = vec![column(0), column(1), column(2), column(3), round(column(4), 2), column(5)];
    project(grouped, exprs, &oids)
}

fn alert_summary() -> Plan {
    let scores = scan(RISK_SCORES, &[12, 7, 8], &[TEXT, NUMERIC, TIMESTAMPTZ]);
    let calls = vec![
        agg(AggregateKind::CountRows, None, INT8, INT8),
        agg(AggregateKind::SumNumeric, Some(column(1)), NUMERIC, NUMERIC),
        agg(AggregateKind::AvgNumeric, Some(column(1)), NUMERIC, NUMERIC),
        agg(AggregateKind::Max, Some(column(2)), TIMESTAMPTZ, TIMESTAMPTZ),
    ];
    let oids = [TEXT, INT8, NUMERIC, NUMERIC, TIMESTAMPTZ];
    let grouped = aggregate(scores, vec![column(0)], calls, &oids);
    let exprs = vec![column(0), column(1), column(2), round(column(3), 2), column(4)];
    project(grouped, exprs, &oids)
}

fn tier_stats() -> Plan {
    let tiers = scan(TIER_TABLE, &[0, 1, 2], &[INT8, TEXT, TIMESTAMPTZ]);
    let joined = join(JoinKind::Inner, tiers, scan(MERCHANT_TABLE, &[0, 1, 2], &[INT8, TEXT, TEXT]), 0, 0);
    let score = Expr::Case {
        branches: vec![
            (call("texteq", vec![column(1), text("HIGH")]), int4(3)),
            (call("texteq", vec![column(1), text("ELEVATED")]), int4(2)),
        ],
        otherwise: Box::new(int4(1)),
    };
    let exprs = vec![column(3), column(4), column(5), column(1), score, column(2)];
    project(joined, exprs, &[INT8, TEXT, TEXT, TEXT, INT4, TIMESTAMPTZ])
}

/// A small generator: the measurement must not depend on a random library's speed or version.
struct Random(u64);
impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as i64
    }
}

fn transaction(id: i64, random: &mut Random) -> Row {
    let cents = 500 + random.below(90_000);
    Row::from([
        Value::Int8(id),
        Value::Int8(1 + random.below(USERS)),
        Value::Int8(1 + random.below(MERCHANTS)),
        Value::Numeric(Numeric::new(i128::from(cents), 2)),
        Value::TimestampTz(800_000_000_000_000 + id * 1_000),
    ])
}

struct NoContent;
impl Content for NoContent {
    fn is_present(&self, _relation: RelationId) -> bool {
        false
    }

    fn for_each(&self, _relation: RelationId, _f: &mut dyn FnMut(&Row, i64)) {}
}

/// What the planner's rewrites have to know: every relation here is unique by its first column, if by anything.
fn catalog() -> Catalog {
    let column = |(index, oid): (usize, &u32)| ColumnEntry {
        name: format!("column_{index}"),
        number: index as i16 + 1,
        type_oid: *oid,
        value_oid: *oid,
        typmod: -1,
        collation: 0,
        not_null: true,
        generated: ' ',
    };
    let relation = |oids: &[u32], kind: RelationKind| RelationEntry {
        schema: "public".to_owned(),
        name: String::new(),
        unique_keys: if kind == RelationKind::Table { vec![vec![0]] } else { vec![] },
        kind,
        columns: oids.iter().enumerate().map(column).collect(),
        generated: vec![],
    };
    let tables: [(u32, &[u32]); 4] = [
        (USER_TABLE, &[INT8, TEXT, TEXT, INT4]),
        (MERCHANT_TABLE, &[INT8, TEXT, TEXT, TEXT]),
        (TRANSACTION_TABLE, &[INT8, INT8, INT8, NUMERIC, TIMESTAMPTZ]),
        (TIER_TABLE, &[INT8, TEXT, TIMESTAMPTZ]),
    ];
    let relations = tables.map(|(id, oids)| (id, relation(oids, RelationKind::Table)));
    Catalog { relations: relations.into(), ..Catalog::default() }
}

fn add(engine: &mut Engine, id: u32, name: &str, plan: &Plan) {
    let start = Instant::now();
    let plan = optimize(plan.clone(), &catalog());
    let changes = engine.add_view(RelationId(id), &plan, &NoContent).expect("a view of the scenario");
    let rows = changes.last().map_or(0, |(_, change)| change.delta.len());
    println!("{name:24} {rows:9} rows in {:8.1} ms", millis(start.elapsed()));
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Time this thread has had a processor, where the system tells: a shared machine then disturbs less.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

/// Resident memory of this process, where the system tells.
fn resident() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown").trim().to_owned();
    format!("{}, at most {}", field("VmRSS:"), field("VmHWM:"))
}

fn commits(engine: &mut Engine, views: &[u32], count: usize, next: &mut i64, random: &mut Random, what: &str) {
    let views: Vec<RelationId> = views.iter().map(|&id| RelationId(id)).collect();
    let mut times = vec![];
    let mut rows = 0;
    let processor = processor_time();
    for _ in 0..count {
        *next += 1;
        let new = transaction(*next, random);
        let start = Instant::now();
        engine
            .apply(RelationId(TRANSACTION_TABLE), vec![TableChange::Row { old: None, new: Some(new) }])
            .expect("an insert always fits");
        let changes = engine.refresh(&views, 0);
        times.push(start.elapsed());
        rows += changes.iter().map(|(_, change)| change.delta.len()).sum::<usize>();
    }
    let spent = processor_time() - processor;
    times.sort();
    let at = |share: f64| millis(times[((times.len() - 1) as f64 * share) as usize]) * 1e3;
    println!(
        "{what}: {count} commits, p50 {:.1} us, p99 {:.1} us, processor time {:.1} us, {} changed rows per commit, \
         {:.2} million changed rows per second of processor time",
        at(0.5),
        at(0.99),
        spent.as_secs_f64() * 1e6 / count as f64,
        rows / count,
        rows as f64 / 1e6 / spent.as_secs_f64()
    );
}

fn main() {
    let argument = |index| std::env::args().nth(index).and_then(|text| text.parse::<i64>().ok());
    let transactions = argument(1).unwrap_or(1_000_000);
    let count = argument(2).unwrap_or(100) as usize;
    let mut random = Random(88_172_645_463_325_252);
    let mut engine = Engine::new();
    for id in [USER_TABLE, MERCHANT_TABLE, TRANSACTION_TABLE, TIER_TABLE] {
        engine.add_table(RelationId(id), Some(vec![0])).expect("a new table");
    }
    let countries = ["US", "UK", "MX", "KR", "AE", "DE", "SE", "RU", "BR", "JP"];
    let categories = ["Retail", "Electronics", "Travel", "Gambling", "Crypto", "Food", "Pharmacy"];
    let pick = |list: &[&str], n: i64| Value::text(list[n as usize % list.len()]);
    let users = (1..=USERS)
        .map(|id| {
            let name = Value::text(&format!("User number {id}"));
            Row::from([Value::Int8(id), name, pick(&countries, id), Value::Int4(365)])
        })
        .collect();
    engine.load(RelationId(USER_TABLE), users).expect("users");
    let merchants = (1..=MERCHANTS)
        .map(|id| {
            let name = Value::text(&format!("Merchant number {id}"));
            Row::from([Value::Int8(id), name, pick(&categories, id), pick(&countries, id)])
        })
        .collect();
    engine.load(RelationId(MERCHANT_TABLE), merchants).expect("merchants");
    let tiers = (1..=MERCHANTS)
        .map(|id| Row::from([Value::Int8(id), pick(&["STANDARD", "ELEVATED", "HIGH"], id), Value::TimestampTz(0)]))
        .collect();
    engine.load(RelationId(TIER_TABLE), tiers).expect("tiers");
    let start = Instant::now();
    let mut next = 0;
    while next < transactions {
        let chunk = (next + 1..=(next + 8192).min(transactions)).map(|id| transaction(id, &mut random)).collect();
        engine.load(RelationId(TRANSACTION_TABLE), chunk).expect("transactions");
        next = (next + 8192).min(transactions);
    }
    println!("{:24} {next:9} rows in {:8.1} ms", "transactions", millis(start.elapsed()));

    let dimension = |table: u32| scan(table, &[0, 1, 2], &[INT8, TEXT, TEXT]);
    let three = [INT8, TEXT, TEXT];
    let category_volume = volume(dimension(MERCHANT_TABLE), 2, vec![2], &[1, 2], &[TEXT]);
    add(&mut engine, USER_VELOCITY, "user_velocity", &volume(dimension(USER_TABLE), 1, vec![0, 1, 2], &[2], &three));
    let merchant_stats = volume(dimension(MERCHANT_TABLE), 2, vec![0, 1, 2], &[1], &three);
    add(&mut engine, MERCHANT_STATS, "merchant_stats", &merchant_stats);
    add(&mut engine, CATEGORY_VOLUME, "category_volume", &category_volume);
    add(&mut engine, COUNTRY_RISK, "country_risk", &country_risk());
    add(&mut engine, MERCHANT_TIER_STATS, "merchant_tier_stats", &tier_stats());
    let cheap = [USER_VELOCITY, MERCHANT_STATS, CATEGORY_VOLUME, COUNTRY_RISK, MERCHANT_TIER_STATS];
    commits(&mut engine, &cheap, 50 * count, &mut next, &mut random, "five tables without risk_scores");

    println!("resident: {}", resident());
    add(&mut engine, RISK_SCORES, "risk_scores", &risk_scores());
    add(&mut engine, ALERT_SUMMARY, "alert_summary", &alert_summary());
    add(&mut engine, TOP_RISKY_MERCHANTS, "top_risky_merchants", &top_risky_merchants());
    add(&mut engine, TOP_10, "top_10_risky_merchants", &top_10());
    let all: Vec<u32> = (USER_VELOCITY..=TOP_10).collect();
    commits(&mut engine, &all, count, &mut next, &mut random, "all nine tables");
    println!("resident, with the rows of risk_scores that a snapshot would share: {}", resident());
    commits(&mut engine, &cheap, 500, &mut next, &mut random, "five of nine, risk_scores waiting");
    commits(&mut engine, &all, 1, &mut next, &mut random, "catching up after 500 commits");

    let mut memory = engine.memory();
    memory.sort();
    for (id, bytes) in memory {
        println!("relation {:3}: {:8.1} MB accounted", id.0, bytes as f64 / 1e6);
    }
}
