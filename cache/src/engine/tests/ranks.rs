//! Ranks and row numbers over rows that move among their peers: only what a change can reach is numbered anew, and that must
//! be all that changed.

use super::fixtures::*;
use super::oracle::{Oracle, normal_form};
use crate::engine::TableChange;
use rand::{Rng, SeedableRng};
use weir_planner::plan::{Node, SortKey, WindowCall, WindowKind};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Plan, RelationId, Row};

const TABLE: u32 = 1;
/// Steps per set of functions.
const STEPS: usize = 400;
const ROWS: usize = 30;

fn ranked(functions: &[WindowKind]) -> Plan {
    let input = scan(TABLE, int_columns(2));
    let int8 = || ColumnType::new(oid::INT8);
    let key = |index| SortKey { expr: column(index), kind: int8(), descending: false, nulls_first: false };
    // A row number needs an order without peers.
    let order = if functions.contains(&WindowKind::RowNumber) { vec![key(0), key(1)] } else { vec![key(0)] };
    let calls = functions.iter().map(|kind| WindowCall::plain(*kind, vec![], order.clone(), int8()));
    let functions: Vec<WindowCall> = calls.collect();
    let columns = int_columns(2 + functions.len());
    Plan { node: Node::Window { input: Box::new(input), functions }, columns }
}

#[test]
fn rows_that_move_are_ranked_as_if_from_scratch() {
    use WindowKind::{DenseRank, Rank, RowNumber};
    let sets: [&[WindowKind]; 5] = [&[Rank], &[DenseRank], &[Rank, DenseRank], &[RowNumber], &[RowNumber, Rank]];
    for (id, functions) in (10..).zip(sets) {
        let mut random = rand::rngs::StdRng::seed_from_u64(u64::from(id));
        let mut bench = Bench::default();
        bench.table(TABLE);
        let plan = ranked(functions);
        bench.view(id, &plan);
        let mut oracle = Oracle::default();
        let mut rows: Vec<Row> = vec![];
        for step in 0..STEPS {
            let mut any = || ints(&[random.random_range(0..5), random.random_range(0..4)]);
            let new = any();
            let moves = [any(), any()];
            let changes = if rows.len() < ROWS {
                rows.push(new.clone());
                vec![insert(new)]
            } else if random.random_bool(0.2) {
                vec![delete(rows.swap_remove(random.random_range(0..rows.len())))]
            } else {
                // One or two rows change places, and how many there are does not.
                let moved = moves.into_iter().take(random.random_range(1..3));
                let change = |new: Row| {
                    let old = rows.swap_remove(random.random_range(0..rows.len()));
                    rows.push(new.clone());
                    TableChange::Row { old: Some(old), new: Some(new) }
                };
                moved.map(change).collect()
            };
            bench.commit(TABLE, changes);
            bench.refresh(&[id]);
            oracle.tables.insert(RelationId(TABLE), rows.clone());
            let expected = oracle.evaluate(&plan).expect("nothing can fail");
            let found = bench.published.rows(id);
            assert_eq!(normal_form(found), normal_form(expected), "{functions:?}, step {step}");
        }
    }
}
