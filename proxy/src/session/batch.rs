//! A candidate read into what it asks: a simple query, or the messages of a batch. Portals live no longer than a batch
//! here: only the unnamed one is local, and a read from memory leaves none behind.

use super::attempt::Refusal;
use super::reason;
use super::scan::{self, Kind, Show};
use super::statements::{LackingPortal, Statement, Statements, Unnamed, UnnamedPortal};
use crate::registry::Tables;
use crate::wire::frame;
use crate::wire::frontend::{self, Bind, Malformed};
use std::sync::Arc;

/// One step of an answer.
#[derive(Debug)]
pub(super) enum Op<'a> {
    /// A simple query: description, rows and completion in one.
    Simple {
        statement: Arc<Statement>,
        /// Values of its parameters, as the text had them.
        literals: Vec<Arc<str>>,
        /// The text as it came.
        exact: Arc<Statement>,
    },
    Parse {
        statement: Arc<Statement>,
    },
    Bind {
        statement: Arc<Statement>,
        bind: Bind<'a>,
    },
    DescribeStatement {
        statement: Arc<Statement>,
    },
    /// Of the portal bound last.
    DescribePortal,
    /// Of the portal bound last; 0 rows: all.
    Execute {
        rows: usize,
    },
    Close,
    /// The batch's end.
    Sync,
}

impl Op<'_> {
    pub(super) fn creates_extension(&self) -> bool {
        match self {
            Op::Simple { statement, .. } | Op::Bind { statement, .. } => statement.kind == Kind::Show(Show::Extension),
            _ => false,
        }
    }
}

/// What an answered candidate leaves of the session's names.
#[derive(Debug)]
pub(super) struct Names {
    /// The unnamed statement, if the candidate touched it.
    unnamed: Option<Option<Arc<Statement>>>,
    /// Statements that only Weir knows (`SHOW weir.…`).
    owned: Vec<(Box<[u8]>, Arc<Statement>)>,
    /// What becomes of the unnamed portal, if the candidate touched it.
    portal: Option<UnnamedPortal>,
}

impl Names {
    /// A simple query's.
    pub(super) fn of_query() -> Names {
        Names { unnamed: Some(None), owned: Vec::new(), portal: Some(UnnamedPortal::Stale) }
    }

    /// Those of a FETCH that has been answered in a block, by the unnamed statement and portal; and how its rows were described.
    pub(super) fn of_fetch(statement: Arc<Statement>, described: Box<[u8]>) -> Names {
        let portal = LackingPortal {
            statement: statement.clone(),
            bound: Box::default(),
            may_be_gone: false,
            fetched: Some(described),
        };
        Names { unnamed: Some(Some(statement)), owned: Vec::new(), portal: Some(UnnamedPortal::Lacking(portal)) }
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Refusal {
        Refusal::Forward(reason::MALFORMED)
    }
}

pub(super) fn read<'a>(
    candidate: &'a [u8],
    statements: &mut Statements,
    tables: &Tables,
    in_block: bool,
) -> Result<(Vec<Op<'a>>, Names), Refusal> {
    let mut ops = Vec::new();
    let mut names = Names { unnamed: None, owned: Vec::new(), portal: None };
    // The portal bound last. A Bind that is not executed may be an error all the same, which only Postgres can tell.
    let mut portal: Option<Portal<'_>> = None;
    for (tag, body) in frame::messages(candidate) {
        match tag {
            b'Q' => {
                let statement = of_interest(frontend::query(body)?, &[], statements, tables)?;
                names.unnamed = Some(None);
                names.portal = Some(UnnamedPortal::Stale);
                let (general, literals) = statement.simple();
                ops.push(Op::Simple { statement: general, literals, exact: statement });
            }
            b'P' => {
                let parse = frontend::parse(body)?;
                let statement = of_interest(parse.text, &parse.types, statements, tables)?;
                match statement.kind {
                    _ if parse.name.is_empty() => names.unnamed = Some(Some(statement.clone())),
                    Kind::Show(_) => names.owned.push((parse.name.into(), statement.clone())),
                    // A named statement must exist upstream.
                    _ => return Err(reason::BATCH.into()),
                }
                ops.push(Op::Parse { statement });
            }
            b'B' => {
                let bind = frontend::bind(body)?;
                if !bind.portal.is_empty() || portal.as_ref().is_some_and(|portal| !portal.executed) {
                    return Err(reason::PORTAL.into());
                }
                let statement = find(bind.statement, &names, statements)?;
                portal = Some(Portal { statement: statement.clone(), body, executed: false });
                ops.push(Op::Bind { statement, bind });
            }
            b'D' => {
                let target = frontend::target(body)?;
                match (target.kind, &portal) {
                    (b'S', _) => {
                        ops.push(Op::DescribeStatement { statement: find(target.name, &names, statements)? });
                    }
                    (b'P', Some(_)) if target.name.is_empty() => ops.push(Op::DescribePortal),
                    _ => return Err(reason::PORTAL.into()),
                }
            }
            b'E' => {
                let execute = frontend::execute(body)?;
                let Some(portal) = portal.as_mut().filter(|_| execute.portal.is_empty()) else {
                    return Err(reason::PORTAL.into());
                };
                portal.executed = true;
                ops.push(Op::Execute { rows: usize::try_from(execute.max_rows).unwrap_or(0) });
            }
            b'C' => {
                let target = frontend::target(body)?;
                match target.kind {
                    b'P' if target.name.is_empty() && portal.as_ref().is_none_or(|portal| portal.executed) => {
                        portal = None;
                        names.portal = Some(UnnamedPortal::Stale);
                    }
                    b'S' if target.name.is_empty() => names.unnamed = Some(None),
                    _ => return Err(reason::BATCH.into()),
                }
                ops.push(Op::Close);
            }
            b'S' if body.is_empty() => ops.push(Op::Sync),
            // All answers leave at once.
            b'H' if body.is_empty() => {}
            _ => return Err(reason::BATCH.into()),
        }
    }
    match portal {
        Some(portal) if !portal.executed => return Err(reason::PORTAL.into()),
        Some(portal) => {
            names.portal = Some(UnnamedPortal::Lacking(LackingPortal {
                statement: portal.statement,
                bound: frontend::bound(portal.body)?.into(),
                may_be_gone: false,
                fetched: None,
            }));
        }
        None => {}
    }
    if !in_block && names.portal.is_some() {
        // It ends with its transaction, and upstream has none either.
        names.portal = Some(UnnamedPortal::Same);
    }
    Ok((ops, names))
}

struct Portal<'a> {
    statement: Arc<Statement>,
    /// The Bind it was made by.
    body: &'a [u8],
    executed: bool,
}

fn of_interest(
    text: &[u8],
    types: &[u32],
    statements: &mut Statements,
    tables: &Tables,
) -> Result<Arc<Statement>, Refusal> {
    let text = std::str::from_utf8(text).map_err(|_| reason::CLIENT_ENCODING)?;
    match scan::classify(text, tables) {
        // Of parameters that no part of a COPY can refer to, Postgres says what it thinks.
        Kind::Copy if !types.is_empty() => Err(reason::PARAMETER.into()),
        kind @ (Kind::Read | Kind::Copy | Kind::Show(_)) => Ok(statements.of_text(text, types, kind)),
        _ => Err(reason::BATCH.into()),
    }
}

/// The statement a name stands for at this point of the batch.
fn find(name: &[u8], names: &Names, statements: &Statements) -> Result<Arc<Statement>, Refusal> {
    let found = match (&names.unnamed, name.is_empty()) {
        (Some(unnamed), true) => unnamed.clone(),
        (None, true) if statements.unnamed_upstream == Unnamed::Stale => None,
        _ => names
            .owned
            .iter()
            .rev()
            .find_map(|(owned, statement)| (**owned == *name).then(|| statement.clone()))
            .or_else(|| statements.get(name).cloned()),
    };
    match found {
        Some(statement) if statement.kind == Kind::Copy && !statement.types.is_empty() => Err(reason::PARAMETER.into()),
        Some(statement) if matches!(statement.kind, Kind::Read | Kind::Copy | Kind::Show(_)) => Ok(statement),
        _ => Err(reason::BATCH.into()),
    }
}

/// Nothing but Parse and Describe of a statement: it leaves no portal behind, and what follows it up to Sync may be another
/// candidate.
pub(super) fn is_description(candidate: &[u8]) -> bool {
    frame::messages(candidate).all(|(tag, body)| tag == b'P' || (tag == b'D' && body.first() == Some(&b'S')))
}

/// The reads that are parsed, described or executed, each once.
pub(super) fn reads(ops: &[Op<'_>]) -> Vec<Arc<Statement>> {
    let mut reads: Vec<Arc<Statement>> = Vec::new();
    for op in ops {
        if let Op::Simple { statement, .. }
        | Op::Parse { statement }
        | Op::Bind { statement, .. }
        | Op::DescribeStatement { statement } = op
            && let Some(read) = read_of(statement)
            && !reads.iter().any(|known| Arc::ptr_eq(known, &read))
        {
            reads.push(read);
        }
    }
    reads
}

/// What is to be resolved for the statement.
fn read_of(statement: &Arc<Statement>) -> Option<Arc<Statement>> {
    match (&statement.copy, statement.kind) {
        (Some(copy), _) => Some(copy.inner.simple().0),
        (None, Kind::Read) => Some(statement.clone()),
        _ => None,
    }
}

/// The COPY that is executed, if one is: alone, for its rows are handed over as the client takes them.
pub(super) fn copied(ops: &[Op<'_>]) -> Result<Option<Arc<Statement>>, Refusal> {
    let mut bound = None;
    let mut parsed = Vec::new();
    let mut executed = Vec::new();
    for op in ops {
        match op {
            Op::Parse { statement } => parsed.push(statement),
            Op::Bind { statement, .. } => bound = Some(statement),
            Op::Simple { statement, .. } => executed.push(statement),
            Op::Execute { .. } => executed.extend(bound),
            _ => {}
        }
    }
    match executed.iter().find(|statement| statement.kind == Kind::Copy) {
        // Prepared at another time, it may have been read under another setting.
        Some(copy)
            if copy.copy.as_ref().is_some_and(|copy| copy.needs_conforming_strings)
                && bound.is_some()
                && !parsed.iter().any(|statement| Arc::ptr_eq(statement, copy)) =>
        {
            Err(reason::COPY_FORM.into())
        }
        Some(copy) if executed.len() == 1 => Ok(Some((*copy).clone())),
        Some(_) => Err(reason::BATCH.into()),
        None => Ok(None),
    }
}

/// The client's transaction has taken a snapshot: Parse takes one for what it analyses, and a COPY it does not
/// (`analyze_requires_snapshot`); whatever is bound is executed.
pub(super) fn takes_snapshot(ops: &[Op<'_>]) -> bool {
    ops.iter().any(|op| match op {
        Op::Parse { statement } => statement.kind == Kind::Read,
        Op::Simple { .. } | Op::Bind { .. } => true,
        _ => false,
    })
}

/// Statements executed.
pub(super) fn executions(ops: &[Op<'_>]) -> u64 {
    ops.iter().filter(|op| matches!(op, Op::Simple { .. } | Op::Execute { .. })).count() as u64
}

/// The candidate was answered: its names are now the session's.
pub(super) fn adopt(names: Names, statements: &mut Statements) {
    for (name, statement) in names.owned {
        statements.set(&name, Some(statement));
    }
    if let Some(unnamed) = names.unnamed {
        statements.unnamed_upstream = if unnamed.is_some() { Unnamed::Lacking } else { Unnamed::Stale };
        statements.set(b"", unnamed);
    }
    if let Some(portal) = names.portal {
        statements.unnamed_portal = portal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn tables() -> Tables {
        let mut tables = Tables::default();
        tables.names.insert("t".into());
        tables
    }

    #[test]
    fn a_batch_with_its_own_statement_is_self_contained() {
        let mut out = BytesMut::new();
        frontend::say_parse(&mut out, "", "select * from t", &[]);
        frontend::say_bind(&mut out, "", 0, vec![]);
        frontend::say_execute(&mut out);
        frontend::say_sync(&mut out);
        let mut statements = Statements::default();
        let (ops, names) = read(&out, &mut statements, &tables(), false).unwrap();
        assert_eq!((reads(&ops).len(), executions(&ops)), (1, 1));
        adopt(names, &mut statements);
        assert_eq!(statements.unnamed_upstream, Unnamed::Lacking);
        assert!(statements.get(b"").is_some());
    }

    #[test]
    fn a_description_ends_with_a_flush() {
        let mut out = BytesMut::new();
        frontend::say_parse(&mut out, "", "select * from t", &[]);
        out.extend_from_slice(b"D\0\0\0\x06S\0");
        assert!(is_description(&out));
        out.extend_from_slice(b"H\0\0\0\x04");
        let mut statements = Statements::default();
        let (ops, names) = read(&out, &mut statements, &tables(), false).unwrap();
        assert!(matches!(ops[..], [Op::Parse { .. }, Op::DescribeStatement { .. }]), "and no Sync");
        adopt(names, &mut statements);
        assert_eq!(statements.unnamed_upstream, Unnamed::Lacking);
        frontend::say_bind(&mut out, "", 0, vec![]);
        assert!(!is_description(&out), "a portal must not be left behind");
    }

    #[test]
    fn a_portal_is_executed_and_a_name_must_be_known() {
        let mut statements = Statements::default();
        let mut out = BytesMut::new();
        frontend::say_parse(&mut out, "", "select * from t", &[]);
        frontend::say_bind(&mut out, "", 0, vec![]);
        frontend::say_sync(&mut out);
        let refused = read(&out, &mut statements, &tables(), false);
        assert!(matches!(refused, Err(Refusal::Forward(reason::PORTAL))), "the Bind may be an error");
        let mut out = BytesMut::new();
        frontend::say_bind(&mut out, "unknown", 0, vec![]);
        assert!(matches!(read(&out, &mut statements, &tables(), false), Err(Refusal::Forward(reason::BATCH))));
    }

    #[test]
    fn a_portal_outlives_its_batch_in_a_block_only() {
        let mut out = BytesMut::new();
        frontend::say_parse(&mut out, "", "select * from t", &[]);
        frontend::say_bind(&mut out, "", 0, vec![]);
        frontend::say_execute(&mut out);
        frontend::say_sync(&mut out);
        for in_block in [false, true] {
            let mut statements = Statements::default();
            let (_, names) = read(&out, &mut statements, &tables(), in_block).unwrap();
            adopt(names, &mut statements);
            assert_eq!(matches!(statements.unnamed_portal, UnnamedPortal::Lacking(_)), in_block);
        }
    }
}
