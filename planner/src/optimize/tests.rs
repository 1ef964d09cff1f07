//! Each pass on plans built by hand, read as text.

use super::certainty::TOTAL;
use super::*;
use crate::catalog::{ColumnEntry, RelationEntry, RelationKind};
use crate::expr::Expr;
use crate::functions::lookup;
use crate::plan::{AggregateCall, AggregateKind, Join, JoinKind};
use crate::types::{ColumnType, RelationId, oid};
use crate::value::{Interval, Value};

const D: u32 = 1;
const F: u32 = 2;

/// Relation D with unique column 0, relation F without keys; three integer columns each.
fn catalog() -> Catalog {
    let column = |number: i16, not_null| ColumnEntry {
        name: format!("c{number}"),
        number,
        type_oid: oid::INT4,
        value_oid: oid::INT4,
        typmod: -1,
        collation: 0,
        not_null,
        generated: ' ',
    };
    let relation = |name: &str, unique_keys| RelationEntry {
        schema: "public".into(),
        name: name.into(),
        kind: RelationKind::Table,
        columns: vec![column(1, true), column(2, false), column(3, false)],
        unique_keys,
        generated: vec![],
    };
    let mut catalog = Catalog::default();
    catalog.relations.insert(D, relation("d", vec![vec![0]]));
    catalog.relations.insert(F, relation("f", vec![]));
    catalog
}

fn scan(relation: u32) -> Plan {
    let node = Node::Scan { relation: RelationId(relation), columns: vec![0, 1, 2] };
    Plan { node, columns: vec![ColumnType::new(oid::INT4); 3] }
}

fn call(symbol: &str, args: Vec<Expr>) -> Expr {
    Expr::Call { function: lookup(symbol).expect("a registered function"), args }
}

fn col(index: usize) -> Expr {
    Expr::Column(index)
}

fn int(value: i32) -> Expr {
    Expr::Const(Value::Int4(value))
}

fn join(kind: JoinKind, left: Plan, right: Plan, equal: Vec<(Expr, Expr)>, residual: Option<Expr>) -> Plan {
    let columns = left.columns.iter().chain(&right.columns).cloned().collect();
    Plan { node: Node::Join(Box::new(Join { kind, left, right, equal, residual })), columns }
}

fn aggregate(input: Plan, keys: Vec<Expr>, kind: AggregateKind, arg: Option<Expr>) -> Plan {
    let mut columns = vec![ColumnType::new(oid::INT4); keys.len()];
    columns.push(ColumnType::new(oid::INT8));
    let call = AggregateCall {
        order: vec![],
        kind,
        input: arg.as_ref().map(|_| ColumnType::new(oid::INT4)),
        args: arg.into_iter().collect(),
        distinct: false,
        filter: None,
        output: ColumnType::new(oid::INT8),
    };
    Plan { node: Node::Aggregate { input: Box::new(input), keys, aggregates: vec![call] }, columns }
}

#[track_caller]
fn check(plan: Plan, expected: &str) {
    let columns = plan.columns.len();
    let optimized = optimize(plan, &catalog());
    assert_eq!(optimized.columns.len(), columns);
    let text = optimized.to_text(&|id| if id.0 == D { "d".into() } else { "f".into() });
    assert_eq!(text.trim(), expected.trim(), "\n{text}");
}

/// Without the passes before it.
#[track_caller]
fn check_reduced(plan: Plan, expected: &str) {
    let text = prune::prune(reduce(plan, &catalog())).to_text(&|id| if id.0 == D { "d".into() } else { "f".into() });
    assert_eq!(text.trim(), expected.trim(), "\n{text}");
}

fn few() -> Plan {
    filter(scan(D), vec![call("int4eq", vec![col(1), int(5)])])
}

#[test]
fn groups_are_made_of_what_few_rows_ask_for() {
    let groups = || aggregate(scan(F), vec![col(1), col(2)], AggregateKind::SumInt, Some(col(0)));
    check_reduced(
        join(JoinKind::Left, few(), groups(), vec![(col(0), col(0))], None),
        "
LeftJoin #0 = #3
  Filter int4eq(#1, 5)
    Scan d [0 1 2]
  Aggregate by (#1, #2): SumInt(#0)
    SemiJoin #1 = #3
      Scan f [0 1 2]
      Project #0
        Filter int4eq(#1, 5)
          Scan d [0 1]",
    );
    let above = join(JoinKind::Inner, scan(F), groups(), vec![(col(2), col(0))], None);
    let mut few_of_them = join(JoinKind::Semi, above, few(), vec![(col(2), col(0))], None);
    few_of_them.columns.truncate(6);
    check_reduced(
        few_of_them,
        "
SemiJoin #2 = #6
  InnerJoin #2 = #3
    Scan f [0 1 2]
    Aggregate by (#1, #2): SumInt(#0)
      SemiJoin #1 = #3
        Scan f [0 1 2]
        Project #0
          Filter int4eq(#1, 5)
            Scan d [0 1]
  Project #0
    Filter int4eq(#1, 5)
      Scan d [0 1]",
    );
    // Rows without a partner stay: nothing is known of their keys.
    check_reduced(
        join(JoinKind::Right, few(), groups(), vec![(col(0), col(0))], None),
        "
RightJoin #0 = #3
  Filter int4eq(#1, 5)
    Scan d [0 1 2]
  Aggregate by (#1, #2): SumInt(#0)
    Scan f [0 1 2]",
    );
    // A division by zero that Postgres would raise must not go with the rows.
    let failing = call("int4eq", vec![call("int4div", vec![int(1), col(2)]), int(1)]);
    let groups = aggregate(
        join(JoinKind::Inner, scan(F), scan(D), vec![(col(1), col(0))], Some(failing)),
        vec![col(1)],
        AggregateKind::SumInt,
        Some(col(0)),
    );
    check_reduced(
        join(JoinKind::Inner, few(), groups, vec![(col(0), col(0))], None),
        "
InnerJoin #0 = #3
  Filter int4eq(#1, 5)
    Scan d [0 1 2]
  Aggregate by (#1): SumInt(#0)
    InnerJoin #1 = #3 when int4eq(int4div(1, #2), 1)
      Scan f [0 1 2]
      Scan d [0]",
    );
}

#[test]
fn constants_are_folded_unless_that_fails() {
    let failing = call("int4div", vec![int(1), int(0)]);
    let predicate = call("int4gt", vec![col(0), call("int4pl", vec![int(1), call("int4mul", vec![int(2), int(3)])])]);
    check(
        filter(scan(D), vec![predicate, call("int4eq", vec![col(1), failing])]),
        "
Filter (int4gt(#0, 7) and int4eq(#1, int4div(1, 0)))
  Scan d [0 1 2]",
    );
}

#[test]
fn equality_of_two_integer_types_becomes_one() {
    let wide = call("int84eq", vec![call("int48", vec![col(0)]), int(5)]);
    check(
        filter(scan(D), vec![wide]),
        "
Filter int8eq(int48(#0), 5)
  Scan d [0 1 2]",
    );
}

#[test]
fn a_left_join_keeps_conditions_on_its_padded_side_above() {
    let plan = join(JoinKind::Left, scan(D), scan(F), vec![(col(0), col(1))], None);
    let conditions = vec![call("int4gt", vec![col(1), int(0)]), Expr::IsNull(Box::new(col(5)))];
    check(
        filter(plan, conditions),
        "
Filter #5 is null
  LeftJoin #0 = #4
    Filter int4gt(#1, 0)
      Scan d [0 1 2]
    Scan f [0 1 2]",
    );
}

#[test]
fn a_rejected_padding_makes_an_inner_join() {
    let full = join(JoinKind::Full, scan(D), scan(F), vec![(col(0), col(1))], None);
    check(
        filter(full, vec![call("int4gt", vec![col(1), int(0)])]),
        "
LeftJoin #0 = #4
  Filter int4gt(#1, 0)
    Scan d [0 1 2]
  Scan f [0 1 2]",
    );
}

#[test]
fn a_condition_that_can_fail_is_asked_of_its_input_after_cheaper_ones() {
    let plan = join(JoinKind::Inner, scan(D), scan(F), vec![(col(0), col(0))], None);
    let risky = call("int4gt", vec![call("int4div", vec![int(1), col(1)]), int(0)]);
    check(
        filter(plan, vec![risky, call("int4ne", vec![col(1), int(0)])]),
        "
InnerJoin #0 = #3
  Filter (int4ne(#1, 0) and int4gt(int4div(1, #1), 0))
    Scan d [0 1 2]
  Scan f [0 1 2]",
    );
}

#[test]
fn a_product_is_avoided_and_columns_stay_in_place() {
    // d, d, f WHERE d1.0 = f.0 AND f.1 = d2.0
    let product = join(JoinKind::Inner, scan(D), scan(D), vec![], None);
    let product = join(JoinKind::Inner, product, scan(F), vec![], None);
    let conditions = vec![call("int4eq", vec![col(0), col(6)]), call("int4eq", vec![col(7), col(3)])];
    check(
        filter(product, conditions),
        "
Project #0, #1, #2, #6, #7, #8, #3, #4, #5
  InnerJoin #4 = #6
    InnerJoin #0 = #3
      Scan d [0 1 2]
      Scan f [0 1 2]
    Scan d [0 1 2]",
    );
}

#[test]
fn an_equality_over_several_inputs_is_not_lost() {
    // f1 ⋈ (d ⋈ f2) on f1.0 = d.1 + f2.1
    let inner = join(JoinKind::Inner, scan(D), scan(F), vec![(col(0), col(0))], None);
    let sum = call("int4pl", vec![col(1), col(4)]);
    let plan = join(JoinKind::Inner, scan(F), inner, vec![(col(0), sum)], None);
    check(
        plan,
        "
InnerJoin #0 = int4pl(#4, #7)
  Scan f [0 1 2]
  InnerJoin #0 = #3
    Scan d [0 1 2]
    Scan f [0 1 2]",
    );
}

#[test]
fn aggregation_moves_below_a_join_on_a_unique_row() {
    let plan = join(JoinKind::Left, scan(D), scan(F), vec![(col(0), col(1))], None);
    check(
        aggregate(plan, vec![col(0), col(2)], AggregateKind::Count, Some(col(5))),
        "
Project #0, #1, coalesce(#3, 0)
  LeftJoin #0 = #2
    Scan d [0 2]
    Aggregate by (#0): Count(#1)
      Scan f [1 2]",
    );
}

#[test]
fn aggregation_stays_above_when_a_group_may_hold_several_rows() {
    let plan = join(JoinKind::Left, scan(D), scan(F), vec![(col(0), col(1))], None);
    check(
        aggregate(plan, vec![col(2)], AggregateKind::CountRows, None),
        "
Aggregate by (#1): CountRows()
  LeftJoin #0 = #2
    Scan d [0 2]
    Scan f [1]",
    );
}

#[test]
fn aggregation_stays_above_when_padding_would_count() {
    // sum(coalesce(f.2, 9)) of a padded row is 9, not NULL.
    let plan = join(JoinKind::Left, scan(D), scan(F), vec![(col(0), col(1))], None);
    let arg = Expr::Coalesce(vec![col(5), int(9)]);
    check(
        aggregate(plan, vec![col(0)], AggregateKind::SumInt, Some(arg)),
        "
Aggregate by (#0): SumInt(coalesce(#2, 9))
  LeftJoin #0 = #1
    Scan d [0]
    Scan f [1 2]",
    );
}

#[test]
fn aggregation_stays_above_when_there_is_a_row_without_groups() {
    let highest = aggregate(scan(D), vec![], AggregateKind::Max, Some(col(0)));
    let plan = join(JoinKind::Inner, scan(F), highest, vec![(col(1), col(0))], None);
    check(
        aggregate(plan, vec![], AggregateKind::Max, Some(col(2))),
        "
Aggregate by (): Max(#1)
  InnerJoin #0 = #2
    Scan f [1 2]
    Aggregate by (): Max(#0)
      Scan d [0]",
    );
}

#[test]
fn aggregation_stays_above_when_nulls_are_listed() {
    // array_agg of a padded row is {NULL}.
    let plan = join(JoinKind::Left, scan(D), scan(F), vec![(col(0), col(1))], None);
    check(
        aggregate(plan, vec![col(0)], AggregateKind::ArrayAgg, Some(col(5))),
        "
Aggregate by (#0): ArrayAgg(#2)
  LeftJoin #0 = #1
    Scan d [0]
    Scan f [1 2]",
    );
}

#[test]
fn counting_a_column_without_nulls_counts_rows() {
    check(
        aggregate(scan(F), vec![col(1)], AggregateKind::Count, Some(col(0))),
        "
Aggregate by (#0): CountRows()
  Scan f [1]",
    );
}

#[test]
fn a_join_written_in_every_branch_of_an_or_is_looked_up() {
    let product = join(JoinKind::Inner, scan(D), scan(F), vec![], None);
    let joined = || call("int4eq", vec![col(0), col(3)]);
    let branch = |low: i32, high: i32| {
        Expr::And(vec![call("int4eq", vec![col(1), int(low)]), joined(), call("int4eq", vec![col(4), int(high)])])
    };
    check(
        filter(product, vec![Expr::Or(vec![branch(1, 2), branch(3, 4)])]),
        "
InnerJoin #0 = #3 when ((int4eq(#1, 1) and int4eq(#4, 2)) or (int4eq(#1, 3) and int4eq(#4, 4)))
  Filter (int4eq(#1, 1) or int4eq(#1, 3))
    Scan d [0 1 2]
  Filter (int4eq(#1, 2) or int4eq(#1, 4))
    Scan f [0 1 2]",
    );
}

#[test]
fn a_branch_that_the_others_repeat_is_the_whole_or() {
    let positive = || call("int4gt", vec![col(0), int(0)]);
    let more = Expr::And(vec![positive(), call("int4gt", vec![col(1), int(0)])]);
    check(
        filter(scan(D), vec![Expr::Or(vec![positive(), more])]),
        "
Filter int4gt(#0, 0)
  Scan d [0 1 2]",
    );
}

#[test]
fn a_condition_that_can_fail_stays_in_its_branch() {
    let product = join(JoinKind::Inner, scan(D), scan(F), vec![(col(0), col(0))], None);
    let risky = || call("int4gt", vec![call("int4div", vec![int(1), col(1)]), int(0)]);
    let branch = |of_d: Expr, value: i32| Expr::And(vec![of_d, call("int4eq", vec![col(4), int(value)])]);
    check(
        filter(product, vec![Expr::Or(vec![branch(risky(), 1), branch(risky(), 2)])]),
        "
Filter ((int4gt(int4div(1, #1), 0) and int4eq(#4, 1)) or (int4gt(int4div(1, #1), 0) and int4eq(#4, 2)))
  InnerJoin #0 = #3
    Scan d [0 1 2]
    Filter (int4eq(#1, 1) or int4eq(#1, 2))
      Scan f [0 1 2]",
    );
}

#[test]
fn a_pattern_is_asked_below_a_join_and_not_below_grouping() {
    let like = |column: usize, pattern: &str| call("textlike", vec![col(column), Expr::Const(Value::text(pattern))]);
    let plan = || join(JoinKind::Inner, scan(D), scan(F), vec![(col(0), col(0))], None);
    check(
        filter(plan(), vec![like(1, "%green%"), like(4, "ends in \\")]),
        "
InnerJoin #0 = #3
  Filter textlike(#1, '%green%')
    Scan d [0 1 2]
  Filter textlike(#1, 'ends in \\')
    Scan f [0 1 2]",
    );
    // Equal values of char(n) may have unequal padding.
    check(
        filter(aggregate(scan(F), vec![col(1)], AggregateKind::CountRows, None), vec![like(0, "%green%")]),
        "
Filter textlike(#0, '%green%')
  Aggregate by (#0): CountRows()
    Scan f [1]",
    );
}

#[test]
fn a_date_is_compared_with_timestamps_below_a_join() {
    let compare = |symbol: &str, left: Value, column| call(symbol, vec![Expr::Const(left), col(column)]);
    let conditions = vec![
        call("date_lt_timestamp", vec![col(1), Expr::Const(Value::Timestamp(0))]),
        compare("timestamp_ge_date", Value::Timestamp(0), 4),
        compare("timestamptz_ge_date", Value::TimestampTz(0), 4),
    ];
    check(
        filter(join(JoinKind::Inner, scan(D), scan(F), vec![(col(0), col(0))], None), conditions),
        "
InnerJoin #0 = #3
  Filter date_lt_timestamp(#1, Timestamp(0))
    Scan d [0 1 2]
  Filter (timestamp_ge_date(Timestamp(0), #1) and timestamptz_ge_date(TimestampTz(0), #1))
    Scan f [0 1 2]",
    );
}

#[test]
fn an_or_says_nothing_of_an_input_that_one_branch_does_not_mention() {
    let plan = join(JoinKind::Inner, scan(D), scan(F), vec![(col(0), col(0))], None);
    let of_both = Expr::And(vec![call("int4eq", vec![col(1), int(1)]), call("int4eq", vec![col(4), int(2)])]);
    check(
        filter(plan, vec![Expr::Or(vec![of_both, call("int4eq", vec![col(4), int(3)])])]),
        "
InnerJoin #0 = #3 when ((int4eq(#1, 1) and int4eq(#4, 2)) or int4eq(#4, 3))
  Scan d [0 1 2]
  Filter (int4eq(#1, 2) or int4eq(#1, 3))
    Scan f [0 1 2]",
    );
}

#[test]
fn cheap_conditions_come_first_and_equal_ones_stay() {
    let equal = |column| call("int4eq", vec![Expr::Column(column), int(1)]);
    let quotient = call("int4gt", vec![call("int4div", vec![int(1), Expr::Column(0)]), int(0)]);
    let among = |elements: usize| Expr::ScalarArray {
        function: lookup("int4eq").expect("a registered function"),
        any: true,
        left: Box::new(Expr::Column(2)),
        list: (0..elements).map(|element| int(element as i32)).collect(),
    };
    let less = call("int4lt", vec![Expr::Column(5), int(2)]);
    let written = [among(8), quotient.clone(), among(9), equal(3), Expr::Column(4), less.clone(), equal(1), among(3)];
    let mut asked = written.to_vec();
    as_asked(&mut asked);
    assert_eq!(asked, [Expr::Column(4), less, equal(3), equal(1), among(3), quotient, among(9), among(8)]);
}

#[test]
fn total_functions_are_registered() {
    TOTAL.iter().for_each(|symbol| assert!(lookup(symbol).is_some(), "{symbol}"));
}

#[test]
fn conditions_on_the_time_and_sums_are_certain_and_quotients_are_not() {
    let interval = Expr::Const(Value::Interval(Interval { months: 0, days: 0, micros: 3_600_000_000 }.into()));
    let hour_ago = call("timestamptz_mi_interval", vec![call("now", vec![]), interval]);
    assert!(is_certain(&call("timestamp_gt", vec![Expr::Column(0), hour_ago])));
    let (one, of_row) = (Expr::Const(Value::Int4(1)), Expr::Column(1));
    assert!(is_certain(&call("numeric_add", vec![call("int4_numeric", vec![of_row.clone()]), Expr::Column(2)])));
    let quotient = call("int4div", vec![one.clone(), of_row.clone()]);
    assert!(!is_certain(&quotient));
    let guarded = Expr::Case {
        branches: vec![(call("int4ne", vec![of_row, Expr::Const(Value::Int4(0))]), quotient)],
        otherwise: Box::new(one),
    };
    assert!(!is_certain(&guarded));
}
