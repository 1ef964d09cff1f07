//! Which rows does a cursor show? Those of the snapshot that DECLARE took, which is not known. But what could be seen before
//! DECLARE was sent is in it, and whatever is in it can be seen now: where nothing that the tables are made of has changed
//! from the one to the other, it shows what both show.

use super::held::Cursor;
use super::open::sort_keys;
use crate::session::answer::refusal_of;
use crate::session::attempt::Refusal;
use crate::session::elsewhere::AT_HOME;
use crate::session::environment::Probed;
use crate::session::reason;
use crate::session::relay::Relay;
use std::sync::Arc;
use weir_cache::Snapshot;
use weir_cache::read::{ReadError, Rows};
use weir_planner::plan::SortKey;
use weir_planner::value::compare_sort_keys;
use weir_planner::{RelationId, Value};

impl Relay {
    /// Finds the rows of a cursor that upstream has declared.
    pub(super) async fn prove_cursor(&self, cursor: &mut Cursor, probed: &Arc<Probed>) -> Result<(), Refusal> {
        if cursor.rows.is_some() {
            return Ok(());
        }
        let tables = &cursor.resolved.prepared.tables;
        let (now, position) = self.newest(tables, probed).await?;
        if !are_the_same(&cursor.before, &now, tables) {
            return Err(reason::CURSOR_SNAPSHOT.into());
        }
        let found = cursor.compiled.execute_within(AT_HOME, &cursor.before, &cursor.evaluation);
        let rows = match found {
            Err(ReadError::TooLong) => {
                // What is executed on another thread is not borrowed from here.
                let (plan, snapshot) = (cursor.compiled.plan().clone(), cursor.before.clone());
                let evaluation = cursor.evaluation.clone();
                let found = self.elsewhere(probed, move |budget| {
                    let compiled = weir_cache::read::Compiled::new(&plan)?;
                    compiled.execute_within(budget, &snapshot, &evaluation).map(Rows::into_kept::<'static>)
                });
                Box::pin(found).await?.map_err(refusal_of)?
            }
            found => found.map_err(refusal_of)?.into_kept(),
        };
        let keys = sort_keys(&cursor.resolved.prepared.plan).ok_or(reason::CURSOR_ORDER)?;
        if !has_one_order(&rows, keys, cursor.resolved.prepared.columns.len()) {
            return Err(reason::CURSOR_ORDER.into());
        }
        cursor.rows = Some(rows);
        cursor.position = cursor.position.max(position);
        Ok(())
    }
}

/// From the one snapshot to the other nothing has changed that these tables are made of, whatever has come of it.
fn are_the_same(before: &Snapshot, now: &Snapshot, tables: &[RelationId]) -> bool {
    tables.iter().all(|id| match (before.tables.get(id), now.tables.get(id)) {
        (Some(before), Some(now)) => before.as_of == now.as_of,
        _ => false,
    })
}

/// Rows that the order leaves equal are alike. The keys' values are behind the columns.
fn has_one_order(rows: &Rows<'_>, keys: &[SortKey], columns: usize) -> bool {
    let mut before: Option<Vec<Value>> = None;
    for row in rows.iter() {
        let row: Vec<Value> = row.iter().cloned().collect();
        if let Some(before) = &before
            && compare_sort_keys(&before[columns..], &row[columns..], keys).is_eq()
            && before[..columns] != row[..columns]
        {
            return false;
        }
        before = Some(row);
    }
    true
}
