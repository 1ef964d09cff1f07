//! The bags of rows that a consumer of the events holds.

use std::collections::{HashMap, HashSet};
use weir_cache::Position;
use weir_planner::{RelationId, Row, Value};
use weir_proxy::capture::{Change, Commit, Event};

#[derive(Default)]
pub struct Model {
    pub tables: HashMap<RelationId, HashMap<Row, i64>>,
    pub joined: HashSet<RelationId>,
    pub shed: HashMap<RelationId, String>,
    pub waiting: HashMap<RelationId, String>,
    pub marks: Vec<String>,
    pub frontier: Position,
    pub interrupted: bool,
    pub restarts: usize,
    pub catalog_changes: usize,
    pub late: usize,
}

impl Model {
    /// Applies an event. Panics where an event contradicts what came before: a row that is not there is removed, a table
    /// that has not joined is changed, the frontier goes back.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Commits { commits, frontier } => {
                assert!(!commits.is_empty(), "commits without a commit");
                for commit in commits {
                    assert!(commit.position > self.frontier, "a commit at or below the frontier");
                    assert!(commit.position <= frontier, "a commit beyond its frontier");
                    self.commit(commit);
                }
                self.advance(frontier);
            }
            Event::Frontier(frontier) => self.advance(frontier),
            Event::Joined { table, rows, late, position, .. } => {
                self.advance(position);
                self.late += late.len();
                let bag = self.tables.entry(table).or_default();
                bag.clear();
                rows.into_iter().for_each(|row| *bag.entry(row).or_default() += 1);
                self.joined.insert(table);
                late.into_iter().for_each(|change| self.change(change));
            }
            Event::Shed { table, reason } => {
                self.joined.remove(&table);
                self.shed.insert(table, reason);
            }
            Event::Waiting { table, reason } => {
                self.waiting.insert(table, reason);
            }
            Event::Interrupted { .. } => self.interrupted = true,
            Event::Restarted { .. } => {
                let restarts = self.restarts + 1;
                *self = Model { restarts, ..Model::default() };
            }
            Event::CatalogChanged => self.catalog_changes += 1,
        }
    }

    fn advance(&mut self, frontier: Position) {
        assert!(frontier >= self.frontier, "the frontier went back from {} to {frontier}", self.frontier);
        self.frontier = frontier;
    }

    fn commit(&mut self, commit: Commit) {
        commit.changes.into_iter().for_each(|change| self.change(change));
    }

    fn change(&mut self, change: Change) {
        if let Some(table) = change.table() {
            assert!(self.joined.contains(&table), "a change of a table that has not joined: {change:?}");
        }
        match change {
            Change::Row { table, old, new } => {
                let bag = self.tables.entry(table).or_default();
                if let Some(old) = old {
                    let count = bag.get_mut(&old).unwrap_or_else(|| panic!("a removed row is not there: {old:?}"));
                    *count -= 1;
                    if *count == 0 {
                        bag.remove(&old);
                    }
                }
                if let Some(new) = new {
                    *bag.entry(new).or_default() += 1;
                }
            }
            Change::Truncate { table } => self.tables.entry(table).or_default().clear(),
            Change::Touched { table } => panic!("{table:?} is read whole here: nothing may be left out"),
            Change::Mark(text) => self.marks.push(text),
        }
    }

    /// The table's rows as text, sorted.
    pub fn rows(&self, table: RelationId) -> Vec<String> {
        let bag = self.tables.get(&table).into_iter().flatten();
        let mut rows: Vec<String> = bag
            .flat_map(|(row, count)| {
                let text = row.iter().map(render).collect::<Vec<_>>().join("|");
                std::iter::repeat_n(text, usize::try_from(*count).expect("bags do not go below zero"))
            })
            .collect();
        rows.sort();
        rows
    }
}

/// As `coalesce(column::text, '∅')` for the types the tests use.
fn render(value: &Value) -> String {
    match value {
        Value::Null => "∅".into(),
        Value::Int4(v) => v.to_string(),
        Value::Int8(v) => v.to_string(),
        Value::Text(v) => v.to_string(),
        other => panic!("the tests use no such value: {other:?}"),
    }
}
