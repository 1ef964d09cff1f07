//! The names a session has given to statements, as far as Weir has an interest in them. A name that is not here is
//! simply forwarded, so ordinary applications keep this empty.

use super::copy::{self, Options};
use super::hidden::HiddenRead;
use super::reason;
use super::scan::Kind;
use super::shape::shape;
use crate::analysis::{Example, Prepared};
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use weir_cache::read::Compiled;

/// Texts a session remembers decisions for; beyond it the memory starts anew. Applications send a few dozen different
/// reads; texts with literals in them do not repeat anyway.
const MAX_REMEMBERED_TEXTS: usize = 256;

/// Bytes of the texts remembered without a name, and of those without their literals: that many texts of a usual length.
const MAX_REMEMBERED_BYTES: usize = 1024 * 1024;

/// Named reads a session knows; the statement behind any further name is simply forwarded. Drivers that prepare what they
/// send keep hundreds.
const MAX_NAMED: usize = 2_000;

/// Bytes of their names and texts.
const MAX_NAMED_BYTES: usize = 4 * 1024 * 1024;

/// Slow executions of one text after which it is no longer answered by the plan it shares with others.
const SLOW_BEFORE_OWN_PLAN: u32 = 3;

/// A statement of interest.
#[derive(Debug)]
pub struct Statement {
    pub text: Arc<str>,
    /// Parameter types as the client's Parse gave them; 0 where it left them to the server.
    pub types: Vec<u32>,
    pub kind: Kind,
    /// What a COPY copies, and how.
    pub copy: Option<CopyForm>,
    /// What was found out about it, for the session state it was found under.
    pub resolved: ArcSwapOption<Resolved>,
    /// The same text without its literals, for a simple query that has some.
    pub general: Option<WithoutLiterals>,
    /// The last text whose literals this one has parameters for.
    pub example: ArcSwapOption<Example>,
    /// The literals turned out to be more than values.
    pub needs_literals: AtomicBool,
    /// Slow executions of exactly this text without its literals: when it keeps coming, it is worth a plan of its own,
    /// whose costly part can be maintained.
    pub slow: AtomicU32,
    /// The registry epoch at which upstream's prepared statement was seen to have its columns still.
    pub columns_kept_at: AtomicU64,
}

/// `COPY (inner) TO STDOUT`, with its options.
#[derive(Debug)]
pub struct CopyForm {
    pub inner: Arc<Statement>,
    pub options: Options,
    /// It was read as it is under `standard_conforming_strings`.
    pub needs_conforming_strings: bool,
}

/// A text with its literals taken out.
#[derive(Debug)]
pub struct WithoutLiterals {
    pub statement: Arc<Statement>,
    pub literals: Vec<Arc<str>>,
}

/// A read that this session may have answered from memory.
#[derive(Debug)]
pub struct Resolved {
    pub prepared: Arc<Prepared>,
    pub compiled: Compiled,
    /// Some part of the read is worth maintaining if it costs much.
    pub has_costly_part: bool,
    /// The read over maintained parts of it, as of the last look at what is maintained.
    pub hidden: ArcSwapOption<HiddenRead>,
    /// The probe under whose result this holds; see `State::generation`.
    pub generation: u64,
    /// The registry epoch this holds for.
    pub epoch: u64,
    /// When the privilege was last known; see `privilege::VERDICT_LIFE`.
    pub since: Instant,
}

impl Resolved {
    pub fn new(prepared: Arc<Prepared>, generation: u64, epoch: u64) -> Result<Resolved, &'static str> {
        let compiled = Compiled::new(&prepared.plan).map_err(|_| reason::READ_UNSUPPORTED)?;
        let has_costly_part = compiled.hot_candidate().is_some();
        Ok(Resolved {
            prepared,
            compiled,
            has_costly_part,
            hidden: ArcSwapOption::empty(),
            generation,
            epoch,
            since: Instant::now(),
        })
    }
}

impl Statement {
    pub fn new(text: &str, types: Vec<u32>, kind: Kind) -> Statement {
        let copy = if kind == Kind::Copy { copy::read(text).ok() } else { None };
        let copy = copy.map(|copy| CopyForm {
            inner: Arc::new(Statement::new(copy.inner, vec![], Kind::Read)),
            options: copy.options,
            needs_conforming_strings: copy.needs_conforming_strings,
        });
        Statement {
            text: text.into(),
            types,
            kind,
            copy,
            resolved: ArcSwapOption::empty(),
            general: None,
            example: ArcSwapOption::empty(),
            needs_literals: AtomicBool::new(false),
            slow: AtomicU32::new(0),
            columns_kept_at: AtomicU64::new(u64::MAX),
        }
    }
}

/// Where upstream's unnamed statement stands against what the client believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unnamed {
    #[default]
    Same,
    /// The client's Parse was answered from memory: upstream must be given it before it is used there.
    Lacking,
    /// A simple query answered from memory would have destroyed it: upstream must do so before it is used there.
    Stale,
}

/// Where upstream's unnamed portal stands against what the client believes, inside a block.
#[derive(Debug, Default)]
pub enum UnnamedPortal {
    #[default]
    Same,
    /// Memory ran the client's: upstream must be given it before it is used there.
    Lacking(LackingPortal),
    /// Memory ended the client's: upstream must close its own before it is used there.
    Stale,
}

impl UnnamedPortal {
    pub fn is_same(&self) -> bool {
        matches!(self, UnnamedPortal::Same)
    }
}

/// The unnamed portal as the client believes in it: run to its end from memory, inside a block, unknown upstream.
#[derive(Debug)]
pub struct LackingPortal {
    pub statement: Arc<Statement>,
    /// The client's Bind behind its two names: formats, values, result formats.
    pub bound: Box<[u8]>,
    /// A simple query has failed since: it has destroyed the portal if it came as far as making its own.
    pub may_be_gone: bool,
    /// It is a FETCH, which upstream must not be made to run again: how its rows are described, of which none is left.
    pub fetched: Option<Box<[u8]>>,
}

#[derive(Debug, Default)]
pub struct Statements {
    named: HashMap<Box<[u8]>, Arc<Statement>>,
    named_bytes: usize,
    /// The unnamed statement, when it is one of interest.
    unnamed: Option<Arc<Statement>>,
    pub unnamed_upstream: Unnamed,
    /// This batch has already said upstream what its unnamed statement is.
    pub unnamed_is_settled: bool,
    pub unnamed_portal: UnnamedPortal,
    texts: HashMap<Arc<str>, Arc<Statement>>,
    text_bytes: usize,
    /// Texts without their literals.
    shapes: HashMap<Arc<str>, Arc<Statement>>,
    shape_bytes: usize,
}

impl Statements {
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    /// No name can be of interest.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_none()
    }

    pub fn set(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        if name.is_empty() {
            self.unnamed = statement;
            return;
        }
        // Whatever the name stood for, it does no more.
        if let Some(before) = self.named.remove(name) {
            self.named_bytes -= name.len() + before.text.len();
        }
        if let Some(statement) = statement {
            let bytes = name.len() + statement.text.len();
            if self.named.len() < MAX_NAMED && self.named_bytes + bytes <= MAX_NAMED_BYTES {
                self.named_bytes += bytes;
                self.named.insert(name.into(), statement);
            }
        }
    }

    /// Upstream's unnamed statement is the client's again: this one, when it is one of interest.
    pub fn unnamed_is(&mut self, statement: Option<Arc<Statement>>) {
        self.unnamed = statement;
        self.unnamed_upstream = Unnamed::Same;
    }

    /// Forgets every named statement of upstream's: one of them may have changed its meaning unseen.
    pub fn forget_named(&mut self) {
        self.named.retain(|_, statement| matches!(statement.kind, Kind::Show(_)));
        self.named_bytes = self.named.iter().map(|(name, statement)| name.len() + statement.text.len()).sum();
    }

    /// Named reads, for the probe to verify that they still mean what they meant.
    pub fn named_reads(&self) -> impl Iterator<Item = (&[u8], &Arc<Statement>)> {
        self.named.iter().filter(|(_, s)| s.kind.is_read()).map(|(name, s)| (&**name, s))
    }

    /// The name under which upstream has prepared this very statement.
    pub fn name_upstream(&self, statement: &Arc<Statement>) -> Option<&[u8]> {
        let is_it = |known: &Arc<Statement>| Arc::ptr_eq(known, statement);
        if self.unnamed_upstream == Unnamed::Same && self.unnamed.as_ref().is_some_and(is_it) {
            return Some(b"");
        }
        self.named.iter().find(|(_, known)| is_it(known)).map(|(name, _)| &**name)
    }

    /// The statement for a text that comes without a name, remembered so that its analysis is looked up once.
    pub fn of_text(&mut self, text: &str, types: &[u32], kind: Kind) -> Arc<Statement> {
        if let Some(known) = self.texts.get(text)
            && known.types == types
            && known.kind == kind
        {
            return known.clone();
        }
        if self.texts.len() >= MAX_REMEMBERED_TEXTS || self.text_bytes > MAX_REMEMBERED_BYTES {
            self.texts.clear();
            self.text_bytes = 0;
        }
        let mut statement = Statement::new(text, types.to_vec(), kind);
        if kind == Kind::Read && types.is_empty() {
            statement.general = self.without_literals(text);
        }
        if let Some(copy) = &mut statement.copy {
            // It is the same read as without the COPY around it.
            copy.inner = self.of_text(&copy.inner.text.clone(), &[], Kind::Read);
        }
        let statement = Arc::new(statement);
        self.text_bytes += statement.text.len();
        self.texts.insert(statement.text.clone(), statement.clone());
        statement
    }

    fn without_literals(&mut self, text: &str) -> Option<WithoutLiterals> {
        let shape = shape(text)?;
        let known = self.shapes.get(shape.text.as_str()).filter(|known| known.types == shape.types);
        let statement = known.cloned().unwrap_or_else(|| {
            if self.shapes.len() >= MAX_REMEMBERED_TEXTS || self.shape_bytes > MAX_REMEMBERED_BYTES {
                self.shapes.clear();
                self.shape_bytes = 0;
            }
            let statement = Arc::new(Statement::new(&shape.text, shape.types, Kind::Read));
            self.shape_bytes += statement.text.len();
            self.shapes.insert(statement.text.clone(), statement.clone());
            statement
        });
        Some(WithoutLiterals { statement, literals: shape.literals })
    }
}

impl Statement {
    /// The number of its parameters: of those that a COPY declares Postgres knows, whatever they are for.
    pub fn parameters(&self) -> usize {
        let resolved = self.resolved.load();
        resolved.as_ref().map_or(self.types.len(), |resolved| resolved.prepared.params.len())
    }

    /// What a simple query with this text asks: the statement to resolve, and the values of its parameters.
    pub fn simple(self: &Arc<Statement>) -> (Arc<Statement>, Vec<Arc<str>>) {
        let shares = |general: &&WithoutLiterals| {
            !general.statement.needs_literals.load(Ordering::Relaxed)
                && self.slow.load(Ordering::Relaxed) < SLOW_BEFORE_OWN_PLAN
        };
        let Some(general) = self.general.as_ref().filter(shares) else {
            return (self.clone(), vec![]);
        };
        if general.statement.resolved.load().is_none() {
            let example = Example { exact: self.text.clone(), literals: general.literals.clone() };
            general.statement.example.store(Some(Arc::new(example)));
        }
        (general.statement.clone(), general.literals.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Arc<Statement> {
        Arc::new(Statement::new(text, vec![], Kind::Read))
    }

    #[test]
    fn names_and_texts_are_bounded() {
        let mut statements = Statements::default();
        for n in 0..2 * MAX_NAMED {
            statements.set(format!("s{n}").as_bytes(), Some(read("SELECT 1")));
        }
        assert_eq!(statements.named_reads().count(), MAX_NAMED);
        // A name whose statement could not be remembered must not stand for the one before.
        let long = "x".repeat(MAX_NAMED_BYTES);
        statements.set(b"s0", Some(read(&long)));
        assert!(statements.get(b"s0").is_none());
        for n in 0..MAX_NAMED {
            statements.set(format!("s{n}").as_bytes(), None);
        }
        assert_eq!((statements.named_bytes, statements.is_empty()), (0, true));
        let text = "y".repeat(MAX_REMEMBERED_BYTES / 4);
        for n in 0..20 {
            statements.of_text(&format!("{text}{n}"), &[23], Kind::Read);
            assert!(statements.texts.values().map(|known| known.text.len()).sum::<usize>() < 2 * MAX_REMEMBERED_BYTES);
        }
    }
}
