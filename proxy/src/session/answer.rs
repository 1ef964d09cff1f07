//! The answer's bytes, as Postgres would send them. Rows are rendered under the session's settings; whatever cannot be
//! rendered exactly makes the whole candidate Postgres'.

use super::attempt::Refusal;
use super::batch::Op;
use super::elsewhere::{AT_HOME, Elsewhere, Execution, compiled};
use super::parameters;
use super::reason;
use super::relay::Relay;
use super::scan::Kind;
use super::statements::{Resolved, Statement};
use crate::maintain;
use crate::wire::backend::{self, DataRow, Field};
use crate::wire::frontend::Bind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use weir_cache::Snapshot;
use weir_cache::read::{ReadError, RowRef, Rows};
use weir_planner::eval::EvalContext;
use weir_planner::render::Renderer;
use weir_planner::value::{Value, encode_binary};

/// Larger answers are forwarded: Postgres streams them, memory would hold them whole.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What the rows are made from.
pub(super) struct Memory<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// The value of the server's clock as of which tables that depend on it are read.
    pub(super) moment: Option<i64>,
    pub(super) maintain: &'a maintain::Handle,
    pub(super) renderer: &'a Renderer,
    /// Settings and clock are set; parameters are filled in per execution.
    pub(super) evaluation: &'a mut EvalContext,
    pub(super) elsewhere: &'a mut Elsewhere,
}

/// A simple query has its literals for parameters, and parameters and results in text.
pub(super) fn simple(literals: &[Arc<str>]) -> Bind<'_> {
    let values = literals.iter().map(|literal| Some(literal.as_bytes())).collect();
    Bind { portal: b"", statement: b"", formats: vec![], values, result_formats: vec![] }
}

/// Sets the parameters that an execution has.
pub(super) fn fill_parameters(resolved: &Resolved, bind: &Bind<'_>, memory: &mut Memory<'_>) -> Result<(), Refusal> {
    let settings = std::mem::take(&mut memory.evaluation.settings);
    let prepared = &resolved.prepared;
    let into = &mut memory.evaluation.params;
    let decoded = parameters::decode(bind, &prepared.params, &prepared.labels, &settings, into);
    memory.evaluation.settings = settings;
    decoded
}

pub(super) fn refusal_of(error: ReadError) -> &'static str {
    match error {
        ReadError::Eval(_) => reason::EVALUATION,
        ReadError::TooLarge => reason::TOO_LARGE,
        ReadError::TooLong => reason::NOT_AT_HOME,
        ReadError::Stopped => reason::CANCELLED,
        ReadError::NotPublished(_) => reason::OUT_OF_SERVICE,
        ReadError::Unsupported(_) => reason::READ_UNSUPPORTED,
    }
}

/// A read resolved, found by its statement.
pub(super) fn resolved_of<'a>(
    resolved: &'a [Arc<Resolved>],
    statement: &Arc<Statement>,
) -> Result<&'a Arc<Resolved>, Refusal> {
    let found = resolved.iter().find(|r| statement.resolved.load().as_ref().is_some_and(|s| Arc::ptr_eq(s, r)));
    found.ok_or(Refusal::Forward(reason::ANALYSIS_PENDING))
}

impl Relay {
    /// Appends the whole answer to `out`, but for the rows of a COPY; where these belong, if there is one.
    pub(super) fn say(
        &self,
        ops: &[Op<'_>],
        resolved: &[Arc<Resolved>],
        mut memory: Option<Memory<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Refusal> {
        let mut copy_at = None;
        let mut portal: Option<Portal<'_>> = None;
        for op in ops {
            match op {
                Op::Parse { .. } => backend::parse_complete(out),
                Op::Close => backend::close_complete(out),
                Op::Sync => {
                    if self.state.status == b'T' && portal.as_ref().is_some_and(Portal::is_suspended) {
                        // It goes on in another batch, perhaps after writes: a cursor.
                        return Err(reason::PORTAL.into());
                    }
                    backend::ready_for_query(out, self.state.status);
                }
                Op::Bind { statement, bind } => {
                    portal = Some(Portal { statement, bind, left: None });
                    backend::bind_complete(out);
                }
                Op::DescribeStatement { statement } => match statement.kind {
                    Kind::Show(show) => {
                        backend::parameter_description(out, &[]);
                        show.describe(out, 0);
                    }
                    Kind::Copy => {
                        backend::parameter_description(out, &[]);
                        backend::no_data(out);
                    }
                    _ => {
                        let resolved = resolved_of(resolved, statement)?;
                        backend::parameter_description(out, &resolved.prepared.params);
                        describe(resolved, &[], out)?;
                    }
                },
                Op::DescribePortal => {
                    let Portal { statement, bind, .. } = portal.as_ref().ok_or(reason::PORTAL)?;
                    match statement.kind {
                        Kind::Show(show) => show.describe(out, formats(&bind.result_formats, 1)?.first()),
                        Kind::Copy => backend::no_data(out),
                        _ => describe(resolved_of(resolved, statement)?, &bind.result_formats, out)?,
                    }
                }
                Op::Execute { rows: limit } => {
                    let portal = portal.as_mut().ok_or(reason::PORTAL)?;
                    match (portal.statement.kind, &mut memory) {
                        (Kind::Show(_), _) if !portal.bind.values.is_empty() => return Err(reason::FORMATS.into()),
                        (Kind::Show(show), _) => self.show(show, out),
                        // It returns no rows, and asks for no formats of theirs; a limit does not hold.
                        (Kind::Copy, _) => {
                            if !portal.bind.values.is_empty() || portal.bind.formats.len() > 1 {
                                return Err(reason::FORMATS.into());
                            }
                            copy_at = Some(out.len());
                        }
                        (_, Some(memory)) => {
                            portal.execute(resolved_of(resolved, portal.statement)?, *limit, memory, out)?;
                        }
                        (_, None) => return Err(reason::BATCH.into()),
                    }
                }
                Op::Simple { statement, literals, exact } => {
                    match (statement.kind, &mut memory) {
                        (Kind::Show(show), _) => {
                            show.describe_simple(out);
                            self.show(show, out);
                        }
                        (Kind::Copy, _) => copy_at = Some(out.len()),
                        (_, Some(memory)) => {
                            let resolved = resolved_of(resolved, statement)?;
                            describe(resolved, &[], out)?;
                            let (count, is_slow) = rows(resolved, &simple(literals), memory, out, None)?;
                            backend::select_complete(out, count);
                            exact.slow.fetch_add(u32::from(is_slow), Ordering::Relaxed);
                        }
                        (_, None) => return Err(reason::BATCH.into()),
                    }
                    backend::ready_for_query(out, self.state.status);
                }
            }
            if out.len() > MAX_ANSWER_BYTES {
                return Err(reason::TOO_LARGE.into());
            }
        }
        Ok(copy_at)
    }
}

/// A portal within its batch.
struct Portal<'a> {
    statement: &'a Arc<Statement>,
    bind: &'a Bind<'a>,
    /// What an Execute with a row limit has left; `None` before the first Execute.
    left: Option<Left>,
}

/// Rows rendered and not yet sent.
#[derive(Default)]
struct Left {
    rows: Vec<u8>,
    /// Where each row ends in `rows`.
    ends: Vec<usize>,
}

impl Portal<'_> {
    fn is_suspended(&self) -> bool {
        self.left.as_ref().is_some_and(|left| !left.ends.is_empty())
    }

    /// At most `limit` rows (0: all), as `PortalRunSelect` counts them: a portal whose last row was the limit's last is
    /// suspended, too, and its next Execute finds nothing.
    fn execute(
        &mut self,
        resolved: &Arc<Resolved>,
        limit: usize,
        memory: &mut Memory<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if self.left.is_none() && limit == 0 {
            let (count, _) = rows(resolved, self.bind, memory, out, None)?;
            backend::select_complete(out, count);
            self.left = Some(Left::default());
            return Ok(());
        }
        let left = match &mut self.left {
            Some(left) => left,
            None => {
                let mut left = Left::default();
                rows(resolved, self.bind, memory, &mut left.rows, Some(&mut left.ends))?;
                self.left.insert(left)
            }
        };
        let suspended = limit > 0 && left.ends.len() >= limit;
        let count = if suspended { limit } else { left.ends.len() };
        let bytes = if count == 0 { 0 } else { left.ends[count - 1] };
        out.extend_from_slice(&left.rows[..bytes]);
        left.rows.drain(..bytes);
        left.ends.drain(..count);
        left.ends.iter_mut().for_each(|end| *end -= bytes);
        match suspended {
            true => backend::portal_suspended(out),
            false => backend::select_complete(out, count),
        }
        Ok(())
    }
}

/// Result format per column: none given is text, one given is for all (documentation, Bind).
#[derive(Clone, Copy)]
struct Formats<'a>(&'a [i16]);

impl Formats<'_> {
    fn of(self, column: usize) -> i16 {
        match self.0 {
            [] => 0,
            [one] => *one,
            each => each[column],
        }
    }
    fn first(self) -> i16 {
        self.of(0)
    }
}

fn formats(given: &[i16], columns: usize) -> Result<Formats<'_>, &'static str> {
    let counted = matches!(given.len(), 0 | 1) || given.len() == columns;
    if counted && given.iter().all(|format| matches!(format, 0 | 1)) {
        Ok(Formats(given))
    } else {
        Err(reason::FORMATS)
    }
}

pub(super) fn describe(resolved: &Resolved, result_formats: &[i16], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let columns = &resolved.prepared.columns;
    let formats = formats(result_formats, columns.len())?;
    let fields = columns.iter().enumerate().map(|(i, column)| Field {
        name: &column.name,
        table_oid: column.table_oid,
        column_number: column.column_number,
        type_oid: column.type_oid,
        type_length: column.type_length,
        typmod: column.typmod,
        format: formats.of(i),
    });
    backend::row_description(out, fields);
    Ok(())
}

/// DataRows: their number, and true when finding them took so long that another way would be worth having. `ends` is told
/// where each row ends in `out`.
fn rows(
    resolved: &Arc<Resolved>,
    bind: &Bind<'_>,
    memory: &mut Memory<'_>,
    out: &mut Vec<u8>,
    ends: Option<&mut Vec<usize>>,
) -> Result<(usize, bool), Refusal> {
    formats(&bind.result_formats, resolved.prepared.columns.len())?;
    fill_parameters(resolved, bind, memory)?;
    let hidden = resolved.hidden(memory);
    let is_plain = hidden.is_none();
    if let Some(made) = memory.elsewhere.next() {
        out.extend_from_slice(&made.bytes);
        if let Some(ends) = ends {
            ends.extend_from_slice(&made.ends);
        }
        let (count, took) = (made.ends.len(), made.took);
        return Ok((count, is_plain && resolved.note_cost(took, memory)));
    }
    let started = Instant::now();
    let found = compiled(resolved, hidden.as_ref()).execute_within(AT_HOME, memory.snapshot, memory.evaluation);
    let rows = match found {
        Err(ReadError::TooLong) => {
            let evaluation = memory.evaluation.clone();
            let execution = Execution { resolved: resolved.clone(), hidden: hidden.clone(), evaluation };
            return Err(memory.elsewhere.want(execution, bind.result_formats.clone()));
        }
        found => found.map_err(refusal_of)?,
    };
    let is_slow = is_plain && resolved.note_cost(started.elapsed(), memory);
    write(resolved, &rows, &bind.result_formats, memory.renderer, out, ends)?;
    Ok((rows.len(), is_slow))
}

/// The DataRows of an answer.
pub(super) fn write(
    resolved: &Resolved,
    rows: &Rows<'_>,
    result_formats: &[i16],
    renderer: &Renderer,
    out: &mut Vec<u8>,
    mut ends: Option<&mut Vec<usize>>,
) -> Result<(), &'static str> {
    for row in rows.iter() {
        write_row(resolved, row, result_formats, renderer, out)?;
        if let Some(ends) = &mut ends {
            ends.push(out.len());
        }
        if out.len() > MAX_ANSWER_BYTES {
            return Err(reason::TOO_LARGE);
        }
    }
    Ok(())
}

/// One DataRow, of the row's first columns.
pub(super) fn write_row(
    resolved: &Resolved,
    row: RowRef<'_>,
    result_formats: &[i16],
    renderer: &Renderer,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let columns = &resolved.prepared.columns;
    let types = &resolved.compiled.plan().columns;
    let formats = formats(result_formats, columns.len())?;
    let message = DataRow::begin(out, columns.len());
    for (i, column) in columns.iter().enumerate() {
        match row.value(i) {
            Value::Null => message.null(out),
            Value::Error(_) => return Err(reason::EVALUATION),
            value if formats.of(i) == 0 => {
                message.value(out, |out| renderer.encode(value, &types[i], out)).map_err(|_| reason::RENDERING)?
            }
            value => {
                message.value(out, |out| encode_binary(value, column.type_oid, out)).map_err(|_| reason::RENDERING)?
            }
        }
    }
    message.finish(out);
    Ok(())
}
