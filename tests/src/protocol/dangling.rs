//! A bug of Postgres that sequences must keep clear of, seen in 14.23, 15.18, 16.14, 17.10 and 18.4 without Weir: the
//! server dies of SIGSEGV, and every session with it.
//!
//! A simple query runs in the unnamed portal, whose plan lies in the memory of its message (`exec_simple_query`). When it
//! fails at run time in a transaction block, the portal stays until the block ends, and its plan is gone with the next
//! message. An Execute of the unnamed portal then reads it (`exec_execute_message`: `IsTransactionStmtList`) before it
//! refuses with 25P02. Whether that crashes depends on what lies there now:
//!
//! ```text
//! Query("BEGIN"), Query("SELECT 1 / (random() * 0)::int"), Parse of some length, Sync, Execute of "", Sync
//! ```

use super::statements::CACHED_QUERIES;
use super::step::{Sequence, Step};

/// What is known of a session from the messages alone, not from the replies; what is not known counts as dangerous.
#[derive(Default)]
struct Session {
    /// A transaction block may be open.
    in_block: bool,
    /// The unnamed portal may be that of a query that failed.
    dangling: bool,
    /// A COPY reads over any Sync: what is skipped behind its failure is not known.
    copied: bool,
    /// No Sync since a message of the extended protocol: behind an error the next messages are skipped.
    may_skip: bool,
    /// The unnamed portal was bound behind the last Sync: an Execute finds that one, or is skipped with the Bind.
    bound: bool,
}

/// May the sequence, sent on a session without a block, make Postgres execute the portal of a failed query?
pub fn may_crash_postgres(sequence: &Sequence) -> bool {
    let mut session = Session::default();
    sequence.0.iter().any(|step| session.is_dangerous(step))
}

/// Leaves out every Execute that may crash Postgres.
pub fn keep_clear(steps: &mut Vec<Step>) {
    let mut session = Session::default();
    steps.retain(|step| !session.is_dangerous(step));
}

impl Session {
    fn is_dangerous(&mut self, step: &Step) -> bool {
        match step {
            Step::Execute { portal: "", .. } if self.dangling && !self.bound => return true,
            Step::Query(sql) => self.query(sql),
            // Reading a Sync ends the skipping, even where its body is then refused.
            Step::Sync | Step::Raw { tag: 'S', .. } => (self.may_skip, self.bound) = (false, false),
            Step::Bind { portal: "", .. } => (self.may_skip, self.bound) = (true, true),
            Step::Parse { sql, .. } => {
                self.may_skip = true;
                self.in_block |= begins(sql);
                self.copied |= sql.contains("FROM STDIN");
            }
            Step::Wait | Step::CopyData(_) | Step::CopyDone | Step::CopyFail => {}
            _ => self.may_skip = true,
        }
        false
    }

    fn query(&mut self, sql: &str) {
        self.bound = false;
        self.copied |= sql.contains("FROM STDIN");
        if ["COMMIT", "END", "ROLLBACK", "ABORT"].contains(&sql) && !self.copied && !self.may_skip {
            (self.in_block, self.dangling) = (false, false);
            return;
        }
        self.in_block |= begins(sql);
        self.dangling |= self.in_block && !succeeds(sql);
    }
}

fn begins(sql: &str) -> bool {
    ["BEGIN", "START TRANSACTION", "AND CHAIN"].iter().any(|words| sql.contains(words))
}

/// A query that does not fail once it runs. One that cannot be analysed, or is refused in a failed block, never has a
/// portal.
fn succeeds(sql: &str) -> bool {
    let divides = sql.contains('/');
    ["BEGIN", "SAVEPOINT a", "SAVEPOINT b", "SELECT 1"].contains(&sql) || (CACHED_QUERIES.contains(&sql) && !divides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Query, Sync, Wait};

    const FAILS: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

    fn parse(sql: &str) -> Step {
        Step::Parse { name: "", sql: sql.into(), types: vec![] }
    }

    fn bind() -> Step {
        Step::Bind { portal: "", statement: "", formats: vec![], values: vec![], results: vec![] }
    }

    fn execute() -> Step {
        Step::Execute { portal: "", rows: 0 }
    }

    fn left_of(mut steps: Vec<Step>) -> Vec<Step> {
        keep_clear(&mut steps);
        steps
    }

    #[test]
    fn a_failed_querys_portal_is_not_executed() {
        // As seed 3684200213992528211 found it: the block begins in the extended protocol, the Bind is skipped.
        let steps = [parse("BEGIN"), bind(), execute(), Query(FAILS.into()), Sync, parse("x"), bind(), Sync];
        let crash = [&steps[..], &[execute(), Sync]].concat();
        assert!(may_crash_postgres(&Sequence(crash.clone())));
        assert_eq!(left_of(crash), [&steps[..], &[Sync]].concat());
        let skipped = vec![Query("BEGIN".into()), Query(FAILS.into()), parse("x"), Query("ROLLBACK".into()), execute()];
        assert!(may_crash_postgres(&Sequence(skipped)), "the ROLLBACK is skipped");
    }

    #[test]
    fn other_portals_are() {
        let read = [parse("SELECT 1"), bind(), execute(), Sync, Wait, execute(), Sync];
        let begin = [Query("BEGIN".into()), Wait];
        let fail = [Query(FAILS.into()), Wait];
        for steps in [
            [&begin[..], &read].concat(),
            [&fail[..], &[Query("ROLLBACK".into())], &begin, &read].concat(),
            [&begin[..], &fail, &read[..3], &[Sync, Query("ROLLBACK".into()), execute()]].concat(),
        ] {
            assert_eq!(left_of(steps.clone()), steps);
        }
    }
}
