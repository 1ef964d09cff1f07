//! One forwarded message whose reply matters, and what its reply means for the session. `conversation` holds them in
//! order, `owed` is what the session asks.

use super::statements::Statement;
use std::sync::Arc;

/// One forwarded message whose reply matters.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Answered by ParseComplete.
    Parse { injected: bool, outcome: ParseOutcome },
    /// Answered by BindComplete. `unnamed`: makes the client's unnamed portal.
    Bind { injected: bool, unnamed: bool },
    /// Answered by RowDescription or NoData, after ParameterDescription for a statement.
    Describe,
    /// Answered by rows and CommandComplete, PortalSuspended or EmptyQueryResponse.
    Execute { injected: bool },
    /// Answered by CloseComplete.
    Close { injected: bool, what: Closed },
    /// A message that can only be answered by an error: a Flush that is laid out wrongly.
    Failing,
    /// CopyDone or CopyFail; has no reply of its own, ends copy-in mode.
    CopyEnd,
    /// Answered by ReadyForQuery.
    Sync { hold: bool },
    /// A Sync sent while the server was in copy-in mode, as far as was known: ignored, unless the copy had failed before
    /// the server read it.
    SyncWithinCopy { hold: bool },
    /// A Sync that Weir put in behind a BEGIN, so that the read sent with it finds its block open. Answered by
    /// ReadyForQuery, which is not for the client. `failed`: what precedes it failed.
    Cut { failed: bool },
    /// Answered by results and ReadyForQuery.
    Query(Query),
    /// Answered by FunctionCallResponse and ReadyForQuery.
    FunctionCall,
    /// The start-up, which also ends in ReadyForQuery.
    Startup,
}

/// A simple query, and what is known of its reply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Query {
    /// Its ReadyForQuery is to be held back.
    pub hold: bool,
    /// A text that Postgres cannot read leaves the unnamed statement as it is.
    pub readable: bool,
    /// A result or an error has come: ReadyForQuery may follow.
    pub answered: bool,
}

/// What a Close ends, when its CloseComplete comes: behind an error it is skipped, and ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    UnnamedStatement,
    /// The client's, whether memory or upstream has it.
    UnnamedPortal,
    /// What has a name, or what only upstream has.
    Other,
}

/// What becomes of the session's names when the Parse succeeds.
#[derive(Clone, Debug)]
pub enum ParseOutcome {
    /// No name that Weir knows is concerned.
    Nothing,
    /// The name now stands for this statement; `None`: for one that Weir has no interest in.
    Named(Box<[u8]>, Option<Arc<Statement>>),
    /// The same, for a text that is not UTF8: where Postgres cannot read it either, the name stays what it was.
    Unreadable(Box<[u8]>),
}

/// What a ReadyForQuery answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Ready {
    /// It is to be held back.
    pub hold: bool,
    /// It ends a simple query, which has destroyed the unnamed statement.
    pub simple: Certainty,
    /// It answers a Sync of Weir's; true where what preceded it failed.
    pub cut: Option<bool>,
}

/// Whether a reply meant something, where several conversations may be the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    No,
    Perhaps,
    Yes,
}

impl From<bool> for Certainty {
    fn from(is_so: bool) -> Certainty {
        if is_so { Certainty::Yes } else { Certainty::No }
    }
}

impl Certainty {
    /// Both may be the case.
    pub fn or(self, other: Certainty) -> Certainty {
        if self == other { self } else { Certainty::Perhaps }
    }
}

/// The replies do not follow the protocol as Weir knows it, or it cannot be known what they answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Surprise(pub &'static str);

impl Expected {
    /// Put in by Weir: the reply is not for the client.
    #[inline]
    pub fn is_injected(&self) -> bool {
        matches!(
            self,
            Expected::Parse { injected: true, .. }
                | Expected::Bind { injected: true, .. }
                | Expected::Execute { injected: true }
                | Expected::Close { injected: true, .. }
        )
    }

    /// May a reply of this kind answer it?
    pub fn is_answered_by(&self, tag: u8) -> bool {
        match tag {
            b'1' => matches!(self, Expected::Parse { .. }),
            b'2' => matches!(self, Expected::Bind { .. }),
            b'3' => matches!(self, Expected::Close { .. }),
            b't' | b'n' => matches!(self, Expected::Describe),
            b'T' => matches!(self, Expected::Describe | Expected::Query(_)),
            b's' => matches!(self, Expected::Execute { .. }),
            b'D' | b'C' | b'I' | b'G' | b'H' | b'W' | b'd' | b'c' => {
                matches!(self, Expected::Execute { .. } | Expected::Query(_))
            }
            // Closing what is not there is no error.
            b'E' => !matches!(self, Expected::Close { injected: true, .. }),
            b'V' => matches!(self, Expected::FunctionCall),
            b'Z' => match self {
                Expected::Sync { .. } | Expected::Cut { .. } | Expected::FunctionCall | Expected::Startup => true,
                Expected::Query(query) => query.answered,
                _ => false,
            },
            _ => true,
        }
    }
}

/// The same names for the very same statements.
impl PartialEq for ParseOutcome {
    fn eq(&self, other: &ParseOutcome) -> bool {
        match (self, other) {
            (ParseOutcome::Nothing, ParseOutcome::Nothing) => true,
            (ParseOutcome::Unreadable(name), ParseOutcome::Unreadable(other)) => name == other,
            (ParseOutcome::Named(name, statement), ParseOutcome::Named(other_name, other)) => {
                name == other_name && statement.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
            }
            _ => false,
        }
    }
}
