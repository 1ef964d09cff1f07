//! What Postgres still owes the client: a queue in the order in which messages were forwarded. It says when the upstream
//! is idle, which replies answer messages that Weir put in, and when a named statement has really come into being.

use super::statements::Statement;
use std::collections::VecDeque;
use std::sync::Arc;

/// One forwarded message whose reply matters.
#[derive(Debug)]
pub enum Expected {
    /// Answered by ParseComplete.
    Parse {
        injected: bool,
        outcome: ParseOutcome,
    },
    /// Answered by CloseComplete.
    Close {
        injected: bool,
    },
    /// CopyDone or CopyFail; has no reply of its own, ends copy-in mode.
    CopyEnd,
    /// Answered by ReadyForQuery.
    Sync {
        hold: bool,
    },
    Query {
        hold: bool,
    },
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
    /// The text was too long to look at: any name may have changed.
    Unknown,
}

/// The replies do not follow the protocol as Weir knows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Surprise;

#[derive(Debug, Default)]
pub struct Queue {
    queue: VecDeque<Expected>,
    copy_in: bool,
}

impl Queue {
    /// Everything forwarded has been answered.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn push(&mut self, expected: Expected) {
        match expected {
            // "Ignore Flush/Sync for the convenience of client libraries" (CopyGetData in copyfromparse.c): such a Sync
            // has no ReadyForQuery.
            Expected::Sync { .. } if self.copy_in => {}
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

    /// A Parse still under way will give a name that matters.
    pub fn names_under_way(&self) -> bool {
        self.queue.iter().any(|e| matches!(e, Expected::Parse { outcome: ParseOutcome::Named(..), .. }))
    }

    /// ParseComplete arrived.
    pub fn parse_complete(&mut self) -> Result<(bool, ParseOutcome), Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Parse { injected, outcome }) => Ok((injected, outcome)),
            other => self.surprise(other),
        }
    }

    /// CloseComplete arrived: was it for a Close that Weir put in?
    pub fn close_complete(&mut self) -> Result<bool, Surprise> {
        self.skip_copy_ends();
        match self.queue.pop_front() {
            Some(Expected::Close { injected }) => Ok(injected),
            other => self.surprise(other),
        }
    }

    /// CopyInResponse arrived: Syncs sent before the client knew are ignored by the server.
    pub fn copy_in(&mut self) {
        let mut before_end = true;
        let mut ended = false;
        let mut first_query = true;
        self.queue.retain(|expected| {
            match expected {
                // A copy begun by a simple query: the query's own ReadyForQuery is still to come.
                Expected::Query { .. } if first_query => {
                    first_query = false;
                    return true;
                }
                Expected::CopyEnd => {
                    ended = ended || before_end;
                    before_end = false;
                }
                Expected::Sync { .. } if before_end => return false,
                _ => {}
            }
            true
        });
        self.copy_in = !ended;
    }

    /// ErrorResponse arrived: copy-in mode, if any, is over.
    pub fn error(&mut self) {
        self.copy_in = false;
    }

    /// ReadyForQuery arrived: is it to be held back?
    pub fn ready(&mut self) -> Result<bool, Surprise> {
        self.copy_in = false;
        while let Some(expected) = self.queue.pop_front() {
            let hold = match expected {
                Expected::Sync { hold } | Expected::Query { hold } => hold,
                Expected::FunctionCall | Expected::Startup => false,
                // Skipped by the server after an error.
                Expected::Parse { .. } | Expected::Close { .. } | Expected::CopyEnd => continue,
            };
            self.skip_copy_ends();
            return Ok(hold);
        }
        Err(Surprise)
    }

    fn skip_copy_ends(&mut self) {
        while matches!(self.queue.front(), Some(Expected::CopyEnd)) {
            self.queue.pop_front();
        }
    }

    fn surprise<T>(&mut self, popped: Option<Expected>) -> Result<T, Surprise> {
        if let Some(popped) = popped {
            self.queue.push_front(popped);
        }
        Err(Surprise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync() -> Expected {
        Expected::Sync { hold: false }
    }
    fn parse(injected: bool) -> Expected {
        Expected::Parse { injected, outcome: ParseOutcome::Nothing }
    }

    #[test]
    fn an_error_skips_to_the_next_sync_only() {
        let mut queue = Queue::default();
        for expected in [parse(false), parse(true), sync(), parse(true), sync()] {
            queue.push(expected);
        }
        assert!(!queue.parse_complete().unwrap().0);
        queue.error();
        assert_eq!(queue.ready(), Ok(false));
        assert!(queue.parse_complete().unwrap().0, "the second batch's injected Parse is the next to answer");
        assert_eq!(queue.ready(), Ok(false));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_sync_sent_before_copy_in_began_is_ignored_by_the_server() {
        let mut queue = Queue::default();
        queue.push(sync());
        queue.copy_in();
        queue.push(sync());
        queue.push(Expected::CopyEnd);
        queue.push(sync());
        assert_eq!(queue.ready(), Ok(false));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_pipelined_copy_keeps_the_sync_behind_its_end() {
        let mut queue = Queue::default();
        queue.push(parse(false));
        queue.push(Expected::CopyEnd);
        queue.push(sync());
        assert!(!queue.parse_complete().unwrap().0);
        queue.copy_in();
        assert_eq!(queue.ready(), Ok(false));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_copy_by_simple_query_ends_with_the_querys_own_ready() {
        let mut queue = Queue::default();
        queue.push(Expected::Query { hold: true });
        queue.copy_in();
        queue.push(Expected::CopyEnd);
        assert_eq!(queue.ready(), Ok(true));
        assert!(queue.is_idle());
        // The end sent before the server said that the copy begins.
        queue.push(Expected::Query { hold: false });
        queue.push(Expected::CopyEnd);
        queue.copy_in();
        assert_eq!(queue.ready(), Ok(false));
        assert!(queue.is_idle());
    }

    #[test]
    fn replies_nobody_asked_for_are_a_surprise() {
        let mut queue = Queue::default();
        assert_eq!(queue.ready(), Err(Surprise));
        queue.push(sync());
        assert!(queue.parse_complete().is_err());
        assert!(queue.close_complete().is_err());
    }
}
