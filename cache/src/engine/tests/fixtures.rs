//! Short spellings of plans, expressions and rows, and a few functions of known semantics.

use crate::engine::{Content, Engine, TableChange, ViewChange};
use std::collections::HashMap;
use weir_planner::eval::EvalContext;
use weir_planner::functions::Function;
use weir_planner::plan::{AggregateCall, AggregateKind, Join, JoinKind, Node};
use weir_planner::settings::SettingSet;
use weir_planner::types::oid;
use weir_planner::value::compare;
use weir_planner::{ColumnType, EvalError, Expr, Numeric, Plan, RelationId, Row, Value};

/// Integer division: an error when the divisor is zero.
pub static DIVIDE: Function = Function {
    symbol: "test_divide",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args: &[&Value], _: &EvalContext| match (args[0], args[1]) {
        (_, Value::Int8(0)) => Err(EvalError::new("22012", "division by zero")),
        (Value::Int8(a), Value::Int8(b)) => Ok(Value::Int8(a / b)),
        _ => Err(EvalError::new("XX000", "bad arguments")),
    },
};

/// Addition of int8, wrapping.
pub static ADD: Function = Function {
    symbol: "test_add",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args: &[&Value], _: &EvalContext| match (args[0], args[1]) {
        (Value::Int8(a), Value::Int8(b)) => Ok(Value::Int8(a.wrapping_add(*b))),
        _ => Err(EvalError::new("XX000", "bad arguments")),
    },
};

/// `a < b` by SQL order, for any type.
pub static LESS: Function = Function {
    symbol: "test_less",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args: &[&Value], _: &EvalContext| Ok(Value::Bool(compare(args[0], args[1]).is_lt())),
};

/// Panics on 666: an operator bug.
pub static PANIC: Function = Function {
    symbol: "test_panic",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args: &[&Value], _: &EvalContext| match args[0] {
        Value::Int8(666) => panic!("a broken operator"),
        other => Ok(other.clone()),
    },
};

/// A function of the transaction's clock.
pub static CLOCK: Function = Function {
    symbol: "test_clock",
    strict: true,
    settings: SettingSet::CLOCK,
    eval: |_: &[&Value], context: &EvalContext| Ok(Value::Int8(context.now_micros)),
};

pub fn call(function: &'static Function, args: Vec<Expr>) -> Expr {
    Expr::Call { function, args }
}

pub fn column(index: usize) -> Expr {
    Expr::Column(index)
}

pub fn int(value: i64) -> Expr {
    Expr::Const(Value::Int8(value))
}

pub fn numeric(text: &str) -> Value {
    Value::Numeric(Numeric::parse(text).expect("a literal in a test is valid"))
}

pub fn row(values: Vec<Value>) -> Row {
    values.into()
}

pub fn ints(values: &[i64]) -> Row {
    values.iter().map(|&value| Value::Int8(value)).collect()
}

pub fn int_columns(count: usize) -> Vec<ColumnType> {
    vec![ColumnType::new(oid::INT8); count]
}

pub fn scan(relation: u32, columns: Vec<ColumnType>) -> Plan {
    let positions = (0..columns.len()).collect();
    Plan { node: Node::Scan { relation: RelationId(relation), columns: positions }, columns }
}

pub fn filter(input: Plan, predicate: Expr) -> Plan {
    let columns = input.columns.clone();
    Plan { node: Node::Filter { input: Box::new(input), predicate }, columns }
}

pub fn project(input: Plan, exprs: Vec<Expr>, columns: Vec<ColumnType>) -> Plan {
    Plan { node: Node::Project { input: Box::new(input), exprs }, columns }
}

pub fn join(kind: JoinKind, left: Plan, right: Plan, equal: Vec<(Expr, Expr)>, residual: Option<Expr>) -> Plan {
    let mut columns = left.columns.clone();
    if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        columns.extend(right.columns.iter().cloned());
    }
    Plan { node: Node::Join(Box::new(Join { kind, left, right, equal, residual })), columns }
}

pub fn aggregate(input: Plan, keys: Vec<usize>, aggregates: Vec<AggregateCall>) -> Plan {
    let mut columns: Vec<ColumnType> = keys.iter().map(|&key| input.columns[key].clone()).collect();
    columns.extend(aggregates.iter().map(|call| call.output.clone()));
    let keys = keys.into_iter().map(Expr::Column).collect();
    Plan { node: Node::Aggregate { input: Box::new(input), keys, aggregates }, columns }
}

pub fn aggregate_call(kind: AggregateKind, arg: Option<usize>, input: &Plan) -> AggregateCall {
    let input = arg.map(|arg| input.columns[arg].clone());
    let output = match kind {
        AggregateKind::CountRows | AggregateKind::Count | AggregateKind::SumInt => oid::INT8,
        AggregateKind::BitAnd | AggregateKind::BitOr | AggregateKind::BitXor => oid::INT8,
        AggregateKind::StringAgg => oid::TEXT,
        AggregateKind::SumFloat | AggregateKind::AvgFloat | AggregateKind::FloatSpread(_) => oid::FLOAT8,
        AggregateKind::Min | AggregateKind::Max | AggregateKind::Mode | AggregateKind::PercentileDisc => {
            input.as_ref().map_or(oid::INT8, |input| input.oid)
        }
        AggregateKind::BoolAnd | AggregateKind::BoolOr => oid::BOOL,
        _ => oid::NUMERIC,
    };
    AggregateCall {
        kind,
        args: arg.into_iter().map(Expr::Column).collect(),
        distinct: false,
        filter: None,
        order: vec![],
        input,
        output: ColumnType::new(output),
    }
}

pub fn insert(row: Row) -> TableChange {
    TableChange::Row { old: None, new: Some(row) }
}

pub fn delete(row: Row) -> TableChange {
    TableChange::Row { old: Some(row), new: None }
}

pub fn update(old: &[i64], new: &[i64]) -> TableChange {
    TableChange::Row { old: Some(ints(old)), new: Some(ints(new)) }
}

/// What a publisher would hold: every view's rows, kept up by the engine's reports.
#[derive(Default)]
pub struct Published {
    pub tables: HashMap<RelationId, HashMap<Row, i64>>,
    pub in_error: HashMap<RelationId, bool>,
}

impl Published {
    /// Applies reports; panics when one is not consolidated or takes away what is not there.
    pub fn apply(&mut self, changes: Vec<(RelationId, ViewChange)>) {
        for (id, change) in changes {
            let table = self.tables.entry(id).or_default();
            let mut seen = std::collections::HashSet::new();
            for (row, weight) in change.delta {
                assert!(weight != 0 && seen.insert(row.clone()), "{id:?}: not consolidated: {row:?} {weight}");
                let count = table.entry(row.clone()).or_insert(0);
                *count += weight;
                assert!(*count >= 0, "{id:?}: took away a row that is not there: {row:?}");
                if *count == 0 {
                    table.remove(&row);
                }
            }
            self.in_error.insert(id, change.in_error);
        }
    }

    pub fn rows(&self, id: u32) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .tables
            .get(&RelationId(id))
            .into_iter()
            .flatten()
            .flat_map(|(row, count)| std::iter::repeat_n(row.clone(), *count as usize))
            .collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    }
}

impl Content for Published {
    fn is_present(&self, relation: RelationId) -> bool {
        self.tables.contains_key(&relation)
    }

    fn for_each(&self, relation: RelationId, f: &mut dyn FnMut(&Row, i64)) {
        for (row, count) in self.tables.get(&relation).into_iter().flatten() {
            f(row, *count);
        }
    }
}

/// An engine with its published tables.
#[derive(Default)]
pub struct Bench {
    pub engine: Engine,
    pub published: Published,
}

impl Bench {
    /// With these tables, which have no key.
    pub fn of(tables: &[u32]) -> Bench {
        let mut bench = Bench::default();
        tables.iter().for_each(|&table| bench.table(table));
        bench
    }

    pub fn table(&mut self, id: u32) {
        self.engine.add_table(RelationId(id), None).expect("a new table");
    }

    pub fn view(&mut self, id: u32, plan: &Plan) {
        let changes = self.engine.add_view(RelationId(id), plan, &self.published).expect("a view that can be built");
        self.published.apply(changes);
    }

    pub fn commit(&mut self, table: u32, changes: Vec<TableChange>) {
        self.engine.apply(RelationId(table), changes).expect("changes that fit the table");
    }

    pub fn refresh(&mut self, views: &[u32]) {
        let views: Vec<RelationId> = views.iter().map(|&id| RelationId(id)).collect();
        let changes = self.engine.refresh(&views, 0);
        self.published.apply(changes);
    }

    pub fn in_error(&self, view: u32) -> bool {
        self.engine.is_in_error(RelationId(view))
    }
}

/// Rows of a table whose 12 / second column is below 7.
pub fn dividing_filter(table: u32) -> Plan {
    let predicate = call(&LESS, vec![call(&DIVIDE, vec![int(12), column(1)]), int(7)]);
    filter(scan(table, int_columns(2)), predicate)
}
