//! What passing a message on means for the session: which replies are now owed, what is no longer known of its state,
//! and under which reason the statement is counted.

use super::expected::{Expected, ParseOutcome, Query};
use super::frontend::Mode;
use super::judge::Verdict;
use super::reason::{self, Route};
use super::relay::Relay;
use super::scan::Kind;

impl Relay {
    pub(super) fn forward_query(&mut self, kind: Kind, readable: bool) -> Verdict {
        self.count(kind);
        self.owed.push(Expected::Query(Query { hold: kind == Kind::Maintenance, readable, answered: false }));
        self.mode = Mode::Open;
        self.is_unsynced = false;
        self.statements.unnamed_is_settled = false;
        self.cursors.opened();
        Verdict::Pass
    }

    pub(super) fn forward_parse(&mut self, outcome: ParseOutcome) -> Verdict {
        self.statements.unnamed_is_settled |=
            matches!(&outcome, ParseOutcome::Named(name, _) | ParseOutcome::Unreadable(name) if name.is_empty());
        self.owed.push(Expected::Parse { injected: false, outcome });
        self.within_batch(false);
        Verdict::Pass
    }

    pub(super) fn forward_bind(&mut self, kind: Kind, unnamed: bool) -> Verdict {
        self.note_opening(kind);
        let read_in_block = self.state.read_in_block;
        self.count(kind);
        if !matches!(kind, Kind::Read | Kind::Begin | Kind::Finish) {
            // Bind takes a snapshot for what is planned only (`analyze_requires_snapshot`): upstream may still have seen no query.
            self.state.read_in_block = read_in_block;
        }
        self.within_batch(kind == Kind::Maintenance);
        self.owed.push(Expected::Bind { injected: false, unnamed });
        Verdict::Pass
    }

    pub(super) fn within_batch(&mut self, hold: bool) {
        let before = matches!(self.mode, Mode::Forwarding { hold: true });
        self.mode = Mode::Forwarding { hold: hold || before };
    }

    /// Something that may change or show anything goes upstream.
    pub(super) fn touch(&mut self) {
        self.state.forget();
        self.state.read_in_block = false;
    }

    /// Accounts for a statement that is being forwarded, and forgets what it may change.
    pub(super) fn count(&mut self, kind: Kind) {
        let reason = match kind {
            Kind::Begin | Kind::Finish => {
                self.state.read_in_block = false;
                return;
            }
            Kind::NoQuery => {
                // Upstream has still not seen a query in this block.
                let read_in_block = self.state.read_in_block;
                self.count(Kind::Plain);
                self.state.read_in_block = read_in_block;
                return;
            }
            Kind::Declare if self.cursors.is_opening() => {
                // It changes nothing and shows nothing but that there is a cursor; upstream has seen a query.
                self.state.read_in_block = false;
                self.route = Route::Forwarded(self.declined);
                self.context.metrics.forwarded(std::mem::take(&mut self.declined));
                return;
            }
            Kind::Declare => {
                self.state.reads_stream_tables = true;
                if self.declined.is_empty() { reason::CURSOR } else { self.declined }
            }
            Kind::Read | Kind::Copy | Kind::Subscription => {
                self.state.reads_stream_tables = true;
                if self.declined.is_empty() { reason::PIPELINED } else { self.declined }
            }
            Kind::NotARead(reason) => reason,
            Kind::Plain | Kind::Set | Kind::Maintenance | Kind::Show(_) => reason::NO_STREAM_TABLE,
        };
        self.touch();
        self.declined = "";
        self.route = Route::Forwarded(reason);
        if reason == reason::NO_STREAM_TABLE {
            self.context.metrics.passed_through.add(1);
        } else {
            self.context.metrics.forwarded(reason);
        }
    }
}
