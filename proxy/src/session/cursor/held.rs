//! The cursors of a block that memory may speak for.

use super::text::Close;
use crate::session::statements::Resolved;
use std::sync::Arc;
use weir_cache::read::{Compiled, Rows};
use weir_cache::{Position, Snapshot};
use weir_planner::eval::EvalContext;

/// A cursor that upstream has declared, and in which it stands before the first row.
pub(super) struct Cursor {
    pub name: String,
    pub resolved: Arc<Resolved>,
    /// The read, with the values of its sort keys behind its columns.
    pub compiled: Compiled,
    pub evaluation: EvalContext,
    /// What could be seen before it was declared: the rows it shows, or older ones.
    pub before: Arc<Snapshot>,
    /// The rows its snapshot shows, once that is known.
    pub rows: Option<Rows<'static>>,
    /// As of when.
    pub position: Position,
    /// Rows that the client has been told.
    pub told: usize,
    /// The client has asked for more than there are: it stands behind the last row.
    pub is_behind: bool,
}

#[derive(Default)]
pub(in crate::session) struct Cursors {
    held: Vec<Cursor>,
    /// Its DECLARE is being forwarded.
    opening: Option<Box<Cursor>>,
}

impl Cursors {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The statement that is being forwarded declares one.
    pub(in crate::session) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    pub(super) fn opens(&mut self, cursor: Cursor) {
        self.opening = Some(Box::new(cursor));
    }

    /// All that declares it has been forwarded: it is there, or the block fails.
    pub(in crate::session) fn opened(&mut self) {
        self.held.extend(self.opening.take().map(|cursor| *cursor));
    }

    /// The block has ended or failed, and its cursors with it.
    pub(in crate::session) fn clear(&mut self) {
        self.held.clear();
        self.opening = None;
    }

    pub(super) fn holds(&self, name: &[u8]) -> bool {
        self.held.iter().any(|cursor| cursor.name.as_bytes() == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Cursor> {
        self.held.iter().find(|cursor| cursor.name == name)
    }

    /// Out of here while it is worked with; [`Cursors::put`] back whatever comes of that.
    pub(super) fn take(&mut self, name: &str) -> Option<Cursor> {
        let at = self.held.iter().position(|cursor| cursor.name == name)?;
        Some(self.held.swap_remove(at))
    }

    pub(super) fn put(&mut self, cursor: Cursor) {
        self.held.push(cursor);
    }

    pub(super) fn drop_closed(&mut self, close: &Close) {
        self.held.retain(|cursor| close.name.as_ref().is_some_and(|name| *name != cursor.name));
    }

    /// All of them, to be brought upstream.
    pub(super) fn drain(&mut self) -> Vec<Cursor> {
        std::mem::take(&mut self.held)
    }
}
