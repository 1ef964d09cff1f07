//! One behaviour per test.

use super::fixtures::*;
use crate::engine::{Engine, EngineError, TableChange};
use weir_planner::plan::{AggregateKind, JoinKind};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Plan, RelationId, Row, Value};

const TABLE: u32 = 1;
const OTHER: u32 = 2;
const VIEW: u32 = 10;
const READER: u32 = 11;
const BYSTANDER: u32 = 12;

fn bench() -> Bench {
    Bench::of(&[TABLE, OTHER])
}

#[test]
fn two_equal_rows_that_come_or_go_together_count_as_two() {
    let mut bench = bench();
    bench.view(VIEW, &scan(TABLE, int_columns(2)));
    bench.commit(TABLE, vec![insert(ints(&[1, 3])), insert(ints(&[1, 3]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1, 3]), ints(&[1, 3])]);
    bench.commit(TABLE, vec![update(&[1, 3], &[1, 3])]);
    bench.refresh(&[VIEW]);
    bench.commit(TABLE, vec![delete(ints(&[1, 3])), delete(ints(&[1, 3]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), vec![]);
}

#[test]
fn an_undecided_row_puts_the_view_and_its_readers_in_error_until_it_leaves() {
    let mut bench = bench();
    bench.commit(TABLE, vec![insert(ints(&[1, 3])), insert(ints(&[2, 1]))]);
    bench.view(VIEW, &dividing_filter(TABLE));
    bench.view(READER, &aggregate(scan(VIEW, int_columns(2)), vec![], vec![]));
    bench.commit(TABLE, vec![insert(ints(&[3, 0]))]);
    bench.refresh(&[READER]);
    assert!(bench.in_error(VIEW) && bench.in_error(READER));
    assert!(bench.published.in_error[&RelationId(VIEW)]);

    bench.commit(TABLE, vec![delete(ints(&[3, 0])), insert(ints(&[4, 4]))]);
    bench.refresh(&[READER]);
    assert!(!bench.in_error(VIEW) && !bench.in_error(READER));
    assert!(!bench.published.in_error[&RelationId(VIEW)]);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1, 3]), ints(&[4, 4])]);
}

#[test]
fn views_that_share_an_undecided_row_are_in_error_together() {
    const TWIN: u32 = VIEW + 100;
    let told = |bench: &Bench, view: u32| {
        assert!(!bench.engine.is_stale(RelationId(view)));
        let in_error = bench.in_error(view);
        assert_eq!(bench.published.in_error.get(&RelationId(view)).copied().unwrap_or(false), in_error);
        in_error
    };
    let mut bench = bench();
    bench.commit(TABLE, vec![insert(ints(&[1, 3]))]);
    bench.view(VIEW, &dividing_filter(TABLE));
    bench.view(TWIN, &dividing_filter(TABLE));
    for (refreshed, other) in [(VIEW, TWIN), (TWIN, VIEW)] {
        bench.commit(TABLE, vec![insert(ints(&[3, 0]))]);
        bench.refresh(&[refreshed]);
        assert!(told(&bench, refreshed) && told(&bench, other));
        bench.commit(TABLE, vec![delete(ints(&[3, 0]))]);
        bench.refresh(&[refreshed]);
        assert!(!told(&bench, refreshed) && !told(&bench, other));
    }
    // One that is added brings the others to the present.
    bench.commit(TABLE, vec![insert(ints(&[3, 0])), insert(ints(&[4, 4]))]);
    bench.view(TWIN + 1, &dividing_filter(TABLE));
    assert!([VIEW, TWIN, TWIN + 1].iter().all(|view| told(&bench, *view)));
    bench.commit(TABLE, vec![delete(ints(&[3, 0]))]);
    bench.view(TWIN + 2, &dividing_filter(TABLE));
    assert!([VIEW, TWIN, TWIN + 1, TWIN + 2].iter().all(|view| !told(&bench, *view)));
}

#[test]
fn a_view_created_over_an_undecided_row_is_in_error_and_heals() {
    let mut bench = bench();
    bench.commit(TABLE, vec![insert(ints(&[3, 0])), insert(ints(&[1, 3]))]);
    bench.view(VIEW, &dividing_filter(TABLE));
    assert!(bench.in_error(VIEW));
    bench.commit(TABLE, vec![delete(ints(&[3, 0]))]);
    bench.refresh(&[VIEW]);
    assert!(!bench.in_error(VIEW));
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1, 3])]);
}

#[test]
fn a_failing_value_spoils_its_group_only_and_heals() {
    let mut bench = bench();
    let quotient =
        project(scan(TABLE, int_columns(2)), vec![column(0), call(&DIVIDE, vec![int(12), column(1)])], int_columns(2));
    let sum = aggregate_call(AggregateKind::SumInt, Some(1), &quotient);
    bench.view(VIEW, &aggregate(quotient, vec![0], vec![sum]));
    bench.commit(TABLE, vec![insert(ints(&[1, 3])), insert(ints(&[2, 4])), insert(ints(&[2, 0]))]);
    bench.refresh(&[VIEW]);
    assert!(!bench.in_error(VIEW));
    let rows = bench.published.rows(VIEW);
    assert!(rows.contains(&ints(&[1, 4])) && rows.iter().any(|row| row[0] == Value::Int8(2) && row[1].is_error()));
    bench.commit(TABLE, vec![delete(ints(&[2, 0]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1, 4]), ints(&[2, 3])]);
}

/// A projection that panics on 666.
fn fragile(relation: u32) -> Plan {
    project(scan(relation, int_columns(1)), vec![call(&PANIC, vec![column(0)])], int_columns(1))
}

#[test]
fn a_panic_costs_the_view_and_its_readers_and_no_other() {
    let mut bench = bench();
    bench.view(VIEW, &fragile(TABLE));
    bench.view(READER, &filter(scan(VIEW, int_columns(1)), call(&LESS, vec![column(0), int(1000)])));
    bench.view(BYSTANDER, &filter(scan(TABLE, int_columns(1)), call(&LESS, vec![column(0), int(1000)])));
    bench.commit(TABLE, vec![insert(ints(&[1])), insert(ints(&[666]))]);
    bench.refresh(&[VIEW, READER, BYSTANDER]);
    assert_eq!(bench.published.rows(BYSTANDER), vec![ints(&[1]), ints(&[666])]);
    let mut quarantined = bench.engine.quarantined();
    quarantined.sort();
    assert_eq!(quarantined.len(), 2);
    assert!(quarantined.iter().all(|(_, reason)| reason.contains("a broken operator")), "{quarantined:?}");

    // Later commits still reach the others, and readers of the lost view cannot be added.
    bench.commit(TABLE, vec![delete(ints(&[666])), insert(ints(&[2]))]);
    bench.refresh(&[VIEW, READER, BYSTANDER]);
    assert_eq!(bench.published.rows(BYSTANDER), vec![ints(&[1]), ints(&[2])]);
    let refused = bench.engine.add_view(RelationId(99), &scan(VIEW, int_columns(1)), &bench.published);
    assert!(matches!(refused, Err(EngineError::Quarantined { .. })));

    // Dropped and created again they are right.
    for id in [READER, VIEW] {
        bench.engine.drop_view(RelationId(id)).expect("a quarantined view can be dropped");
        bench.published.tables.remove(&RelationId(id));
    }
    bench.view(VIEW, &fragile(TABLE));
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1]), ints(&[2])]);
    assert!(bench.engine.quarantined().is_empty());
}

#[test]
fn a_panic_while_a_view_is_filled_leaves_nothing_behind() {
    let mut bench = bench();
    bench.commit(TABLE, vec![insert(ints(&[666]))]);
    let nodes = bench.engine.node_count();
    let result = bench.engine.add_view(RelationId(VIEW), &fragile(TABLE), &bench.published);
    assert!(matches!(result, Err(EngineError::Quarantined { .. })));
    assert_eq!(bench.engine.node_count(), nodes);
    bench.commit(TABLE, vec![delete(ints(&[666]))]);
    bench.view(VIEW, &fragile(TABLE));
}

#[test]
fn a_view_that_is_refused_takes_no_change_of_another_along() {
    let mut bench = bench();
    let sums = || {
        let input = scan(TABLE, int_columns(2));
        let sum = aggregate_call(AggregateKind::SumInt, Some(1), &input);
        aggregate(input, vec![0], vec![sum])
    };
    bench.view(VIEW, &sums());
    bench.commit(TABLE, vec![insert(ints(&[666, 1]))]);
    // It shares the sums with the other one, which it brings to the present before it fails.
    let fragile = project(sums(), vec![call(&PANIC, vec![column(0)])], int_columns(1));
    let refused = bench.engine.add_view(RelationId(READER), &fragile, &bench.published);
    assert!(matches!(refused, Err(EngineError::Quarantined { .. })));
    let changes = bench.engine.take_unreported();
    bench.published.apply(changes);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[666, 1])]);
    assert!(!bench.engine.is_stale(RelationId(VIEW)));
}

fn total(engine: &Engine) -> usize {
    engine.memory().iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn the_budget_sheds_the_view_and_its_memory_not_the_process() {
    let mut bench = bench();
    let grouped = aggregate(scan(TABLE, int_columns(1)), vec![0], vec![]);
    bench.view(VIEW, &grouped);
    bench.view(BYSTANDER, &aggregate(scan(OTHER, int_columns(1)), vec![], vec![]));
    bench.commit(TABLE, (0..1000).map(|n| insert(ints(&[n]))).collect());
    let tables_only = total(&bench.engine);
    bench.engine.set_memory_budget(Some(tables_only));
    bench.refresh(&[VIEW, BYSTANDER]);
    let quarantined = bench.engine.quarantined();
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].0, RelationId(VIEW));
    assert!(quarantined[0].1.contains("memory budget"), "{quarantined:?}");
    assert!(total(&bench.engine) <= tables_only);

    // It does not fit while it is built, either; with a larger budget it does.
    bench.engine.drop_view(RelationId(VIEW)).expect("quarantined");
    let refused = bench.engine.add_view(RelationId(VIEW), &grouped, &bench.published);
    assert!(matches!(refused, Err(EngineError::Quarantined { reason, .. }) if reason.contains("memory budget")));
    bench.engine.set_memory_budget(None);
    bench.view(VIEW, &grouped);
}

#[test]
fn accounts_return_to_where_they_were() {
    let mut bench = bench();
    let before = total(&bench.engine);
    let joined = join(
        JoinKind::Left,
        scan(TABLE, int_columns(2)),
        scan(OTHER, int_columns(2)),
        vec![(column(0), column(0))],
        None,
    );
    let grouped = aggregate(joined.clone(), vec![1], vec![aggregate_call(AggregateKind::Max, Some(3), &joined)]);
    bench.view(VIEW, &grouped);
    let rows: Vec<_> = (0..500).map(|n| ints(&[n % 50, n])).collect();
    bench.commit(TABLE, rows.iter().cloned().map(insert).collect());
    bench.commit(OTHER, rows.iter().cloned().map(insert).collect());
    bench.refresh(&[VIEW]);
    assert!(total(&bench.engine) > before + 500 * 100);
    bench.commit(TABLE, rows.iter().cloned().map(delete).collect());
    bench.commit(OTHER, vec![TableChange::Truncate]);
    bench.refresh(&[VIEW]);
    assert!(bench.published.rows(VIEW).is_empty());
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    assert_eq!(total(&bench.engine), before);
}

#[test]
fn equal_plans_share_their_nodes() {
    let mut bench = bench();
    let joined = || {
        join(
            JoinKind::Inner,
            scan(TABLE, int_columns(2)),
            scan(OTHER, int_columns(2)),
            vec![(column(0), column(0))],
            None,
        )
    };
    bench.view(VIEW, &joined());
    let nodes = bench.engine.node_count();
    bench.view(BYSTANDER, &joined());
    assert_eq!(bench.engine.node_count(), nodes);
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    bench.commit(TABLE, vec![insert(ints(&[1, 1]))]);
    bench.commit(OTHER, vec![insert(ints(&[1, 2]))]);
    bench.refresh(&[BYSTANDER]);
    assert_eq!(bench.published.rows(BYSTANDER), vec![ints(&[1, 1, 1, 2])]);
}

#[test]
fn a_view_refreshed_rarely_holds_its_net_change_only() {
    let mut bench = bench();
    bench.view(VIEW, &aggregate(scan(TABLE, int_columns(1)), vec![0], vec![]));
    for round in 0..100 {
        let rows = |n: i64| (0..1000).map(move |k| ints(&[n * 1000 + k]));
        bench.commit(TABLE, rows(round).map(insert).collect());
        bench.commit(TABLE, rows(round).map(delete).collect());
    }
    let view = bench.engine.memory().into_iter().find(|(id, _)| id.0 == VIEW).map_or(0, |(_, bytes)| bytes);
    assert!(view < 70_000 * 28 + 10_000, "{view} bytes for an empty net change");
    bench.commit(TABLE, vec![insert(ints(&[7]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[7])]);
}

#[test]
fn a_row_to_delete_that_is_not_there_is_reported() {
    let mut bench = bench();
    bench.view(VIEW, &aggregate(scan(TABLE, int_columns(1)), vec![0], vec![]));
    bench.commit(TABLE, vec![insert(ints(&[1])), insert(ints(&[1]))]);
    let result = bench.engine.apply(RelationId(TABLE), vec![delete(ints(&[2])), delete(ints(&[1]))]);
    assert!(matches!(result, Err(EngineError::MissingRow(RelationId(TABLE)))));
    assert_eq!(bench.engine.table_rows(RelationId(TABLE)).expect("a table"), vec![(ints(&[1]), 1)]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1])]);
}

#[test]
fn what_is_read_cannot_be_dropped() {
    let mut bench = bench();
    bench.view(VIEW, &aggregate(scan(TABLE, int_columns(1)), vec![0], vec![]));
    bench.view(READER, &scan(VIEW, int_columns(1)));
    assert!(matches!(bench.engine.drop_table(RelationId(TABLE)), Err(EngineError::InUse(_))));
    assert!(matches!(bench.engine.drop_view(RelationId(VIEW)), Err(EngineError::InUse(_))));
    bench.engine.drop_view(RelationId(READER)).expect("nobody reads it");
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it any more");
    bench.engine.drop_table(RelationId(TABLE)).expect("nobody reads it any more");
    assert!(matches!(bench.engine.drop_table(RelationId(TABLE)), Err(EngineError::UnknownRelation(_))));
}

#[test]
fn a_clock_is_refused_by_name() {
    let mut bench = bench();
    let plan = filter(scan(TABLE, int_columns(1)), call(&LESS, vec![call(&CLOCK, vec![]), column(0)]));
    match bench.engine.add_view(RelationId(VIEW), &plan, &bench.published) {
        Err(EngineError::Unsupported(reason)) => assert!(reason.contains("now() other than compared"), "{reason}"),
        other => panic!("a clock cannot be maintained: {other:?}"),
    }
    assert_eq!(bench.engine.node_count(), 2);
}

#[test]
fn a_group_is_shown_as_all_its_rows_look() {
    let mut bench = bench();
    let columns = vec![ColumnType::new(oid::NUMERIC)];
    let count = |plan: &Plan| vec![aggregate_call(AggregateKind::CountRows, None, plan)];
    let plan = scan(TABLE, columns);
    bench.view(VIEW, &aggregate(plan.clone(), vec![0], count(&plan)));
    let image = |text: &str| row(vec![numeric(text)]);
    let rows = |bench: &Bench| -> Vec<(Option<Value>, Value)> {
        let shown = |row: &Row| ((!row[0].is_error()).then(|| row[0].clone()), row[1].clone());
        bench.published.rows(VIEW).iter().map(shown).collect()
    };
    bench.commit(TABLE, vec![insert(image("1.0")), insert(image("1.0"))]);
    bench.refresh(&[VIEW]);
    assert_eq!(rows(&bench), [(Some(numeric("1.0")), Value::Int8(2))]);
    bench.commit(TABLE, vec![insert(image("1.00"))]);
    bench.refresh(&[VIEW]);
    assert_eq!(rows(&bench), [(None, Value::Int8(3))]);
    bench.commit(TABLE, vec![delete(image("1.0")), delete(image("1.0"))]);
    bench.refresh(&[VIEW]);
    assert_eq!(rows(&bench), [(Some(numeric("1.00")), Value::Int8(1))]);
}
