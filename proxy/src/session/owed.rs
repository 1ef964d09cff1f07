//! What Postgres still owes the client: when upstream is idle, which replies answer messages that Weir put in, and when a
//! name has really come into being. Where a copy failed with a Sync in it, it is not known whether the server ignored the
//! Sync or answers it. Then there are several conversations that may be the true one, each is told everything, and those
//! that the replies do not fit are dropped.

use super::conversation::Conversation;
use super::expected::{Certainty, Closed, Expected, ParseOutcome, Ready, Surprise};
use super::statements::Statement;
use std::sync::Arc;

/// What the replies mean depends on which conversation is the true one.
const AMBIGUOUS: Surprise = Surprise("a reply that may answer several messages");

/// Conversations that may be the true one besides the first: those of one copy, or of some that failed one after another.
const MAX_OTHERS: usize = 32;

/// Said to the client whatever it answers, if anything.
pub(super) fn is_for_the_client(tag: u8) -> bool {
    matches!(tag, b'E' | b'N' | b'S' | b'A' | b'Z')
}

#[derive(Debug, Default)]
pub(super) struct Owed {
    likeliest: Conversation,
    /// Empty but for a short time after a copy that failed with a Sync in it.
    others: Vec<Conversation>,
    /// Weir has put in a message that tells them apart.
    asked: bool,
    /// Upstream has been told to send what it has, and has been sent nothing since.
    is_flushed: bool,
}

impl Owed {
    /// Everything forwarded has been answered.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.others.is_empty() && self.likeliest.is_idle()
    }

    #[inline]
    pub(super) fn is_copying_in(&self) -> bool {
        self.all().any(Conversation::is_copying_in)
    }

    /// Nothing is owed but the ends of statements and portals that the client has closed. They come at once, and change
    /// nothing that a read could see.
    pub(super) fn is_closing(&self) -> bool {
        let closing = |e: &Expected| matches!(e, Expected::Close { .. } | Expected::Sync { hold: false });
        !self.is_ambiguous() && self.comes_by_itself() && self.likeliest.iter().all(closing)
    }

    /// The last word upstream was a Sync of Weir's behind a BEGIN.
    #[inline]
    pub(super) fn is_cutting(&self) -> bool {
        matches!(self.likeliest.back(), Some(Expected::Cut { .. }))
    }

    /// Several conversations may be the true one.
    #[inline]
    pub(super) fn is_ambiguous(&self) -> bool {
        !self.others.is_empty()
    }

    /// The server reads and answers what it is sent now.
    pub(super) fn is_attentive(&self) -> bool {
        !self.is_ambiguous() && self.likeliest.is_attentive()
    }

    /// What is owed comes without a further word from the client.
    pub(super) fn comes_by_itself(&self) -> bool {
        self.all().all(Conversation::is_attentive) && (!self.is_ambiguous() || self.asked)
    }

    /// A message that the server answers in any case would tell the conversations apart, and none is under way.
    pub(super) fn should_ask(&self) -> bool {
        self.is_ambiguous() && !self.asked && self.all().all(Conversation::is_attentive) && !self.may_begin_copy()
    }

    /// Whichever conversation is the true one, the reply to a statement under way is yet to come, and may say that a copy begins:
    /// what is sent now would be read within it.
    fn may_begin_copy(&self) -> bool {
        let begins = |e: &Expected| matches!(e, Expected::Execute { injected: false } | Expected::Query(_));
        self.all().all(|conversation| conversation.iter().any(begins))
    }

    /// A Flush is to be sent, if none has been since the last message: one is enough, however long it takes.
    pub(super) fn wants_flush(&mut self) -> bool {
        !std::mem::replace(&mut self.is_flushed, true)
    }

    /// That reply comes when the server is told to send what it has.
    pub(super) fn is_told_by_flush(&self) -> bool {
        self.may_begin_copy() && self.all().all(Conversation::is_attentive)
    }

    /// That message, put in by Weir, is on its way: a Close of this statement, which nobody has made. Where one of the
    /// client's may be the next to be answered, its answer would tell nothing, and a Parse precedes it (true).
    pub(super) fn ask(&mut self, statement: &str) -> bool {
        let counts = |e: &&Expected| !matches!(e, Expected::Sync { .. } | Expected::CopyEnd);
        let next = |conversation: &Conversation| conversation.iter().find(counts).cloned();
        let needs_parse = self.all().any(|conversation| matches!(next(conversation), Some(Expected::Close { .. })));
        self.asked = true;
        if needs_parse {
            let outcome = ParseOutcome::Named(statement.as_bytes().into(), None);
            self.push(Expected::Parse { injected: true, outcome });
        }
        self.push(Expected::Close { injected: true, what: Closed::Other });
        needs_parse
    }

    #[inline]
    pub(super) fn push(&mut self, expected: Expected) {
        self.is_flushed = false;
        for other in &mut self.others {
            other.push(expected.clone());
        }
        self.likeliest.push(expected);
    }

    /// A reply of this kind arrived: conversations it does not fit are not the true one. True when it answers something
    /// that Weir put in.
    #[inline]
    pub(super) fn arrives(&mut self, tag: u8) -> Result<bool, Surprise> {
        if self.is_ambiguous() {
            self.narrow(tag)?;
        }
        Ok(self.likeliest.front().is_some_and(Expected::is_injected))
    }

    fn narrow(&mut self, tag: u8) -> Result<(), Surprise> {
        if !self.all().any(|conversation| conversation.accepts(tag)) {
            // The session's end; or the one that follows will not understand it.
            return Ok(());
        }
        self.others.retain(|conversation| conversation.accepts(tag));
        if !self.likeliest.accepts(tag) {
            self.likeliest = self.others.remove(0);
        }
        self.asked &= self.is_ambiguous();
        let injected = |conversation: &Conversation| conversation.front().is_some_and(Expected::is_injected);
        let agree = self.others.iter().all(|other| injected(other) == injected(&self.likeliest));
        if agree || is_for_the_client(tag) { Ok(()) } else { Err(AMBIGUOUS) }
    }

    /// Conversations that have come to the same point need not be told apart any more.
    #[inline]
    pub(super) fn merge(&mut self) {
        if self.is_ambiguous() {
            self.others.retain(|other| *other != self.likeliest);
            self.asked &= self.is_ambiguous();
        }
    }

    /// The statement that a Parse still under way will give this name.
    pub(super) fn statement_under_way(&self, name: &[u8]) -> Option<Option<&Arc<Statement>>> {
        self.all().find_map(|conversation| conversation.statement_under_way(name))
    }

    /// Weir has no interest in what the Parses still under way give this name, or any name (`None`).
    pub(super) fn forget_under_way(&mut self, name: Option<&[u8]>) {
        self.all_mut().for_each(|conversation| conversation.forget_under_way(name));
    }

    /// A Parse still under way will give a name to a statement of interest.
    pub(super) fn names_under_way(&self) -> bool {
        let names = |e: &Expected| matches!(e, Expected::Parse { outcome: ParseOutcome::Named(_, Some(_)), .. });
        self.all().any(|conversation| conversation.iter().any(names))
    }

    /// Something still under way may replace or destroy the unnamed statement.
    pub(super) fn may_change_unnamed(&self) -> bool {
        let changes = |expected: &Expected| match expected {
            Expected::Parse { outcome: ParseOutcome::Named(name, _) | ParseOutcome::Unreadable(name), .. } => {
                name.is_empty()
            }
            Expected::Parse { injected, .. } => *injected,
            Expected::Close { what, .. } => *what == Closed::UnnamedStatement,
            Expected::Query(_) => true,
            _ => false,
        };
        self.all().any(|conversation| conversation.iter().any(changes))
    }

    /// A Parse is being answered whose text is not UTF8.
    pub(super) fn is_answering_unreadable(&self) -> bool {
        let unreadable =
            |e: Option<&Expected>| matches!(e, Some(Expected::Parse { outcome: ParseOutcome::Unreadable(_), .. }));
        self.all().any(|conversation| unreadable(conversation.front()))
    }

    /// A simple query is being answered.
    pub(super) fn is_answering_query(&self) -> bool {
        self.all().any(|conversation| matches!(conversation.front(), Some(Expected::Query(_))))
    }

    /// ParseComplete arrived.
    pub(super) fn parse_complete(&mut self) -> Result<(bool, ParseOutcome), Surprise> {
        let (injected, outcome) = self.likeliest.parse_complete()?;
        for other in &mut self.others {
            let (_, otherwise) = other.parse_complete()?;
            if outcome != otherwise {
                return Err(AMBIGUOUS);
            }
        }
        Ok((injected, outcome))
    }

    /// BindComplete arrived: has the client's unnamed portal been made?
    pub(super) fn bind_complete(&mut self) -> Result<bool, Surprise> {
        let unnamed = self.likeliest.bind_complete()?;
        for other in &mut self.others {
            other.bind_complete()?;
        }
        Ok(unnamed)
    }

    /// The client's unnamed portal is being made in the batch that is under way.
    pub(super) fn makes_unnamed_portal(&self) -> bool {
        let mut of_batch = self.likeliest.iter().rev().take_while(|e| !matches!(e, Expected::Sync { .. }));
        of_batch.any(|e| matches!(e, Expected::Bind { unnamed: true, .. }))
    }

    /// The Bind that is being answered makes the client's unnamed portal.
    pub(super) fn is_making_unnamed_portal(&self) -> bool {
        matches!(self.likeliest.front(), Some(Expected::Bind { unnamed: true, .. }))
    }

    /// CloseComplete arrived: was it for the unnamed statement, and was it for the client's unnamed portal?
    pub(super) fn close_complete(&mut self) -> Result<[Certainty; 2], Surprise> {
        let is_unnamed = |closed| [Closed::UnnamedStatement, Closed::UnnamedPortal].map(|what| (what == closed).into());
        let mut unnamed: [Certainty; 2] = is_unnamed(self.likeliest.close_complete()?);
        for other in &mut self.others {
            let otherwise: [Certainty; 2] = is_unnamed(other.close_complete()?);
            unnamed = [unnamed[0].or(otherwise[0]), unnamed[1].or(otherwise[1])];
        }
        Ok(unnamed)
    }

    /// RowDescription or NoData arrived.
    pub(super) fn described(&mut self) -> Result<(), Surprise> {
        self.all_mut().try_for_each(Conversation::described)
    }

    /// CommandComplete, PortalSuspended or EmptyQueryResponse arrived.
    pub(super) fn completed(&mut self) -> Result<(), Surprise> {
        self.all_mut().try_for_each(Conversation::completed)
    }

    /// CopyInResponse arrived.
    pub(super) fn copy_in(&mut self) {
        self.all_mut().for_each(Conversation::begin_copy);
    }

    /// ErrorResponse arrived: was what failed the client's Parse of the unnamed statement, which it has destroyed?
    pub(super) fn error(&mut self) -> Result<Certainty, Surprise> {
        let mut split = Vec::new();
        for conversation in self.all_mut() {
            split.append(&mut conversation.split_at_failure()?);
        }
        self.others.append(&mut split);
        if self.others.len() > MAX_OTHERS {
            return Err(AMBIGUOUS);
        }
        let unnamed = Certainty::from(self.likeliest.error());
        Ok(self.others.iter_mut().fold(unnamed, |unnamed, other| unnamed.or(other.error().into())))
    }

    /// ReadyForQuery arrived.
    pub(super) fn ready(&mut self) -> Result<Ready, Surprise> {
        let mut ready = self.likeliest.ready()?;
        for other in &mut self.others {
            let otherwise = other.ready()?;
            if (otherwise.hold, otherwise.cut) != (ready.hold, ready.cut) {
                return Err(AMBIGUOUS);
            }
            ready.simple = ready.simple.or(otherwise.simple);
        }
        Ok(ready)
    }

    fn all(&self) -> impl Iterator<Item = &Conversation> {
        std::iter::once(&self.likeliest).chain(&self.others)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Conversation> {
        std::iter::once(&mut self.likeliest).chain(&mut self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::super::expected::Query;
    use super::*;

    const READY: Ready = Ready { hold: false, simple: Certainty::No, cut: None };

    fn sync() -> Expected {
        Expected::Sync { hold: false }
    }
    fn query() -> Expected {
        Expected::Query(Query { hold: false, readable: true, answered: false })
    }
    fn bind() -> Expected {
        Expected::Bind { injected: false, unnamed: true }
    }
    fn execute() -> Expected {
        Expected::Execute { injected: false }
    }
    fn parse(injected: bool) -> Expected {
        Expected::Parse { injected, outcome: ParseOutcome::Nothing }
    }

    fn owed(of: impl IntoIterator<Item = Expected>) -> Owed {
        let mut owed = Owed::default();
        of.into_iter().for_each(|expected| owed.push(expected));
        owed
    }

    #[test]
    fn an_error_skips_to_the_next_sync_only() {
        let mut owed = owed([parse(false), parse(true), sync(), parse(true), sync()]);
        assert!(!owed.parse_complete().unwrap().0);
        owed.error().unwrap();
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.arrives(b'1').unwrap(), "the second batch's injected Parse is the next to answer");
        assert!(owed.parse_complete().unwrap().0);
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.is_idle());
    }

    #[test]
    fn a_query_behind_a_failed_bind_is_skipped_with_it() {
        let mut owed = owed([bind(), query()]);
        owed.error().unwrap();
        assert!(!owed.is_idle(), "the server waits for a Sync");
        owed.push(parse(false));
        owed.push(query());
        owed.push(sync());
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.is_idle());
    }

    #[test]
    fn a_query_behind_a_bind_is_answered_by_itself() {
        let mut owed = owed([bind(), query(), sync()]);
        owed.bind_complete().unwrap();
        owed.error().unwrap();
        assert_eq!(owed.ready(), Ok(Ready { hold: false, simple: Certainty::Yes, cut: None }));
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.is_idle());
    }

    #[test]
    fn a_sync_sent_before_copy_in_began_is_ignored_by_the_server() {
        let mut owed = owed([execute(), sync()]);
        owed.copy_in();
        owed.push(sync());
        owed.push(Expected::CopyEnd);
        owed.push(sync());
        owed.completed().unwrap();
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.is_idle());
    }

    /// A copy by Execute in which a Sync was sent has failed.
    fn failed_copy() -> Owed {
        let mut owed = owed([execute(), sync()]);
        owed.copy_in();
        assert_eq!(owed.error(), Ok(Certainty::No));
        assert!(owed.is_ambiguous() && !owed.is_idle() && !owed.should_ask(), "the server may wait for a Sync");
        owed
    }

    #[test]
    fn a_sync_behind_a_copys_failure_is_answered() {
        let mut owed = failed_copy();
        assert_eq!(owed.arrives(b'Z'), Ok(false));
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.is_idle());
    }

    #[test]
    fn a_sync_before_a_copys_failure_is_ignored() {
        let mut owed = failed_copy();
        owed.push(sync());
        assert_eq!(owed.arrives(b'Z'), Ok(false));
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.should_ask(), "there may be a second one");
        assert!(!owed.ask("s"), "a Close tells");
        assert!(!owed.should_ask() && owed.comes_by_itself());
        assert_eq!(owed.arrives(b'3'), Ok(true));
        assert_eq!(owed.close_complete(), Ok([Certainty::No; 2]));
        assert!(owed.is_idle());
    }

    #[test]
    fn nothing_is_asked_where_a_copy_may_begin() {
        let mut owed = owed([execute(), sync()]);
        assert!(owed.is_told_by_flush() && owed.wants_flush() && !owed.wants_flush(), "one Flush is enough");
        owed.copy_in();
        assert!(!owed.is_told_by_flush(), "it has begun");
        owed.error().unwrap();
        owed.push(sync());
        owed.push(bind());
        owed.push(execute());
        owed.push(sync());
        assert!(owed.is_ambiguous() && owed.wants_flush());
        assert!(!owed.should_ask(), "the Close would be read within the copy");
    }

    #[test]
    fn nothing_is_waited_for_that_may_have_come_already() {
        let mut owed = owed([execute(), sync()]);
        owed.copy_in();
        owed.error().unwrap();
        for expected in [sync(), Expected::Describe, execute(), sync()] {
            owed.push(expected);
        }
        owed.arrives(b'Z').unwrap();
        owed.ready().unwrap();
        owed.arrives(b'E').unwrap();
        owed.error().unwrap();
        owed.arrives(b'Z').unwrap();
        owed.ready().unwrap();
        assert!(owed.is_ambiguous() && !owed.is_told_by_flush(), "all of it may have been answered");
        assert!(owed.should_ask());
    }

    #[test]
    fn a_close_of_the_clients_is_told_from_the_question() {
        for was_skipped in [true, false] {
            let mut owed = failed_copy();
            owed.push(Expected::Close { injected: false, what: Closed::Other });
            owed.push(sync());
            assert!(owed.should_ask());
            assert!(owed.ask("s"), "a CloseComplete may be the client's");
            assert_eq!(owed.arrives(b'Z'), Ok(false));
            owed.ready().unwrap();
            let first = if was_skipped { b'1' } else { b'3' };
            assert_eq!(owed.arrives(first), Ok(was_skipped));
            assert!(!owed.is_ambiguous());
        }
    }

    #[test]
    fn a_name_closed_behind_its_parse_stands_for_nothing() {
        let statement = Arc::new(Statement::new("SELECT 1", vec![], super::super::scan::Kind::Read));
        let parse = Expected::Parse { injected: false, outcome: ParseOutcome::Named((*b"s").into(), Some(statement)) };
        let mut owed = owed([parse]);
        owed.forget_under_way(Some(b"other"));
        assert!(owed.names_under_way());
        owed.forget_under_way(Some(b"s"));
        assert!(matches!(owed.parse_complete(), Ok((false, ParseOutcome::Named(name, None))) if *name == *b"s"));
    }

    #[test]
    fn conversations_that_end_alike_are_one() {
        let mut owed = owed([query()]);
        owed.copy_in();
        owed.push(sync());
        owed.error().unwrap();
        assert!(owed.is_ambiguous());
        owed.others[0] = owed.likeliest.clone();
        owed.ask("s");
        owed.merge();
        assert!(!owed.is_ambiguous() && owed.comes_by_itself(), "and nothing is waited for that does not come");
    }

    #[test]
    fn the_end_of_no_copy_is_not_waited_for() {
        let mut owed = owed([bind(), Expected::CopyEnd]);
        owed.bind_complete().unwrap();
        assert!(owed.is_idle());
    }

    #[test]
    fn the_next_reply_tells_how_many_syncs_a_failed_copy_ignored() {
        for ignored in 0..=2 {
            let mut owed = owed([query()]);
            owed.copy_in();
            owed.push(sync());
            owed.push(sync());
            owed.error().unwrap();
            owed.push(query());
            for _ in 0..3 - ignored {
                owed.arrives(b'Z').unwrap();
                owed.ready().unwrap();
            }
            assert!(!owed.is_idle());
            owed.arrives(b'T').unwrap();
            assert!(!owed.is_ambiguous(), "{ignored}");
            owed.described().unwrap();
            owed.completed().unwrap();
            assert_eq!(owed.ready(), Ok(Ready { hold: false, simple: Certainty::Yes, cut: None }));
            assert!(owed.is_idle());
        }
    }

    #[test]
    fn a_pipelined_copy_keeps_the_sync_behind_its_end() {
        let mut owed = owed([parse(false), execute(), Expected::CopyEnd, sync()]);
        assert!(!owed.parse_complete().unwrap().0);
        owed.copy_in();
        owed.completed().unwrap();
        assert_eq!(owed.ready(), Ok(READY));
        assert!(owed.is_idle());
    }

    #[test]
    fn a_copy_by_simple_query_ends_with_the_querys_own_ready() {
        let held = Ready { hold: true, simple: Certainty::Yes, cut: None };
        let mut copying = owed([Expected::Query(Query { hold: true, readable: true, answered: false })]);
        copying.copy_in();
        copying.push(Expected::CopyEnd);
        copying.completed().unwrap();
        assert_eq!(copying.ready(), Ok(held));
        assert!(copying.is_idle());
        // The end sent before the server said that the copy begins.
        let mut copying = owed([query(), Expected::CopyEnd]);
        copying.copy_in();
        copying.error().unwrap();
        assert_eq!(copying.ready(), Ok(Ready { hold: false, simple: Certainty::Yes, cut: None }));
        assert!(copying.is_idle());
    }

    #[test]
    fn a_failure_before_a_cut_is_told_at_its_end() {
        let mut cut = owed([parse(false), bind(), execute(), Expected::Cut { failed: false }]);
        cut.error().unwrap();
        assert_eq!(cut.ready(), Ok(Ready { cut: Some(true), ..READY }));
        assert!(cut.is_idle());
        let mut cut = owed([bind(), execute(), Expected::Cut { failed: false }]);
        cut.bind_complete().unwrap();
        cut.completed().unwrap();
        assert_eq!(cut.ready(), Ok(Ready { cut: Some(false), ..READY }));
    }

    #[test]
    fn closing_is_all_that_is_owed() {
        let close = || Expected::Close { injected: false, what: Closed::Other };
        assert!(owed([close(), sync()]).is_closing());
        assert!(!owed([close(), execute(), sync()]).is_closing());
        assert!(!owed([query()]).is_closing());
    }

    #[test]
    fn replies_nobody_asked_for_are_a_surprise() {
        let mut owed = Owed::default();
        assert_eq!(owed.ready(), Err(Surprise("ReadyForQuery")));
        owed.push(sync());
        assert!(owed.parse_complete().is_err());
        assert!(owed.close_complete().is_err());
        assert!(owed.completed().is_err());
    }
}
