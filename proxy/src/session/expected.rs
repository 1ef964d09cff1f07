//! What Postgres still owes the client: a queue with every forwarded message that has a reply, in order. It says when the
//! upstream is idle, which replies answer messages that Weir put in, which messages an error made the server skip, and
//! when a name has really come into being.

use super::statements::Statement;
use std::collections::VecDeque;
use std::sync::Arc;

/// One forwarded message whose reply matters.
#[derive(Debug)]
pub enum Expected {
    /// Answered by ParseComplete.
    Parse { injected: bool, outcome: ParseOutcome },
    /// Answered by BindComplete.
    Bind { injected: bool },
    /// Answered by RowDescription or NoData, after ParameterDescription for a statement.
    Describe,
    /// Answered by rows and CommandComplete, PortalSuspended or EmptyQueryResponse.
    Execute { injected: bool },
    /// Answered by CloseComplete.
    Close { injected: bool, unnamed_statement: bool },
    /// A message that can only be answered by an error: a Flush that is laid out wrongly.
    Failing,
    /// CopyDone or CopyFail; has no reply of its own, ends copy-in mode.
    CopyEnd,
    /// Answered by ReadyForQuery.
    Sync { hold: bool },
    /// Answered by results and ReadyForQuery. A text that Postgres cannot read leaves the unnamed statement as it is.
    Query { hold: bool, readable: bool },
    /// Answered by FunctionCallResponse and ReadyForQuery.
    FunctionCall,
    /// The start-up, which also ends in ReadyForQuery.
    Startup,
}

/// What becomes of the session's names when the Parse succeeds.
#[derive(Debug)]
pub enum ParseOutcome {
    /// No name that Weir knows is concerned.
    Nothing,
    /// The name now stands for this statement; `None`: for one that Weir has no interest in.
    Named(Box<[u8]>, Option<Arc<Statement>>),
}

/// What a ReadyForQuery answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Ready {
    /// It is to be held back.
    pub hold: bool,
    /// It ends a simple query, which has destroyed the unnamed statement.
    pub simple: bool,
}

/// The replies do not follow the protocol as Weir knows it, or it cannot be known what they answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Surprise(pub &'static str);

/// A copy failed whose client had sent a Sync that the server answers or ignores, depending on when it read it.
const SYNC_WITHIN_FAILED_COPY: Surprise = Surprise("Sync within a failed COPY");

#[derive(Debug, Default)]
pub struct Queue {
    queue: VecDeque<Expected>,
    copy_in: bool,
    /// A Sync was taken for one that the server ignores because it came during copy-in. Should the copy have failed just
    /// before, the server has answered it.
    ignored_sync: bool,
    /// The server ignores what it reads until the next Sync (`ignore_till_sync` in `postgres.c`).
    skipping: bool,
}

impl Queue {
    /// Everything forwarded has been answered.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.skipping
    }

    #[inline]
    pub fn is_copying_in(&self) -> bool {
        self.copy_in
    }

    pub fn push(&mut self, expected: Expected) {
        match expected {
            // "Ignore Flush/Sync for the convenience of client libraries" (CopyGetData in copyfromparse.c): such a Sync
            // has no ReadyForQuery.
            Expected::Sync { .. } if self.copy_in => self.ignored_sync = true,
            Expected::Sync { .. } => {
                self.skipping = false;
                self.queue.push_back(expected);
            }
            _ if self.skipping => {}
            Expected::CopyEnd => {
                // Outside copy-in mode the server ignores these messages; with an answer outstanding the copy may be
                // about to begin (a client that does not wait for CopyInResponse), and its end must be remembered.
                if !std::mem::take(&mut self.copy_in) && !self.queue.is_empty() {
                    self.queue.push_back(Expected::CopyEnd);
                }
            }
            other => self.queue.push_back(other),
        }
    }

    /// The statement that a Parse still under way will give this name.
    pub fn statement_under_way(&self, name: &[u8]) -> Option<Option<&Arc<Statement>>> {
        self.queue.iter().rev().find_map(|expected| match expected {
            Expected::Parse { outcome: ParseOutcome::Named(of, statement), .. } if **of == *name => {
                Some(statement.as_ref())
            }
            _ => None,
        })
    }

    /// A Parse still under way will give a name to a statement of interest.
    pub fn names_under_way(&self) -> bool {
        self.queue.iter().any(|e| matches!(e, Expected::Parse { outcome: ParseOutcome::Named(_, Some(_)), .. }))
    }

    /// Something still under way may replace or destroy the unnamed statement.
    pub fn may_change_unnamed(&self) -> bool {
        self.queue.iter().any(|expected| match expected {
            Expected::Parse { outcome: ParseOutcome::Named(name, _), .. } => name.is_empty(),
            Expected::Parse { injected, .. } => *injected,
            Expected::Close { unnamed_statement, .. } => *unnamed_statement,
            Expected::Query { .. } => true,
            _ => false,
        })
    }

    /// What is being answered was put in by Weir.
    #[inline]
    pub fn is_injected(&self) -> bool {
        matches!(
            self.queue.front(),
            Some(
                Expected::Parse { injected: true, .. }
                    | Expected::Bind { injected: true }
                    | Expected::Execute { injected: true }
                    | Expected::Close { injected: true, .. }
            )
        )
    }

    /// A simple query is being answered.
    pub fn is_answering_query(&self) -> bool {
        matches!(self.queue.front(), Some(Expected::Query { .. }))
    }

    /// ParseComplete arrived.
    pub fn parse_complete(&mut self) -> Result<(bool, ParseOutcome), Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Parse { injected, outcome }) => Ok((injected, outcome)),
            other => self.surprise("ParseComplete", other),
        }
    }

    /// BindComplete arrived.
    pub fn bind_complete(&mut self) -> Result<(), Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Bind { .. }) => Ok(()),
            other => self.surprise("BindComplete", other),
        }
    }

    /// CloseComplete arrived: was it for the unnamed statement?
    pub fn close_complete(&mut self) -> Result<bool, Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Close { unnamed_statement, .. }) => Ok(unnamed_statement),
            other => self.surprise("CloseComplete", other),
        }
    }

    /// RowDescription or NoData arrived. A simple query's rows are described, too.
    pub fn described(&mut self) -> Result<(), Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Describe) => Ok(()),
            Some(Expected::Query { hold, .. }) => {
                self.queue.push_front(Expected::Query { hold, readable: true });
                Ok(())
            }
            other => self.surprise("RowDescription", other),
        }
    }

    /// CommandComplete, PortalSuspended or EmptyQueryResponse arrived.
    pub fn completed(&mut self) -> Result<(), Surprise> {
        self.copy_in = false;
        self.ignored_sync = false;
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Execute { .. }) => {
                self.skip_copy_ends();
                Ok(())
            }
            Some(Expected::Query { hold, .. }) => {
                self.queue.push_front(Expected::Query { hold, readable: true });
                Ok(())
            }
            other => self.surprise("CommandComplete", other),
        }
    }

    /// CopyInResponse arrived: Syncs sent before the client knew are ignored by the server.
    pub fn copy_in(&mut self) {
        let mut ended = false;
        let mut ignored = false;
        let mut position = 0;
        self.queue.retain(|expected| {
            // The first is what began the copy; a query's own ReadyForQuery is still to come.
            position += 1;
            match expected {
                Expected::CopyEnd => ended = true,
                Expected::Sync { .. } if !ended && position > 1 => {
                    ignored = true;
                    return false;
                }
                _ => {}
            }
            true
        });
        self.ignored_sync |= ignored;
        self.copy_in = !ended;
    }

    /// ErrorResponse arrived: copy-in mode, if any, is over, and what follows an extended message up to its Sync is
    /// skipped. True when what failed was the client's Parse of the unnamed statement, which it has destroyed.
    pub fn error(&mut self) -> Result<bool, Surprise> {
        self.copy_in = false;
        if std::mem::take(&mut self.ignored_sync) {
            return Err(SYNC_WITHIN_FAILED_COPY);
        }
        self.skip_copy_ends();
        let unnamed = match self.queue.front() {
            None => return Ok(false),
            Some(Expected::Sync { .. } | Expected::Query { .. } | Expected::FunctionCall | Expected::Startup) => {
                return Ok(false);
            }
            Some(Expected::Parse { injected: false, outcome: ParseOutcome::Named(name, _) }) => name.is_empty(),
            Some(_) => false,
        };
        let synced = self.queue.iter().position(|expected| matches!(expected, Expected::Sync { .. }));
        self.skipping = synced.is_none();
        self.queue.drain(..synced.unwrap_or(self.queue.len()));
        Ok(unnamed)
    }

    /// ReadyForQuery arrived.
    pub fn ready(&mut self) -> Result<Ready, Surprise> {
        self.copy_in = false;
        self.ignored_sync = false;
        self.skip_copy_ends();
        let ready = match self.queue.pop_front() {
            Some(Expected::Sync { hold }) => Ready { hold, simple: false },
            Some(Expected::Query { hold, readable }) => Ready { hold, simple: readable },
            Some(Expected::FunctionCall | Expected::Startup) => Ready { hold: false, simple: false },
            other => return self.surprise("ReadyForQuery", other),
        };
        self.skip_copy_ends();
        Ok(ready)
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

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Ready = Ready { hold: false, simple: false };

    fn sync() -> Expected {
        Expected::Sync { hold: false }
    }
    fn query() -> Expected {
        Expected::Query { hold: false, readable: true }
    }
    fn bind() -> Expected {
        Expected::Bind { injected: false }
    }
    fn execute() -> Expected {
        Expected::Execute { injected: false }
    }
    fn parse(injected: bool) -> Expected {
        Expected::Parse { injected, outcome: ParseOutcome::Nothing }
    }

    fn queue(of: impl IntoIterator<Item = Expected>) -> Queue {
        let mut queue = Queue::default();
        of.into_iter().for_each(|expected| queue.push(expected));
        queue
    }

    #[test]
    fn an_error_skips_to_the_next_sync_only() {
        let mut queue = queue([parse(false), parse(true), sync(), parse(true), sync()]);
        assert!(!queue.parse_complete().unwrap().0);
        queue.error().unwrap();
        assert_eq!(queue.ready(), Ok(READY));
        assert!(queue.is_injected(), "the second batch's injected Parse is the next to answer");
        assert!(queue.parse_complete().unwrap().0);
        assert_eq!(queue.ready(), Ok(READY));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_query_behind_a_failed_bind_is_skipped_with_it() {
        let mut queue = queue([bind(), query()]);
        queue.error().unwrap();
        assert!(!queue.is_idle(), "the server waits for a Sync");
        queue.push(parse(false));
        queue.push(query());
        queue.push(sync());
        assert_eq!(queue.ready(), Ok(READY));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_query_behind_a_bind_is_answered_by_itself() {
        let mut queue = queue([bind(), query(), sync()]);
        queue.bind_complete().unwrap();
        queue.error().unwrap();
        assert_eq!(queue.ready(), Ok(Ready { hold: false, simple: true }));
        assert_eq!(queue.ready(), Ok(READY));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_sync_sent_before_copy_in_began_is_ignored_by_the_server() {
        let mut queue = queue([execute(), sync()]);
        queue.copy_in();
        queue.push(sync());
        queue.push(Expected::CopyEnd);
        queue.push(sync());
        queue.completed().unwrap();
        assert_eq!(queue.ready(), Ok(READY));
        assert!(queue.is_idle());
    }

    #[test]
    fn whether_a_sync_within_a_failed_copy_is_answered_cannot_be_known() {
        let mut queue = queue([execute(), sync()]);
        queue.copy_in();
        assert_eq!(queue.error(), Err(SYNC_WITHIN_FAILED_COPY));
    }

    #[test]
    fn a_pipelined_copy_keeps_the_sync_behind_its_end() {
        let mut queue = queue([parse(false), execute(), Expected::CopyEnd, sync()]);
        assert!(!queue.parse_complete().unwrap().0);
        queue.copy_in();
        queue.completed().unwrap();
        assert_eq!(queue.ready(), Ok(READY));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_copy_by_simple_query_ends_with_the_querys_own_ready() {
        let held = Ready { hold: true, simple: true };
        let mut copying = queue([Expected::Query { hold: true, readable: true }]);
        copying.copy_in();
        copying.push(Expected::CopyEnd);
        copying.completed().unwrap();
        assert_eq!(copying.ready(), Ok(held));
        assert!(copying.is_idle());
        // The end sent before the server said that the copy begins.
        let mut copying = queue([query(), Expected::CopyEnd]);
        copying.copy_in();
        copying.error().unwrap();
        assert_eq!(copying.ready(), Ok(Ready { hold: false, simple: true }));
        assert!(copying.is_idle());
    }

    #[test]
    fn replies_nobody_asked_for_are_a_surprise() {
        let mut queue = Queue::default();
        assert_eq!(queue.ready(), Err(Surprise("ReadyForQuery")));
        queue.push(sync());
        assert!(queue.parse_complete().is_err());
        assert!(queue.close_complete().is_err());
        assert!(queue.completed().is_err());
    }
}
