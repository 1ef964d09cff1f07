//! What Postgres owes the client if the messages forwarded were understood in one certain way: a queue of those that have
//! a reply, in order. Told of each message and each reply, it knows which replies answer what, which messages an error made
//! the server skip, and which it ignored within a copy.

use super::expected::{Certainty, Closed, Expected, ParseOutcome, Query, Ready, Surprise};
use super::statements::Statement;
use std::collections::VecDeque;
use std::sync::Arc;

/// Syncs within one copy that are remembered. Clients that know what they do send none there.
const MAX_SYNCS_WITHIN_COPY: usize = 16;

const TOO_MANY_SYNCS: Surprise = Surprise("many Syncs within a failed COPY");

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conversation {
    queue: VecDeque<Expected>,
    /// The server is in copy-in mode, or was until it read the end that the client has sent.
    copying: bool,
    /// The server ignores what it reads until the next Sync (`ignore_till_sync` in `postgres.c`).
    skipping: bool,
}

impl Conversation {
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.skipping
    }

    /// In copy-in mode, and its end has not been sent.
    #[inline]
    pub(super) fn is_copying_in(&self) -> bool {
        self.copying && !self.queue.iter().any(|expected| matches!(expected, Expected::CopyEnd))
    }

    /// The server answers without a further word from the client.
    pub(super) fn is_attentive(&self) -> bool {
        !self.is_copying_in() && !self.skipping
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Expected> {
        self.queue.iter()
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Expected> {
        self.queue.front()
    }

    #[inline]
    pub(super) fn back(&self) -> Option<&Expected> {
        self.queue.back()
    }

    /// May the next reply be of this kind?
    pub(super) fn accepts(&self, tag: u8) -> bool {
        let next = self.queue.iter().find(|expected| !matches!(expected, Expected::CopyEnd));
        match next {
            Some(next) => next.is_answered_by(tag),
            // Nothing is owed: notices, notifications, parameters.
            None => matches!(tag, b'N' | b'A' | b'S'),
        }
    }

    pub(super) fn push(&mut self, expected: Expected) {
        match expected {
            // "Ignore Flush/Sync for the convenience of client libraries" (CopyGetData in copyfromparse.c): such a Sync
            // has no ReadyForQuery.
            Expected::Sync { hold } if self.is_copying_in() => self.queue.push_back(Expected::SyncWithinCopy { hold }),
            Expected::Sync { .. } | Expected::Cut { .. } => {
                self.skipping = false;
                self.queue.push_back(expected);
            }
            _ if self.skipping => {}
            // Outside copy-in mode the server ignores these messages; with an answer outstanding the copy may be about to
            // begin (a client that does not wait for CopyInResponse), and its end must be remembered.
            Expected::CopyEnd if self.queue.is_empty() => {}
            other => self.queue.push_back(other),
        }
    }

    /// ParseComplete arrived.
    pub(super) fn parse_complete(&mut self) -> Result<(bool, ParseOutcome), Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Parse { injected, outcome }) => {
                self.skip_copy_ends();
                Ok((injected, outcome))
            }
            other => self.surprise("ParseComplete", other),
        }
    }

    /// BindComplete arrived: has the client's unnamed portal been made?
    pub(super) fn bind_complete(&mut self) -> Result<bool, Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Bind { unnamed, .. }) => {
                self.skip_copy_ends();
                Ok(unnamed)
            }
            other => self.surprise("BindComplete", other),
        }
    }

    /// CloseComplete arrived: what has been closed?
    pub(super) fn close_complete(&mut self) -> Result<Closed, Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Close { what, .. }) => {
                self.skip_copy_ends();
                Ok(what)
            }
            other => self.surprise("CloseComplete", other),
        }
    }

    /// RowDescription or NoData arrived. A simple query's rows are described, too.
    pub(super) fn described(&mut self) -> Result<(), Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Describe) => {
                self.skip_copy_ends();
                Ok(())
            }
            Some(Expected::Query(query)) => {
                self.queue.push_front(Expected::Query(Query { readable: true, answered: true, ..query }));
                Ok(())
            }
            other => self.surprise("RowDescription", other),
        }
    }

    /// CommandComplete, PortalSuspended or EmptyQueryResponse arrived: a copy, if that was one, has ended well.
    pub(super) fn completed(&mut self) -> Result<(), Surprise> {
        self.end_copy();
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Execute { .. }) => {
                self.skip_copy_ends();
                Ok(())
            }
            Some(Expected::Query(query)) => {
                self.queue.push_front(Expected::Query(Query { readable: true, answered: true, ..query }));
                Ok(())
            }
            other => self.surprise("CommandComplete", other),
        }
    }

    /// CopyInResponse arrived. What came before its end was said before the client knew, but is read within the copy.
    pub(super) fn begin_copy(&mut self) {
        let end = self.queue.iter().position(|expected| matches!(expected, Expected::CopyEnd));
        // The first is what began the copy; a query's own ReadyForQuery is still to come.
        for expected in self.queue.iter_mut().take(end.unwrap_or(usize::MAX)).skip(1) {
            if let Expected::Sync { hold } = *expected {
                *expected = Expected::SyncWithinCopy { hold };
            }
        }
        self.copying = true;
    }

    /// The server has read all of the copy, and ignored every Sync in it.
    fn end_copy(&mut self) {
        if !std::mem::take(&mut self.copying) {
            return;
        }
        self.queue.retain(|expected| !matches!(expected, Expected::SyncWithinCopy { .. }));
        if let Some(end) = self.queue.iter().position(|expected| matches!(expected, Expected::CopyEnd)) {
            self.queue.remove(end);
        }
    }

    fn syncs_within_copy(&self) -> usize {
        self.queue.iter().filter(|expected| matches!(expected, Expected::SyncWithinCopy { .. })).count()
    }

    /// An error arrived, and where it struck is not known when the client sent Syncs within a copy: the server ignored
    /// those that it read before it failed, and answers the others. One conversation for each way it may have been, this
    /// one for that in which it ignored all.
    pub(super) fn split_at_failure(&mut self) -> Result<Vec<Conversation>, Surprise> {
        let syncs = self.syncs_within_copy();
        if syncs == 0 {
            return Ok(vec![]);
        }
        if syncs > MAX_SYNCS_WITHIN_COPY {
            return Err(TOO_MANY_SYNCS);
        }
        let others = (0..syncs).map(|ignored| self.after_ignoring(ignored)).collect();
        *self = self.after_ignoring(syncs);
        Ok(others)
    }

    fn after_ignoring(&self, ignored: usize) -> Conversation {
        let mut seen = 0;
        let queue = self.queue.iter().filter_map(|expected| match expected {
            Expected::SyncWithinCopy { hold } => {
                seen += 1;
                (seen > ignored).then_some(Expected::Sync { hold: *hold })
            }
            other => Some(other.clone()),
        });
        Conversation { queue: queue.collect(), ..*self }
    }

    /// ErrorResponse arrived: copy-in mode, if any, is over, and what follows an extended message up to its Sync is
    /// skipped. True when what failed was the client's Parse of the unnamed statement, which it has destroyed.
    pub(super) fn error(&mut self) -> bool {
        self.copying = false;
        self.skip_copy_ends();
        let unnamed = match self.queue.front_mut() {
            None => return false,
            Some(Expected::Query(query)) => {
                query.answered = true;
                return false;
            }
            Some(Expected::Sync { .. } | Expected::Cut { .. } | Expected::FunctionCall | Expected::Startup) => {
                return false;
            }
            Some(Expected::Parse {
                injected: false,
                outcome: ParseOutcome::Named(name, _) | ParseOutcome::Unreadable(name),
            }) => name.is_empty(),
            Some(_) => false,
        };
        let synced =
            self.queue.iter().position(|expected| matches!(expected, Expected::Sync { .. } | Expected::Cut { .. }));
        self.skipping = synced.is_none();
        self.queue.drain(..synced.unwrap_or(self.queue.len()));
        if let Some(Expected::Cut { failed }) = self.queue.front_mut() {
            *failed = true;
        }
        unnamed
    }

    /// ReadyForQuery arrived.
    pub(super) fn ready(&mut self) -> Result<Ready, Surprise> {
        self.end_copy();
        self.skip_copy_ends();
        let ready = match self.queue.pop_front() {
            Some(Expected::Sync { hold }) => Ready { hold, simple: Certainty::No, cut: None },
            Some(Expected::Cut { failed }) => Ready { hold: false, simple: Certainty::No, cut: Some(failed) },
            Some(Expected::Query(query)) => Ready { hold: query.hold, simple: query.readable.into(), cut: None },
            Some(Expected::FunctionCall | Expected::Startup) => Ready { hold: false, simple: Certainty::No, cut: None },
            other => return self.surprise("ReadyForQuery", other),
        };
        self.skip_copy_ends();
        Ok(ready)
    }

    /// The statement that a Parse still under way will give this name.
    pub(super) fn statement_under_way(&self, name: &[u8]) -> Option<Option<&Arc<Statement>>> {
        self.queue.iter().rev().find_map(|expected| match expected {
            Expected::Parse { outcome: ParseOutcome::Named(of, statement), .. } if **of == *name => {
                Some(statement.as_ref())
            }
            Expected::Parse { outcome: ParseOutcome::Unreadable(of), .. } if **of == *name => Some(None),
            _ => None,
        })
    }

    /// Weir has no interest in what the Parses still under way give this name, or any name (`None`): it is about to be closed.
    pub(super) fn forget_under_way(&mut self, name: Option<&[u8]>) {
        for expected in &mut self.queue {
            if let Expected::Parse { outcome: ParseOutcome::Named(of, statement), .. } = expected
                && name.is_none_or(|name| **of == *name)
            {
                *statement = None;
            }
        }
    }

    /// Copy ends that came when nothing was copied.
    fn skip_copy_ends(&mut self) {
        while matches!(self.queue.front(), Some(Expected::CopyEnd)) {
            self.queue.pop_front();
        }
    }

    fn surprise<T>(&mut self, reply: &'static str, popped: Option<Expected>) -> Result<T, Surprise> {
        if let Some(popped) = popped {
            self.queue.push_front(popped);
        }
        Err(Surprise(reply))
    }
}
