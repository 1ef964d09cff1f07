//! What reads found out about the rows of a table: expressions that fail for none of them. Versions share their rows, so that for
//! the next version only what has come since has to be looked at. Nothing is evaluated here.

use super::chunk::{Chunk, Mask, SlotsId};
use super::version::{ContentsId, TableVersion};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use weir_planner::Expr;
use weir_planner::settings::Settings;

/// Different lists of expressions remembered per table, each with some 150 bytes for every 1024 rows. When they are full, all are
/// forgotten, so that one-off queries age out.
const MAX_REMEMBERED: usize = 64;

type BySettings = Vec<(Settings, Arc<Mutex<Sound>>)>;

/// Shared by the publisher and all versions of one table.
#[derive(Debug, Default)]
pub(crate) struct Soundness {
    known: Mutex<HashMap<Arc<[Expr]>, BySettings, RandomState>>,
}

impl Soundness {
    /// What is known of these expressions under these settings. None: somebody else is asking.
    pub(crate) fn of(&self, exprs: &Arc<[Expr]>, settings: &Settings) -> Option<Arc<Mutex<Sound>>> {
        let mut known = self.known.try_lock().ok()?;
        let found = known.get(exprs).and_then(|all| all.iter().find(|(under, _)| under == settings));
        if let Some((_, sound)) = found {
            return Some(sound.clone());
        }
        if known.values().map(Vec::len).sum::<usize>() >= MAX_REMEMBERED {
            known.clear();
        }
        let sound = Arc::<Mutex<Sound>>::default();
        known.entry(exprs.clone()).or_default().push((settings.clone(), sound.clone()));
        Some(sound)
    }
}

/// Rows for which none of some expressions fails.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    /// The rows that were asked about last, and whether the expressions fail for none of them.
    last: Option<(ContentsId, bool)>,
    /// By the address of a chunk's slots: the sound ones among them.
    slots: HashMap<usize, (SlotsId, Mask), RandomState>,
}

impl Sound {
    /// The outcome for this version, if it was the last that was asked about.
    pub(crate) fn outcome(&self, version: &TableVersion) -> Option<bool> {
        let (contents, outcome) = self.last.as_ref()?;
        (*contents == version.contents_id()).then_some(*outcome)
    }

    pub(crate) fn conclude(&mut self, version: &TableVersion, outcome: bool) {
        self.last = Some((version.contents_id(), outcome));
        self.slots.retain(|_, (slots, _)| !slots.is_gone());
    }

    /// The live rows of a chunk that have not been found sound.
    pub(crate) fn open(&self, chunk: &Chunk) -> Mask {
        let mut open = chunk.mask();
        if let Some((_, sound)) = self.slots.get(&chunk.slots().address()) {
            open.iter_mut().zip(sound).for_each(|(open, sound)| *open &= !sound);
        }
        open
    }

    /// These rows of the chunk are sound.
    pub(crate) fn add(&mut self, chunk: &Chunk, rows: &Mask) {
        let slots = chunk.slots();
        let (_, sound) = self.slots.entry(slots.address()).or_insert_with(|| (slots, Mask::default()));
        sound.iter_mut().zip(rows).for_each(|(sound, row)| *sound |= row);
    }
}
