//! Messages of the stream → whole committed transactions of watched tables. Protocol version 1 sends a transaction in one
//! piece after its commit, so nothing here is ever undone.

use super::error::CaptureError;
use super::pgoutput::{DecodeError, Mapping, Message, Relation, RowError, Tuple};
use super::repeats::Repeats;
use super::watched::{Generation, Needs, WatchList, Watched};
use super::{Change, UNKNOWN_TABLE};
use crate::metrics::Metrics;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use weir_cache::Position;
use weir_planner::{RelationId, Value};

/// Prefix of the logical messages that are meant for Weir (DDL marks, requests of the installed SQL).
const MARK_PREFIX: &str = "weir";

/// Bytes of row data that one transaction may bring into memory; beyond, the tables it touches are shed and read again.
/// Decoded rows take a few times that. Half a gigabyte is some five million narrow rows.
pub(super) const TRANSACTION_BYTES_LIMIT: usize = 512 << 20;

/// One committed transaction, as decoded.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// 0 for a message outside of any transaction.
    pub xid: u32,
    /// End of the commit record.
    pub position: Position,
    /// [`super::Commit::seen_from`], where that is not `position`.
    pub seen_from: Option<Position>,
    pub time_micros: i64,
    pub changes: Vec<Change>,
    /// Tables that cannot be captured from this transaction on, and why.
    pub sheds: Vec<(RelationId, Generation, String)>,
}

const OUTSIDE: DecodeError = DecodeError::OutOfOrder("a change outside of a transaction");

pub(super) struct Assembler {
    watched: WatchList,
    relations: HashMap<u32, Relation>,
    mappings: HashMap<u32, (Generation, State)>,
    repeats: HashMap<u32, Repeats>,
    /// Not watched, and known to be so to those who read marks.
    strangers: HashSet<u32>,
    open: Option<(Transaction, usize)>,
    /// Room for what decides whether a row matters: of an old one and of a new one.
    looks: [Vec<Value>; 2],
}

/// What is known of a watched table within the stream.
#[derive(Clone)]
enum State {
    Mapped(Arc<Mapping>),
    /// Its transactions carry the reason already; wait for it to be watched again.
    Shed,
}

impl Assembler {
    pub(super) fn new(watched: WatchList) -> Assembler {
        Assembler {
            watched,
            relations: HashMap::new(),
            mappings: HashMap::new(),
            repeats: HashMap::new(),
            strangers: HashSet::new(),
            open: None,
            looks: Default::default(),
        }
    }

    /// Between transactions: a keepalive's position is then one that everything sent so far is below.
    pub(super) fn between_transactions(&self) -> bool {
        self.open.is_none()
    }

    /// Takes the next message; a commit, or a message outside of transactions, gives a transaction.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<Transaction>, CaptureError> {
        match Message::parse(bytes)? {
            Message::Begin { xid } => {
                self.open = Some((Transaction { xid, ..Transaction::default() }, 0));
            }
            Message::Commit { end, time_micros } => {
                let (transaction, _bytes) = self.open.take().ok_or(DecodeError::OutOfOrder("Commit without Begin"))?;
                return Ok(Some(Transaction { position: end, time_micros, ..transaction }));
            }
            Message::Relation(relation) => {
                self.mappings.remove(&relation.id);
                // It is sent again after every ANALYZE, too.
                if self.relations.get(&relation.id) != Some(&relation) {
                    self.strangers.remove(&relation.id);
                }
                self.relations.insert(relation.id, relation);
            }
            Message::Insert { relation, new } => self.row(relation, bytes.len(), None, Some(new), false)?,
            Message::Update { relation, old, new } => self.row(relation, bytes.len(), old, Some(new), true)?,
            Message::Delete { relation, old } => self.row(relation, bytes.len(), old, None, true)?,
            Message::Truncate { relations } => {
                for relation in relations {
                    let table = RelationId(relation);
                    if matches!(self.state(relation)?, Some((State::Mapped(_), _))) {
                        self.open()?.0.changes.push(Change::Truncate { table });
                    }
                }
            }
            Message::Logical { transactional, end, prefix, content } => {
                let mark = Change::Mark(String::from_utf8_lossy(content).into_owned());
                match (transactional, prefix == MARK_PREFIX) {
                    (true, true) => self.open()?.0.changes.push(mark),
                    (true, false) => {}
                    (false, true) => {
                        return Ok(Some(Transaction { position: end, changes: vec![mark], ..Transaction::default() }));
                    }
                    (false, false) => return Ok(Some(Transaction { position: end, ..Transaction::default() })),
                }
            }
            Message::Ignored => {}
        }
        Ok(None)
    }

    fn open(&mut self) -> Result<&mut (Transaction, usize), DecodeError> {
        self.open.as_mut().ok_or(OUTSIDE)
    }

    /// How a watched table is decoded; None for a table that nobody watches. A table that has just become impossible is
    /// noted in the open transaction.
    fn state(&mut self, relation: u32) -> Result<Option<(State, Arc<Watched>)>, DecodeError> {
        let Some(watched) = self.watched.get(RelationId(relation)) else { return Ok(None) };
        if let Some((generation, state)) = self.mappings.get(&relation)
            && *generation == watched.generation
        {
            return Ok(Some((state.clone(), watched)));
        }
        let sent =
            self.relations.get(&relation).ok_or(DecodeError::OutOfOrder("a change without its Relation message"))?;
        let state = match Mapping::new(sent, &watched.spec) {
            Ok(mapping) => State::Mapped(Arc::new(mapping)),
            Err(reason) => {
                self.open()?.0.sheds.push((RelationId(relation), watched.generation, reason));
                State::Shed
            }
        };
        self.repeats.remove(&relation);
        self.mappings.insert(relation, (watched.generation, state.clone()));
        Ok(Some((state, watched)))
    }

    fn row(
        &mut self,
        relation: u32,
        bytes: usize,
        old: Option<Tuple<'_>>,
        new: Option<Tuple<'_>>,
        needs_old: bool,
    ) -> Result<(), CaptureError> {
        let (mapping, watched) = match self.state(relation)? {
            Some((State::Mapped(mapping), watched)) => (mapping, watched),
            Some((State::Shed, _)) => return Ok(()),
            None => {
                if self.strangers.insert(relation) {
                    self.open()?.0.changes.push(Change::Mark(UNKNOWN_TABLE.to_owned()));
                }
                return Ok(());
            }
        };
        let table = RelationId(relation);
        let (transaction, size) = self.open.as_mut().ok_or(OUTSIDE)?;
        *size += bytes;
        let decoded = if *size > TRANSACTION_BYTES_LIMIT {
            Err(RowError::Table("a transaction is too large to be held in memory".into()))
        } else if needs_old && old.is_none() {
            Err(RowError::Table("an old row came without its columns".into()))
        } else {
            let repeats = self.repeats.entry(relation).or_default();
            needed_rows(watched.needs.as_deref(), &mapping, old, new, repeats, &mut self.looks)
        };
        match decoded {
            Ok((None, None)) => {
                // They are not brought into memory.
                *size -= bytes;
                if transaction.changes.last().and_then(Change::table) != Some(table) {
                    transaction.changes.push(Change::Touched { table });
                }
            }
            Ok((old, new)) => transaction.changes.push(Change::Row { table, old, new }),
            Err(RowError::Decode(error)) => return Err(error.into()),
            Err(RowError::Table(reason)) => {
                transaction.changes.retain(|change| change.table() != Some(table));
                if let Some((generation, state)) = self.mappings.get_mut(&relation) {
                    *state = State::Shed;
                    let generation = *generation;
                    self.open()?.0.sheds.push((table, generation, reason));
                }
            }
        }
        Ok(())
    }
}

type OldAndNew = (Option<weir_planner::Row>, Option<weir_planner::Row>);

/// The rows without what nobody needs of them: neither when that is all.
fn needed_rows(
    needs: Option<&Needs>,
    mapping: &Mapping,
    old: Option<Tuple<'_>>,
    new: Option<Tuple<'_>>,
    repeats: &mut Repeats,
    [old_look, new_look]: &mut [Vec<Value>; 2],
) -> Result<OldAndNew, RowError> {
    let of_readers = needs.map(|needs| &needs.of_readers);
    let (mut old_matters, mut new_matters) = (old.is_some(), new.is_some());
    if let Some(needs) = needs
        && let Some(decisive) = needs.of_readers.decisive()
    {
        if let Some(tuple) = old {
            mapping.columns(decisive, tuple, None, repeats, old_look)?;
            old_matters = needs.of_readers.may_matter(old_look);
        }
        if let Some(tuple) = new {
            mapping.columns(decisive, tuple, old.is_some().then_some(old_look), repeats, new_look)?;
            new_matters = needs.of_readers.may_matter(new_look);
        }
        let left_out = [old.is_some() && !old_matters, new.is_some() && !new_matters];
        left_out_of(needs, left_out.into_iter().filter(|out| *out).count());
    }
    if !old_matters && !new_matters {
        return Ok((None, None));
    }
    // What has not changed may have to be taken from an old row that does not matter itself.
    let old = old.map(|tuple| mapping.row(tuple, None, of_readers, repeats)).transpose()?;
    let new = new.filter(|_| new_matters);
    let new = new.map(|tuple| mapping.row(tuple, old.as_ref(), of_readers, repeats)).transpose()?;
    match needs {
        // What has changed is nothing that anybody reads.
        Some(needs) if old_matters && old == new => {
            left_out_of(needs, 2);
            Ok((None, None))
        }
        _ => Ok((old.filter(|_| old_matters), new)),
    }
}

fn left_out_of(needs: &Needs, rows: usize) {
    Metrics::add(&needs.metrics.rows_left_out, rows as u64);
}
