//! The answers of a cursor, as Postgres would send them.

use super::held::Cursor;
use super::spoken::{Form, Spoken, What};
use super::text::Fetch;
use crate::analysis::literals;
use crate::session::answer::{self, MAX_ANSWER_BYTES};
use crate::session::attempt::Refusal;
use crate::session::batch::{self, Names};
use crate::session::environment::Probed;
use crate::session::frontend::Mode;
use crate::session::reason::{self, Route};
use crate::session::relay::{Relay, SessionError};
use crate::session::scan::Kind;
use crate::session::statements::Statement;
use crate::wire::backend;
use std::sync::Arc;

impl Relay {
    /// Answers the first `bytes` of the client's input, or leaves them to be forwarded.
    pub(in crate::session) async fn attempt_cursor(
        &mut self,
        spoken: Spoken,
        bytes: usize,
    ) -> Result<(), SessionError> {
        let is_batch = matches!(spoken.form, Form::Batch { .. });
        self.answer.clear();
        let refusal = match &spoken.what {
            What::Declare(declare) => {
                let mut opened = self.open_cursor(declare).await;
                if matches!(opened, Err(Refusal::Forward(literals::REASON))) {
                    // From now on the text is taken as it came.
                    opened = self.open_cursor(declare).await;
                }
                match opened {
                    Ok(cursor) => {
                        self.cursors.opens(cursor);
                        Refusal::Forward(reason::CURSOR_OPENED)
                    }
                    Err(refusal) => refusal,
                }
            }
            What::Fetch(fetch) => match self.fetch(fetch, &spoken).await {
                Ok(()) => return self.hand_over_answer(bytes),
                Err(refusal) => refusal,
            },
            What::Close(close) => {
                // What is closed need not be anywhere first.
                self.cursors.drop_closed(close);
                Refusal::Forward(reason::CURSOR)
            }
            What::Describe(name) => match self.describe_cursor(name) {
                Ok(()) => return self.hand_over_answer(bytes),
                Err(refusal) => refusal,
            },
        };
        self.answer.clear();
        match refusal {
            Refusal::Forward(reason) => self.decline(reason, is_batch),
            Refusal::Cancelled => self.decline(reason::CANCELLED, is_batch),
            Refusal::Session(error) => return Err(error),
        }
        Ok(())
    }

    fn hand_over_answer(&mut self, bytes: usize) -> Result<(), SessionError> {
        self.client.input.consume(bytes);
        self.client.output.extend(&self.answer);
        self.answer = Vec::new();
        self.mode = Mode::Open;
        Ok(())
    }

    async fn fetch(&mut self, fetch: &Fetch, spoken: &Spoken) -> Result<(), Refusal> {
        if self.state.distrusted {
            return Err(reason::DISTRUSTED.into());
        }
        if !self.may_open_cursor() {
            return Err(reason::TRANSACTION.into());
        }
        let probed = self.state.probed.clone().ok_or(reason::PROBE)?;
        self.admit(&probed)?;
        let Some(mut cursor) = self.cursors.take(&fetch.name) else { return Err(reason::CURSOR.into()) };
        let outcome = match self.prove_cursor(&mut cursor, &probed).await {
            Ok(()) => self.tell_rows(&mut cursor, fetch, spoken, &probed),
            Err(refusal) => Err(refusal),
        };
        self.cursors.put(cursor);
        outcome
    }

    /// A refusal leaves the cursor where it was.
    fn tell_rows(
        &mut self,
        cursor: &mut Cursor,
        fetch: &Fetch,
        spoken: &Spoken,
        probed: &Probed,
    ) -> Result<(), Refusal> {
        let rows = cursor.rows.as_ref().ok_or(reason::CURSOR)?;
        let left = rows.len() - cursor.told;
        let count = fetch.rows.map_or(left, |wanted| wanted.min(left));
        let formats: &[i16] = match &spoken.form {
            Form::Simple => &[],
            Form::Batch { result_formats, .. } => result_formats,
        };
        let resolved = &cursor.resolved;
        let mut described = Vec::new();
        answer::describe(resolved, formats, &mut described)?;
        let mut out = std::mem::take(&mut self.answer);
        let describes = match &spoken.form {
            Form::Simple => true,
            Form::Batch { describes, .. } => {
                backend::parse_complete(&mut out);
                backend::bind_complete(&mut out);
                *describes
            }
        };
        if describes {
            out.extend_from_slice(&described);
        }
        for row in (cursor.told..cursor.told + count).map_while(|at| rows.get(at)) {
            answer::write_row(resolved, row, formats, &probed.renderer, &mut out)?;
            if out.len() > MAX_ANSWER_BYTES {
                return Err(reason::TOO_LARGE.into());
            }
        }
        backend::command_complete(&mut out, &format!("FETCH {count}"));
        backend::ready_for_query(&mut out, self.state.status);
        self.answer = out;
        cursor.told += count;
        cursor.is_behind |= fetch.rows.is_none_or(|wanted| wanted > count);
        let names = match spoken.form {
            Form::Simple => Names::of_query(),
            Form::Batch { .. } => {
                let statement = Statement::new(&spoken.text, vec![], Kind::Plain);
                Names::of_fetch(Arc::new(statement), described.into())
            }
        };
        batch::adopt(names, &mut self.statements);
        self.state.bookmark = self.state.bookmark.max(cursor.position);
        self.is_unsynced = false;
        self.route = Route::Memory;
        self.context.metrics.answered.add(1);
        self.note_local_read();
        Ok(())
    }

    /// The rows of a declared cursor have no formats of their own: text.
    fn describe_cursor(&mut self, name: &str) -> Result<(), Refusal> {
        let cursor = self.cursors.get(name).ok_or(reason::CURSOR)?;
        let mut out = Vec::new();
        answer::describe(&cursor.resolved, &[], &mut out)?;
        backend::ready_for_query(&mut out, self.state.status);
        self.answer = out;
        self.is_unsynced = false;
        Ok(())
    }
}
