//! What a version of a million rows costs to publish and to read:
//! `cargo run --release -p weir-cache --example snapshot_numbers [rows]`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_cache::read::Compiled;
use weir_cache::{Delta, Position, Publisher, Snapshot};
use weir_planner::eval::EvalContext;
use weir_planner::functions::lookup;
use weir_planner::plan::{AggregateCall, AggregateKind, Node, SortKey};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Expr, Numeric, Plan, RelationId, Row, Value};

/// As the `weir` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RISK_SCORES: RelationId = RelationId(1);
const USERS: RelationId = RelationId(2);
/// Rows of `risk_scores` that one new transaction changes at a million: its user's and its merchant's.
const USER_ROWS: i64 = 1_000;
const MERCHANT_ROWS: i64 = 10_000;

fn columns() -> Vec<ColumnType> {
    let oids = [
        oid::INT8,
        oid::INT8,
        oid::TEXT,
        oid::TEXT,
        oid::INT8,
        oid::TEXT,
        oid::TEXT,
        oid::NUMERIC,
        oid::TIMESTAMPTZ,
        oid::INT8,
        oid::NUMERIC,
        oid::NUMERIC,
        oid::TEXT,
    ];
    oids.iter().map(|&oid| ColumnType::new(oid)).collect()
}

struct Texts {
    users: Vec<Value>,
    merchants: Vec<Value>,
    categories: Vec<Value>,
    levels: Vec<Value>,
}

impl Texts {
    fn new() -> Texts {
        let named = |kind: &str, count: usize| (0..count).map(|n| Value::text(&format!("{kind} {n}"))).collect();
        Texts {
            users: named("User", 1_000),
            merchants: named("Merchant", 100),
            categories: named("Category", 7),
            levels: ["HIGH", "MEDIUM"].iter().map(|text| Value::text(text)).collect(),
        }
    }

    /// The row of a transaction after `touched` changes of its user and merchant.
    fn row(&self, id: i64, touched: i64) -> Row {
        let user = (id * 7_919) % 1_000;
        let merchant = (id * 104_729) % 100;
        Arc::from([
            Value::Int8(id),
            Value::Int8(user),
            self.users[user as usize].clone(),
            self.categories[(user % 7) as usize].clone(),
            Value::Int8(merchant),
            self.merchants[merchant as usize].clone(),
            self.categories[(merchant % 7) as usize].clone(),
            Value::Numeric(Numeric::new(i128::from(id % 100_000), 2)),
            Value::TimestampTz(800_000_000_000_000 + id),
            Value::Int8(1_000 + touched),
            Value::Numeric(Numeric::new(i128::from(5_000 + touched), 2)),
            Value::Numeric(Numeric::new(i128::from(6_000 + touched), 2)),
            self.levels[usize::from(id % 12 != 0)].clone(),
        ])
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Time this thread has spent on a processor: on a machine shared with others the only honest measure of milliseconds.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * PAGE
}

struct Bench {
    publisher: Publisher,
    texts: Texts,
    /// How often each transaction's row has changed.
    touched: Vec<i64>,
    position: u64,
}

impl Bench {
    fn publish(&mut self) -> Arc<Snapshot> {
        self.position += 1;
        self.publisher.stamp(RISK_SCORES, Position(self.position));
        self.publisher.stamp(USERS, Position(self.position));
        self.publisher.publish(Position(self.position))
    }

    /// Rows of one user and one merchant, as a new transaction changes them; or just one row.
    fn delta(&mut self, step: i64, rows: i64) -> Delta {
        let total = self.touched.len() as i64;
        let ids: Vec<i64> = if rows == 1 {
            vec![(step * 7_717) % total]
        } else {
            let merchant = (0..MERCHANT_ROWS).map(|n| (n * 100 + step % 100) % total);
            let mut ids: Vec<i64> =
                merchant.chain((0..USER_ROWS).map(|n| (n * 1_000 + (step * 31) % 1_000) % total)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let mut delta = Delta::new();
        for id in ids {
            let touched = &mut self.touched[id as usize];
            delta.push((self.texts.row(id, *touched), -1));
            *touched += 1;
            delta.push((self.texts.row(id, *touched), 1));
        }
        delta
    }

    fn publishes(&mut self, label: &str, rows: i64, repeats: i64) {
        let mut times = Vec::new();
        let mut used = Duration::ZERO;
        let mut held = self.publish();
        for step in 0..repeats {
            let delta = self.delta(step, rows);
            let before = processor_time();
            let start = Instant::now();
            self.publisher.apply(RISK_SCORES, &delta);
            // What readers held before is let go by then, as it is when the next snapshot takes its place.
            held = self.publish();
            times.push(start.elapsed());
            used += processor_time() - before;
        }
        black_box(held);
        println!("| publish, {label} | {:?} | {:?} |", median(times), used / repeats as u32);
    }
}

fn reads(label: &str, plan: &Plan, snapshot: &Snapshot, params: impl Fn(i64) -> Vec<Value>, repeats: i64) {
    let read = Compiled::new(plan).expect("the benchmark's plans are supported");
    let contexts: Vec<EvalContext> =
        (0..repeats).map(|step| EvalContext { params: params(step), ..EvalContext::default() }).collect();
    let mut rows = 0;
    let mut times = Vec::new();
    let before = processor_time();
    for context in &contexts {
        let start = Instant::now();
        let answer = read.execute(snapshot, context).expect("answered from memory");
        rows = black_box(&answer).len();
        times.push(start.elapsed());
    }
    let used = (processor_time() - before) / repeats as u32;
    println!("| {label} ({rows} rows) | {:?} | {used:?} |", median(times));
}

fn call(symbol: &str, args: Vec<Expr>) -> Expr {
    Expr::Call { function: lookup(symbol).expect("a registered function"), args }
}

fn scan(relation: RelationId) -> Plan {
    Plan { node: Node::Scan { relation, columns: (0..columns().len()).collect() }, columns: columns() }
}

fn filter(input: Plan, predicate: Expr) -> Plan {
    let columns = input.columns.clone();
    Plan { node: Node::Filter { input: Box::new(input), predicate }, columns }
}

fn top(input: Plan, column: usize, limit: i64) -> Plan {
    let columns = input.columns.clone();
    let key =
        SortKey { expr: Expr::Column(column), kind: columns[column].clone(), descending: true, nulls_first: true };
    let limit = Some(Expr::Const(Value::Int8(limit)));
    Plan { node: Node::Sort { input: Box::new(input), keys: vec![key], limit, offset: None }, columns }
}

/// `SELECT category, count(*) FILTER (WHERE risk_level = …) …, count(*) … GROUP BY 1`.
fn by_category() -> Plan {
    let count = |filter: Option<&str>| AggregateCall {
        kind: AggregateKind::CountRows,
        args: vec![],
        distinct: false,
        filter: filter.map(|level| call("texteq", vec![Expr::Column(12), Expr::Const(Value::text(level))])),
        order: vec![],
        input: None,
        output: ColumnType::new(oid::INT8),
    };
    let aggregates = vec![count(Some("HIGH")), count(Some("MEDIUM")), count(None)];
    let mut columns = vec![ColumnType::new(oid::TEXT)];
    columns.extend(aggregates.iter().map(|call| call.output.clone()));
    let keys = vec![Expr::Column(6)];
    Plan { node: Node::Aggregate { input: Box::new(scan(RISK_SCORES)), keys, aggregates }, columns }
}

fn main() {
    let rows: i64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut bench =
        Bench { publisher: Publisher::new(), texts: Texts::new(), touched: vec![0; rows as usize], position: 0 };
    bench.publisher.add(RISK_SCORES, columns());
    bench.publisher.add(USERS, columns());
    let users: Delta = (0..1_000).map(|id| (bench.texts.row(id * 31, 0), 1)).collect();
    bench.publisher.apply(USERS, &users);
    let before = resident_bytes();
    let start = Instant::now();
    for from in (0..rows).step_by(50_000) {
        let delta: Delta = (from..(from + 50_000).min(rows)).map(|id| (bench.texts.row(id, 0), 1)).collect();
        bench.publisher.apply(RISK_SCORES, &delta);
    }
    println!("load {rows} rows in {:?}", start.elapsed());
    println!("resident {} bytes per row", (resident_bytes() - before) / rows as usize);
    println!(
        "accounted {} bytes per row",
        bench.publisher.memory().iter().map(|(_, bytes)| bytes).sum::<usize>() / rows as usize
    );
    println!("| | median | mean processor time |\n|---|---|---|");
    bench.publishes("1 changed row, no index", 1, 2_000);
    bench.publishes("11,000 changed rows, no index", 11_000, 41);

    let by_id = filter(scan(RISK_SCORES), call("int8eq", vec![Expr::Column(0), Expr::Param(0)]));
    let point = move |step: i64| vec![Value::Int8((step * 7_717) % rows)];
    let alerts = {
        let level = |text: &str| Expr::Const(Value::text(text));
        let any = Expr::ScalarArray {
            function: lookup("texteq").expect("a registered function"),
            any: true,
            left: Box::new(Expr::Column(12)),
            list: vec![level("HIGH"), level("MEDIUM")],
        };
        top(filter(scan(RISK_SCORES), any), 0, 15)
    };
    let high = {
        let high = call("texteq", vec![Expr::Column(12), Expr::Const(Value::text("HIGH"))]);
        top(filter(scan(RISK_SCORES), high), 0, 5)
    };
    let users = {
        let some = call("int8gt", vec![Expr::Column(9), Expr::Const(Value::Int8(0))]);
        top(filter(scan(USERS), some), 7, 10)
    };
    let snapshot = bench.publish();
    reads("point read, no index yet", &by_id, &snapshot, point, 3);
    let mut slices = Vec::new();
    while bench.publisher.has_demands() {
        let start = Instant::now();
        drop(bench.publish());
        slices.push(start.elapsed());
    }
    println!("hash index built in {} slices, {:?} in all", slices.len(), slices.iter().sum::<Duration>());
    bench.publishes("1 changed row, hash index on the key", 1, 2_000);
    bench.publishes("11,000 changed rows, hash index on the key", 11_000, 41);
    let snapshot = bench.publish();
    reads("top 15 of HIGH, MEDIUM, no order index yet", &alerts, &snapshot, |_| vec![], 3);
    let start = Instant::now();
    while bench.publisher.has_demands() {
        drop(bench.publish());
    }
    println!("ordered index built in {:?}", start.elapsed());
    bench.publishes("1 changed row, hash and ordered index", 1, 2_000);
    bench.publishes("11,000 changed rows, hash and ordered index", 11_000, 41);
    let snapshot = bench.publish();
    for spec in snapshot.tables[&RISK_SCORES].index_specs() {
        println!("index: {spec:?}");
    }
    reads("point read by unique key", &by_id, &snapshot, point, 20_000);
    reads("top 10 by an index", &top(scan(RISK_SCORES), 0, 10), &snapshot, |_| vec![], 20_000);
    reads("top 15 of HIGH, MEDIUM", &alerts, &snapshot, |_| vec![], 20_000);
    reads("top 5 of HIGH", &high, &snapshot, |_| vec![], 20_000);
    reads("filter and top 10 of 1,000 rows", &users, &snapshot, |_| vec![], 2_000);
    reads("whole table of 1,000 rows", &scan(USERS), &snapshot, |_| vec![], 2_000);
    reads("GROUP BY over the whole table", &by_category(), &snapshot, |_| vec![], 5);
    println!(
        "accounted {} bytes per row",
        bench.publisher.memory().iter().map(|(_, bytes)| bytes).sum::<usize>() / rows as usize
    );
    println!("resident {} bytes per row", (resident_bytes() - before) / rows as usize);
}
