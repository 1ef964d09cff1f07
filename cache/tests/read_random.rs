//! Random plans over random tables: one-shot reads equal the naive evaluation, before and after indexes appear.

mod support;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use support::naive::{self, Look, Rows, Tables};
use support::{call, column, filter, function, int8, row, scan, sort, types};
use weir_cache::read::{Compiled, ReadError, execute};
use weir_cache::{Position, Publisher, Snapshot};
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::{AggregateCall, AggregateKind, Join, JoinKind, Node, WindowCall, WindowKind};
use weir_planner::types::oid;
use weir_planner::value::compare_sort_keys;
use weir_planner::{ColumnType, Expr, Numeric, Plan, RelationId, Value};
use weir_tests::rng;

const TABLES: [(RelationId, &[u32]); 3] = [
    (RelationId(1), &[oid::INT8, oid::TEXT, oid::INT8, oid::NUMERIC]),
    (RelationId(2), &[oid::INT8, oid::INT8]),
    (RelationId(3), &[oid::NUMERIC, oid::TEXT]),
];

/// Plans tried per set of tables.
const PLANS: usize = 40;
/// Row pairs the naive evaluation may look at for one plan: a tenth of a second.
const MAX_PAIRS: usize = 100_000;

/// Upper bounds of the rows a plan yields and of the row pairs its naive evaluation looks at.
fn naive_cost(plan: &Plan, tables: &Tables) -> (usize, usize) {
    let below: Vec<(usize, usize)> = plan.inputs().into_iter().map(|input| naive_cost(input, tables)).collect();
    let pairs: usize = below.iter().map(|(_, pairs)| pairs).sum();
    let rows: usize = below.iter().map(|(rows, _)| rows).sum();
    match &plan.node {
        Node::Scan { relation, .. } => (tables[relation].len(), 0),
        Node::Join(_) => {
            let product = below[0].0.saturating_mul(below[1].0);
            (product.max(rows), pairs.saturating_add(product))
        }
        Node::Window { .. } | Node::Aggregate { .. } => (rows, pairs.saturating_add(rows.saturating_mul(rows))),
        _ => (rows, pairs),
    }
}

struct Generator {
    rng: StdRng,
}

impl Generator {
    fn value(&mut self, oid: u32) -> Value {
        if self.rng.random_bool(0.1) {
            return Value::Null;
        }
        match oid {
            oid::INT8 => Value::Int8(self.rng.random_range(0..12)),
            oid::TEXT => {
                Value::text(["x", "y", "zzzzzzzzzz1", "zzzzzzzzzz2"].choose(&mut self.rng).expect("not empty"))
            }
            // Equal numbers with different images.
            _ => Value::Numeric(Numeric::new(
                self.rng.random_range(0..3) * 10,
                *[0, 1].choose(&mut self.rng).expect("not empty"),
            )),
        }
    }

    fn column_of(&mut self, columns: &[ColumnType], oid: u32) -> Option<Expr> {
        let fitting: Vec<usize> = (0..columns.len()).filter(|&index| columns[index].oid == oid).collect();
        fitting.choose(&mut self.rng).map(|&index| column(index))
    }

    fn expr(&mut self, columns: &[ColumnType], oid: u32, depth: u32) -> Expr {
        if depth > 0 && self.rng.random_bool(0.4) {
            return match (oid, self.rng.random_range(0..3)) {
                (oid::INT8, 0) => {
                    call("int8pl", [self.expr(columns, oid, depth - 1), self.expr(columns, oid, depth - 1)])
                }
                (_, 1) => Expr::Coalesce(vec![self.expr(columns, oid, depth - 1), Expr::Const(self.value(oid))]),
                _ => Expr::Case {
                    branches: vec![(self.predicate(columns, depth - 1), self.expr(columns, oid, depth - 1))],
                    otherwise: Box::new(self.expr(columns, oid, depth - 1)),
                },
            };
        }
        match self.column_of(columns, oid) {
            Some(column) if self.rng.random_bool(0.8) => column,
            _ => Expr::Const(self.value(oid)),
        }
    }

    fn predicate(&mut self, columns: &[ColumnType], depth: u32) -> Expr {
        if depth > 0 && self.rng.random_bool(0.5) {
            let parts = vec![self.predicate(columns, depth - 1), self.predicate(columns, depth - 1)];
            return match self.rng.random_range(0..4) {
                0 => Expr::Or(parts),
                1 => Expr::Not(Box::new(self.predicate(columns, depth - 1))),
                _ => Expr::And(parts),
            };
        }
        let (oid, symbols): (u32, &[&str]) = match self.rng.random_range(0..4) {
            0 => (oid::TEXT, &["texteq", "text_lt"]),
            1 => (oid::NUMERIC, &["numeric_eq", "numeric_ge"]),
            _ => (oid::INT8, &["int8eq", "int8lt", "int8ge", "int8eq"]),
        };
        let left = self.expr(columns, oid, depth.min(1));
        let symbol = symbols.choose(&mut self.rng).expect("not empty");
        match self.rng.random_range(0..6) {
            0 => Expr::IsNull(Box::new(left)),
            1 => Expr::ScalarArray {
                function: function(symbols[0]),
                any: true,
                left: Box::new(left),
                list: (0..3).map(|_| Expr::Const(self.value(oid))).collect(),
            },
            _ => call(symbol, [left, self.expr(columns, oid, 0)]),
        }
    }

    fn plan(&mut self, depth: u32) -> Plan {
        if depth == 0 {
            let (relation, oids) = *TABLES.choose(&mut self.rng).expect("not empty");
            let mut columns: Vec<usize> = (0..oids.len()).collect();
            columns.retain(|_| self.rng.random_bool(0.8));
            if columns.is_empty() {
                columns.push(oids.len() - 1);
            }
            if self.rng.random_bool(0.3) {
                columns.reverse();
            }
            let kinds = columns.iter().map(|&column| ColumnType::new(oids[column])).collect();
            return Plan { node: Node::Scan { relation, columns }, columns: kinds };
        }
        match self.rng.random_range(0..10) {
            0 | 1 => {
                let input = self.plan(depth - 1);
                let predicate = self.predicate(&input.columns, 2);
                filter(input, predicate)
            }
            2 | 3 => self.project(depth),
            4 | 5 => self.join(depth),
            6 => self.aggregate(depth),
            7 => {
                let input = self.plan(depth - 1);
                let columns = input.columns.clone();
                Plan { node: Node::Distinct { input: Box::new(input) }, columns }
            }
            8 => self.window(depth),
            _ => {
                // Below other nodes the choice among ties would show: all columns are in the order.
                let input = self.plan(depth - 1);
                let mut keys: Vec<(usize, bool)> =
                    (0..input.columns.len()).map(|index| (index, self.rng.random())).collect();
                keys.reverse();
                let limit = self.rng.random_bool(0.8).then(|| self.rng.random_range(0..20));
                // Equal numerics of different images would be another choice.
                if input.columns.iter().any(|kind| kind.oid == oid::NUMERIC) {
                    input
                } else {
                    sort(input, &keys, limit, Some(1))
                }
            }
        }
    }

    fn project(&mut self, depth: u32) -> Plan {
        let input = self.plan(depth - 1);
        let columns: Vec<ColumnType> = (0..self.rng.random_range(1..4))
            .map(|_| {
                ColumnType::new(
                    *[oid::INT8, oid::INT8, oid::TEXT, oid::NUMERIC].choose(&mut self.rng).expect("not empty"),
                )
            })
            .collect();
        let exprs = columns.iter().map(|kind| self.expr(&input.columns, kind.oid, 2)).collect();
        Plan { node: Node::Project { input: Box::new(input), exprs }, columns }
    }

    fn join(&mut self, depth: u32) -> Plan {
        let kinds = [
            JoinKind::Inner,
            JoinKind::Inner,
            JoinKind::Left,
            JoinKind::Right,
            JoinKind::Full,
            JoinKind::Semi,
            JoinKind::Anti,
        ];
        let kind = *kinds.choose(&mut self.rng).expect("not empty");
        let (left_depth, right_depth) = (self.rng.random_range(0..depth), self.rng.random_range(0..depth));
        let left = self.plan(left_depth);
        let right = self.plan(right_depth);
        let both = [left.columns.clone(), right.columns.clone()].concat();
        let mut equal = Vec::new();
        for _ in 0..self.rng.random_range(1..3) {
            let oid = left.columns.choose(&mut self.rng).expect("a plan has columns").oid;
            let (Some(a), Some(b)) = (self.column_of(&left.columns, oid), self.column_of(&right.columns, oid)) else {
                continue;
            };
            let widened = if oid == oid::INT8 && self.rng.random_bool(0.2) { call("int8pl", [a, int8(1)]) } else { a };
            equal.push((widened, b));
        }
        let residual = self.rng.random_bool(0.3).then(|| self.predicate(&both, 1));
        let columns = if matches!(kind, JoinKind::Semi | JoinKind::Anti) { left.columns.clone() } else { both };
        Plan { node: Node::Join(Box::new(Join { kind, left, right, equal, residual })), columns }
    }

    fn aggregate(&mut self, depth: u32) -> Plan {
        let input = self.plan(depth - 1);
        let keys: Vec<usize> = (0..input.columns.len()).filter(|_| self.rng.random_bool(0.4)).collect();
        let mut columns: Vec<ColumnType> = keys.iter().map(|&key| input.columns[key].clone()).collect();
        let aggregates: Vec<AggregateCall> = (0..self.rng.random_range(1..4))
            .map(|_| {
                let (kind, over, output) = *[
                    (AggregateKind::CountRows, None, oid::INT8),
                    (AggregateKind::Count, Some(oid::TEXT), oid::INT8),
                    (AggregateKind::SumInt8, Some(oid::INT8), oid::NUMERIC),
                    (AggregateKind::AvgInt, Some(oid::INT8), oid::NUMERIC),
                    (AggregateKind::SumNumeric, Some(oid::NUMERIC), oid::NUMERIC),
                    (AggregateKind::Min, Some(oid::INT8), oid::INT8),
                    (AggregateKind::Max, Some(oid::TEXT), oid::TEXT),
                ]
                .choose(&mut self.rng)
                .expect("not empty");
                AggregateCall {
                    kind,
                    args: over.iter().map(|&oid| self.expr(&input.columns, oid, 1)).collect(),
                    distinct: over.is_some_and(|oid| oid != oid::NUMERIC) && self.rng.random_bool(0.3),
                    filter: self.rng.random_bool(0.3).then(|| self.predicate(&input.columns, 1)),
                    order: vec![],
                    input: over.map(ColumnType::new),
                    output: ColumnType::new(output),
                }
            })
            .collect();
        columns.extend(aggregates.iter().map(|call| call.output.clone()));
        let keys = keys.into_iter().map(column).collect();
        Plan { node: Node::Aggregate { input: Box::new(input), keys, aggregates }, columns }
    }

    fn window(&mut self, depth: u32) -> Plan {
        let input = self.plan(depth - 1);
        let partition = (0..input.columns.len()).filter(|_| self.rng.random_bool(0.3)).map(column).collect();
        let ordered: Vec<(usize, bool)> = (0..input.columns.len())
            .filter(|_| self.rng.random_bool(0.6))
            .map(|index| (index, index % 2 == 0))
            .collect();
        // row_number among ties is anyone's choice; the ranks are not.
        let kind = *[WindowKind::Rank, WindowKind::DenseRank].choose(&mut self.rng).expect("not empty");
        let output = ColumnType::new(oid::INT8);
        let mut columns = input.columns.clone();
        columns.push(output.clone());
        let call = WindowCall::plain(kind, partition, support::order(&input, &ordered), output);
        Plan { node: Node::Window { input: Box::new(input), functions: vec![call] }, columns }
    }
}

/// Rows as they look, in some order of their own.
fn bag(rows: &[Vec<Value>]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

fn read(plan: &Plan, snapshot: &Snapshot) -> Rows {
    let rows = execute(plan, snapshot, &EvalContext::default()).unwrap_or_else(|error| panic!("{error}: {plan:?}"));
    rows.iter().map(|row| row.to_vec()).collect()
}

fn publish(publisher: &mut Publisher, round: u64) -> std::sync::Arc<Snapshot> {
    TABLES.iter().for_each(|(id, _)| publisher.stamp(*id, Position(round)));
    publisher.publish(Position(round))
}

#[test]
fn reads_equal_the_naive_evaluation() {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let rounds = rng::rounds(12, 400) as u64;
    let (mut indexes, mut compared, mut several_looks) = (0, 0, 0);
    for round in 0..rounds {
        let mut generator = Generator { rng: StdRng::seed_from_u64(seed.wrapping_add(round)) };
        let mut publisher = Publisher::new();
        let mut tables = Tables::new();
        for (id, oids) in TABLES {
            publisher.add(id, types(oids));
            let size = *[0, 3, 30, 300].choose(&mut generator.rng).expect("not empty");
            let rows: Rows = (0..size).map(|_| oids.iter().map(|&oid| generator.value(oid)).collect()).collect();
            for values in &rows {
                publisher.apply(id, &vec![(row(values.clone()), 1)]);
            }
            tables.insert(id, rows);
        }
        let mut version = 1;
        let mut snapshot = publish(&mut publisher, version);
        for _ in 0..PLANS {
            let depth = generator.rng.random_range(0..4);
            let plan = generator.plan(depth);
            if naive_cost(&plan, &tables).1 > MAX_PAIRS {
                continue;
            }
            // No expression of these plans fails, but of equal keys several looks may come. Then a read is left to Postgres,
            // or shows what does not depend on the choice.
            let show = |look| naive::evaluate_showing(look, &plan, &tables, &EvalContext::default());
            let (want, met_several) = show(Look::First);
            let other = if met_several { show(Look::Other).0 } else { want.clone() };
            let mut is_left = false;
            for attempt in 0..5 {
                match execute(&plan, &snapshot, &EvalContext::default()) {
                    Ok(got) => {
                        let got: Rows = got.iter().map(|row| row.to_vec()).collect();
                        for want in [&want, &other].into_iter().flatten() {
                            assert_eq!(bag(&got), bag(want), "seed {seed} round {round} attempt {attempt}: {plan:#?}");
                        }
                    }
                    // (An aggregate tells of several looks by itself.)
                    Err(ReadError::Eval(_)) if met_several || want.is_err() => is_left = true,
                    Err(error) => panic!("seed {seed} round {round}: {error}, {want:?}: {plan:#?}"),
                }
                if is_left {
                    break;
                }
                version += 1;
                snapshot = publish(&mut publisher, version);
            }
            match &want {
                Ok(want) if !met_several => check_ordered(&mut generator, &plan, want, &snapshot),
                _ => several_looks += usize::from(is_left),
            }
            compared += 1;
        }
        indexes += snapshot.tables.values().map(|table| table.index_specs().count()).sum::<usize>();
    }
    assert!(indexes > 0, "some reads were answered by indexes");
    assert!(several_looks * 2 < compared, "of {compared} plans {several_looks} are left to Postgres");
}

/// ORDER BY some columns with a limit over the plan: the keys come in order, and the rows are rows of the plan.
fn check_ordered(generator: &mut Generator, plan: &Plan, all: &Rows, snapshot: &Snapshot) {
    let keys: Vec<(usize, bool)> = (0..plan.columns.len())
        .filter(|_| generator.rng.random_bool(0.5))
        .map(|index| (index, index % 2 == 1))
        .collect();
    let (limit, offset) = (generator.rng.random_range(0..30), generator.rng.random_range(0..3));
    let ordered = sort(plan.clone(), &keys, Some(limit), Some(offset));
    let order = support::order(plan, &keys);
    let context = EvalContext::default();
    let values = |row: &Vec<Value>| {
        order.iter().map(|key| key.expr.eval(Tuple::single(row), &context).canonical()).collect::<Vec<_>>()
    };
    let mut want: Vec<Vec<Value>> = all.iter().map(values).collect();
    want.sort_by(|a, b| compare_sort_keys(a, b, &order));
    let want: Vec<Vec<Value>> = want.into_iter().skip(offset as usize).take(limit as usize).collect();
    for _ in 0..4 {
        let got = read(&ordered, snapshot);
        assert_eq!(got.iter().map(values).collect::<Vec<_>>(), want, "{ordered:#?}");
        let (mut rest, got) = (bag(all), bag(&got));
        for row in got {
            let at = rest.binary_search(&row).expect("a row of the plan");
            rest.remove(at);
        }
    }
}

/// Which of two equal rows follows the other is open in each window; that the one does in both is no settled answer.
#[test]
fn equal_rows_are_in_no_order_over_two_windows() {
    let (id, oids) = TABLES[1];
    let mut publisher = Publisher::new();
    publisher.add(id, types(oids));
    let values = [[1, 1], [1, 1], [2, 2], [2, 2]].map(|row| row.map(Value::Int8));
    values.iter().for_each(|values| publisher.apply(id, &vec![(row(values.clone()), 1)]));
    publisher.stamp(id, Position(1));
    let snapshot = publisher.publish(Position(1));
    let input = scan(id, &types(oids));
    let lag = |descending: bool| WindowCall {
        args: vec![column(1)],
        input: Some(ColumnType::new(oid::INT8)),
        ..WindowCall::plain(
            WindowKind::Lag,
            vec![],
            support::order(&input, &[(0, descending)]),
            ColumnType::new(oid::INT8),
        )
    };
    let answered = |functions: Vec<WindowCall>| {
        let columns = types(&vec![oid::INT8; 2 + functions.len()]);
        let plan = Plan { node: Node::Window { input: Box::new(input.clone()), functions }, columns };
        execute(&plan, &snapshot, &EvalContext::default()).is_ok()
    };
    assert!(answered(vec![lag(false)]) && answered(vec![lag(false), lag(false)]));
    assert!(!answered(vec![lag(false), lag(true)]));
}

/// The maintained part of a read is scanned instead of computed, and the answer is the same.
#[test]
fn hidden_views_change_no_answer() {
    let (id, oids) = TABLES[0];
    let mut publisher = Publisher::new();
    publisher.add(id, types(oids));
    let mut generator = Generator { rng: StdRng::seed_from_u64(5) };
    for _ in 0..400 {
        let values: Vec<Value> = oids.iter().map(|&oid| generator.value(oid)).collect();
        publisher.apply(id, &vec![(row(values), 1)]);
    }
    publisher.stamp(id, Position(1));
    let snapshot = publisher.publish(Position(1));
    let context = EvalContext { params: vec![Value::Int8(3)], ..EvalContext::default() };
    let input = scan(id, &types(oids));
    let count = AggregateCall {
        kind: AggregateKind::CountRows,
        args: vec![],
        distinct: false,
        filter: Some(call("int8lt", [column(2), int8(5)])),
        order: vec![],
        input: None,
        output: ColumnType::new(oid::INT8),
    };
    let node = Node::Aggregate { input: Box::new(input), keys: vec![column(0)], aggregates: vec![count] };
    let groups = Plan { node, columns: types(&[oid::INT8, oid::INT8]) };
    let asked =
        sort(filter(groups.clone(), call("int8ge", [column(0), Expr::Param(0)])), &[(1, true), (0, false)], None, None);
    let read = Compiled::new(&asked).expect("supported");
    assert_eq!(read.hot_candidate(), Some(&groups), "the part above depends on a parameter");
    let want = read.execute(&snapshot, &context).expect("answered").to_rows();
    assert!(!want.is_empty());

    let heat = weir_cache::read::Heat::new();
    assert!(!heat.note(&read, 10, 0), "a quick read heats nothing");
    assert!(!heat.note(&read, 150_000, 0));
    assert!(heat.wanted(0).is_empty());
    assert!(heat.note(&read, 150_000, 1_000));
    let (plan, hidden) = heat.wanted(1_000).pop().expect("hot enough");
    assert!(heat.wanted(600_000_000).is_empty(), "what is not read again cools down");
    assert!(weir_cache::read::hot::is_hidden(hidden));
    publisher.add(hidden, plan.columns.clone());
    for values in execute(&plan, &snapshot, &context).expect("answered") {
        publisher.apply(hidden, &vec![(values, 1)]);
    }
    publisher.stamp(hidden, Position(1));
    heat.installed(plan, hidden, 1_000);
    let rewritten = read.with_hidden(&heat.hidden().views).expect("supported").expect("has the part");
    assert_eq!(rewritten.relations(), [hidden]);
    let snapshot = publisher.publish(Position(1));
    assert_eq!(rewritten.execute(&snapshot, &context).expect("answered").to_rows(), want);
    assert_eq!(heat.idle(700_000_000), vec![hidden]);
    heat.removed(hidden);
    assert!(read.with_hidden(&heat.hidden().views).expect("supported").is_none());
}
