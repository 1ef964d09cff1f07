//! What a base table's changes become for readers that are filters, and for the others.

use super::fixtures::*;
use weir_planner::RelationId;

const TABLE: u32 = 1;
const VIEW: u32 = 10;
const READER: u32 = 11;
const BYSTANDER: u32 = 12;

fn bench() -> Bench {
    Bench::of(&[TABLE])
}

fn stale(bench: &Bench, view: u32) -> bool {
    bench.engine.is_stale(RelationId(view))
}

#[test]
fn rows_that_a_filter_drops_do_not_wait_for_it() {
    let mut bench = bench();
    bench.view(VIEW, &dividing_filter(TABLE));
    bench.view(BYSTANDER, &scan(TABLE, int_columns(2)));
    bench.commit(TABLE, vec![insert(ints(&[1, 1])), insert(ints(&[5, 1])), insert(ints(&[6, 1]))]);
    assert!(!stale(&bench, VIEW) && stale(&bench, BYSTANDER));

    // Rows that pass, that do not and one that fails, in more than one chunk; what is changed twice counts once.
    bench.commit(
        TABLE,
        vec![
            insert(ints(&[2, 3])),
            insert(ints(&[3, 1])),
            insert(ints(&[4, 0])),
            update(&[3, 1], &[3, 4]),
            delete(ints(&[1, 1])),
            update(&[5, 1], &[5, 2]),
            update(&[5, 2], &[5, 1]),
        ],
    );
    assert!(stale(&bench, VIEW));
    bench.refresh(&[VIEW, BYSTANDER]);
    assert!(bench.in_error(VIEW) && !bench.in_error(BYSTANDER));
    let all = [[2, 3], [3, 4], [4, 0], [5, 1], [6, 1]].map(|row| ints(&row));
    assert_eq!(bench.published.rows(BYSTANDER), all);

    // The failure goes with its row, whether that comes between two refreshes or not.
    bench.commit(TABLE, vec![delete(ints(&[4, 0])), insert(ints(&[7, 0]))]);
    bench.commit(TABLE, vec![delete(ints(&[7, 0]))]);
    bench.refresh(&[VIEW]);
    assert!(!bench.in_error(VIEW));
    assert_eq!(bench.published.rows(VIEW), [[2, 3], [3, 4]].map(|row| ints(&row)));

    bench.commit(TABLE, vec![crate::engine::TableChange::Truncate, insert(ints(&[8, 2]))]);
    bench.refresh(&[VIEW, BYSTANDER]);
    assert_eq!(bench.published.rows(VIEW), [ints(&[8, 2])]);
    assert_eq!(bench.published.rows(BYSTANDER), [ints(&[8, 2])]);
}

#[test]
fn a_filter_that_panics_costs_its_view_and_no_other() {
    let mut bench = bench();
    let fragile = call(&LESS, vec![call(&PANIC, vec![column(0)]), int(1000)]);
    bench.view(VIEW, &filter(scan(TABLE, int_columns(1)), fragile));
    bench.view(READER, &filter(scan(TABLE, int_columns(1)), call(&LESS, vec![column(0), int(3)])));
    bench.view(BYSTANDER, &scan(TABLE, int_columns(1)));
    bench.commit(TABLE, vec![insert(ints(&[1])), insert(ints(&[666])), insert(ints(&[2])), insert(ints(&[5]))]);
    bench.refresh(&[VIEW, READER, BYSTANDER]);
    let quarantined = bench.engine.quarantined();
    assert!(matches!(quarantined.as_slice(), [(RelationId(VIEW), _)]), "{quarantined:?}");
    assert_eq!(bench.published.rows(READER), [ints(&[1]), ints(&[2])]);
    assert_eq!(bench.published.rows(BYSTANDER).len(), 4);
    bench.commit(TABLE, vec![delete(ints(&[666])), delete(ints(&[1])), insert(ints(&[0]))]);
    bench.refresh(&[READER, BYSTANDER]);
    assert_eq!(bench.published.rows(READER), [ints(&[0]), ints(&[2])]);
}
