//! Large tables are read by columns where a chunk has them: the answer is that of reading them row by row, which a plan gets
//! that hides the scan from what goes by columns.

mod support;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use support::{call, column, filter, row, scan, types};
use weir_cache::read::{ReadError, execute};
use weir_cache::{Position, Publisher, Snapshot};
use weir_planner::eval::EvalContext;
use weir_planner::optimize::is_certain;
use weir_planner::plan::{AggregateCall, AggregateKind, Node};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Expr, Numeric, Plan, RelationId, Row, Value};
use weir_tests::rng;

const TABLE: RelationId = RelationId(1);
const COLUMNS: [u32; 12] = [
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::NUMERIC,
    oid::NUMERIC,
    oid::TEXT,
    oid::TEXT,
    oid::BOOL,
    oid::DATE,
    oid::TIMESTAMPTZ,
    oid::FLOAT8,
    oid::INT4,
];
/// Numerics of one display scale in a chunk, which is another in the next; the other numerics have several, and NaN and zeros
/// among them.
const ONE_SCALE: usize = 3;
const MANY_SCALES: usize = 4;
/// Texts of which there are few.
const FEW: usize = 5;
/// Never NULL, so that the chunks differ in whether they have NULLs.
const PRESENT: usize = 11;
const PLANS: usize = 60;

struct Generator {
    rng: StdRng,
    /// Rows made so far: those that come together are alike in some way.
    made: usize,
}

impl Generator {
    fn value(&mut self, column: usize) -> Value {
        let rng = &mut self.rng;
        if column != PRESENT && rng.random_bool(0.05) {
            return Value::Null;
        }
        match COLUMNS[column] {
            oid::INT2 => Value::Int2(rng.random_range(-3..20)),
            oid::INT4 => Value::Int4(*[0, 1, 7, -7, 1000, i32::MAX, i32::MIN].choose(rng).expect("some")),
            oid::INT8 => Value::Int8(*[0, 5, -5, i64::MAX, i64::MIN, 1 << 40].choose(rng).expect("some")),
            oid::NUMERIC if column == ONE_SCALE => {
                let dscale = 1 + (self.made / 3_000 % 2) as u16;
                Value::Numeric(Numeric::new(rng.random_range(-50..400), dscale))
            }
            oid::NUMERIC => match rng.random_range(0..40) {
                0 => Value::Numeric(Numeric::NAN),
                1 => Value::Numeric(Numeric::INFINITY),
                n => {
                    let dscale = rng.random_range(0..3);
                    Value::Numeric(Numeric::new(i128::from(n - 10) * 10_i128.pow(dscale), dscale as u16))
                }
            },
            oid::TEXT if column == FEW => Value::text(["x", "y", "", "zz", "y "].choose(rng).expect("some")),
            oid::TEXT => Value::text(&format!("t{}", rng.random_range(0..5000))),
            oid::BOOL => Value::Bool(rng.random_bool(0.3)),
            oid::DATE => Value::Date(*[0, 1, 9000, i32::MAX, i32::MIN].choose(rng).expect("some")),
            oid::TIMESTAMPTZ => Value::TimestampTz(*[0, 7, -7, i64::MAX].choose(rng).expect("some")),
            _ => Value::Float8(*[0.0, -0.0, 1.5, f64::NAN, f64::INFINITY].choose(rng).expect("some")),
        }
    }

    fn row(&mut self) -> Row {
        self.made += 1;
        row((0..COLUMNS.len()).map(|column| self.value(column)).collect::<Vec<_>>())
    }

    fn condition(&mut self) -> Expr {
        let at = self.rng.random_range(0..COLUMNS.len());
        let family = match COLUMNS[at] {
            oid::INT2 => "int2",
            oid::INT4 => "int4",
            oid::INT8 => "int8",
            oid::NUMERIC => "numeric_",
            oid::DATE => "date_",
            oid::TIMESTAMPTZ => "timestamp_",
            oid::FLOAT8 => "float8",
            oid::BOOL => {
                return if self.rng.random_bool(0.5) { column(at) } else { Expr::IsNull(Box::new(column(at))) };
            }
            _ => match self.rng.random_range(0..3) {
                0 => "text_",
                1 => return call("texteq", [column(at), Expr::Const(self.value(at))]),
                _ => return call("textne", [Expr::Const(self.value(at)), column(at)]),
            },
        };
        let operator = *["eq", "ne", "lt", "le", "gt", "ge"].choose(&mut self.rng).expect("some");
        let operator = if family == "text_" { ["lt", "le", "gt", "ge"][self.rng.random_range(0..4)] } else { operator };
        match self.rng.random_range(0..12) {
            // Another width, another scale, no column at all, and what may fail.
            0 if COLUMNS[at] == oid::INT4 => {
                return call(&format!("int48{operator}"), [column(at), Expr::Const(Value::Int8(1 << 35))]);
            }
            1 if at == ONE_SCALE => {
                let bound = Numeric::new(self.rng.random_range(-500..4000), 3);
                return call(&format!("numeric_{operator}"), [column(at), Expr::Const(Value::Numeric(bound))]);
            }
            1 | 2 if at == MANY_SCALES => {
                let one = |n| Expr::Const(Value::Numeric(Numeric::new(n, 0)));
                return call("numeric_gt", [call("numeric_div", [one(1), column(at)]), one(0)]);
            }
            2 if COLUMNS[at] == oid::INT4 => {
                let quotient = call("int4div", [Expr::Const(Value::Int4(700)), column(at)]);
                return call("int4gt", [quotient, Expr::Const(Value::Int4(3))]);
            }
            _ => {}
        }
        let sides = [column(at), Expr::Const(self.value(at))];
        if self.rng.random_bool(0.3) {
            call(&format!("{family}{operator}"), sides.into_iter().rev())
        } else {
            call(&format!("{family}{operator}"), sides)
        }
    }

    fn aggregate(&mut self) -> AggregateCall {
        use AggregateKind::*;
        let at = self.rng.random_range(0..COLUMNS.len());
        let extreme = if self.rng.random_bool(0.5) { Min } else { Max };
        let kinds: &[AggregateKind] = match COLUMNS[at] {
            oid::INT2 | oid::INT4 => &[CountRows, Count, SumInt, AvgInt, extreme, BitAnd],
            oid::INT8 => &[Count, SumInt8, AvgInt, extreme],
            oid::NUMERIC => &[Count, SumNumeric, AvgNumeric, extreme],
            oid::FLOAT8 => &[Count, SumFloat, extreme],
            oid::BOOL => &[Count, BoolAnd, BoolOr],
            _ => &[Count, extreme],
        };
        let kind = *kinds.choose(&mut self.rng).expect("some");
        let argument = match COLUMNS[at] {
            oid::INT8 if self.rng.random_bool(0.2) => call("int8up", [column(at)]),
            _ => column(at),
        };
        let output = match kind {
            CountRows | Count | SumInt => oid::INT8,
            SumInt8 | AvgInt | SumNumeric | AvgNumeric => oid::NUMERIC,
            _ => COLUMNS[at],
        };
        AggregateCall {
            kind,
            args: if kind == CountRows { vec![] } else { vec![argument] },
            distinct: kind != CountRows && self.rng.random_bool(0.1),
            filter: self.rng.random_bool(0.1).then(|| self.condition()),
            order: vec![],
            input: (kind != CountRows).then(|| ColumnType::new(COLUMNS[at])),
            output: ColumnType::new(output),
        }
    }

    /// Over `input`, conditions and perhaps groups.
    fn plans(&mut self, inputs: [Plan; 2]) -> [Plan; 2] {
        let mut conditions: Vec<Expr> = (0..self.rng.random_range(0..4)).map(|_| self.condition()).collect();
        // One filter over the other: what fails one condition is not asked the next, as in a scan, which asks what costs more last.
        conditions.sort_by_key(|condition| !is_certain(condition));
        let filtered = inputs.map(|input| conditions.iter().cloned().fold(input, filter));
        if self.rng.random_bool(0.2) {
            return filtered;
        }
        let mut keys: Vec<usize> = (0..COLUMNS.len()).filter(|_| self.rng.random_bool(0.12)).collect();
        keys.truncate(3);
        let calls: Vec<AggregateCall> = (0..self.rng.random_range(1..5)).map(|_| self.aggregate()).collect();
        let mut columns: Vec<ColumnType> = keys.iter().map(|key| ColumnType::new(COLUMNS[*key])).collect();
        columns.extend(calls.iter().map(|call| call.output.clone()));
        filtered.map(|input| Plan {
            node: Node::Aggregate {
                input: Box::new(input),
                keys: keys.iter().map(|key| column(*key)).collect(),
                aggregates: calls.clone(),
            },
            columns: columns.clone(),
        })
    }
}

/// Images and all: nothing in these reads is left to the order of rows.
fn answer(plan: &Plan, snapshot: &Snapshot) -> Result<Vec<String>, String> {
    match execute(plan, snapshot, &EvalContext::default()) {
        Ok(rows) => {
            let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort();
            Ok(rows)
        }
        // Which of several rows fails first is anyone's choice.
        Err(ReadError::Eval(error)) => Err(error.sqlstate.to_owned()),
        Err(error) => panic!("{error}: {plan:?}"),
    }
}

#[test]
fn columns_answer_as_rows_do() {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let rounds = rng::rounds(3, 60) as u64;
    let (mut answered, mut failed) = (0, 0);
    for round in 0..rounds {
        let mut generator = Generator { rng: StdRng::seed_from_u64(seed.wrapping_add(round)), made: 0 };
        let mut publisher = Publisher::new();
        publisher.add(TABLE, types(&COLUMNS));
        let size = generator.rng.random_range(9_000..14_000);
        let mut rows: Vec<Row> = (0..size).map(|_| generator.row()).collect();
        let counted = round % 3 == 2;
        let weight = |rng: &mut StdRng| if counted && rng.random_bool(0.01) { 3 } else { 1 };
        publisher.apply(TABLE, &rows.iter().map(|row| (row.clone(), 1)).collect());
        for version in 1..=3 {
            // Rows go and come: chunks with holes, and one that is being filled.
            let mut delta = Vec::new();
            let mut old = rows.len();
            for _ in 0..generator.rng.random_range(0..2_000) {
                let at = generator.rng.random_range(0..old);
                old -= 1;
                rows.swap(at, old);
                delta.push((rows.remove(old), -1));
                let new = generator.row();
                let count = weight(&mut generator.rng);
                rows.extend(std::iter::repeat_n(new.clone(), count as usize));
                delta.push((new, count));
            }
            publisher.apply(TABLE, &delta);
            publisher.stamp(TABLE, Position(version));
            let snapshot = publisher.publish(Position(version));
            for _ in 0..PLANS / 3 {
                let whole = scan(TABLE, &types(&COLUMNS));
                let hidden =
                    Plan { node: Node::UnionAll { inputs: vec![whole.clone()] }, columns: whole.columns.clone() };
                let [by_columns, by_rows] = generator.plans([whole, hidden]);
                let (found, want) = (answer(&by_columns, &snapshot), answer(&by_rows, &snapshot));
                assert!(
                    found == want,
                    "seed {seed} round {round} version {version}\n{found:?}\n{want:?}\n{by_columns:#?}"
                );
                if want.is_ok() { answered += 1 } else { failed += 1 }
            }
        }
    }
    println!("{answered} answered, {failed} failed");
    assert!(answered > failed, "most reads are answered");
}
