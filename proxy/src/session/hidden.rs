//! Reads over hidden views: what a read keeps computing from whole tables is maintained beside them and scanned instead.

use super::answer::Memory;
use super::bookmark::common_position;
use super::statements::Resolved;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use weir_cache::Position;
use weir_cache::read::Compiled;
use weir_cache::read::hot::{HOT_EXECUTION_MICROS, is_hidden};
use weir_planner::RelationId;

/// A read rewritten over what was maintained at one moment.
#[derive(Debug)]
pub struct HiddenRead {
    /// `Heat::generation` of that moment.
    generation: u64,
    /// None: nothing of this read was maintained.
    pub(super) compiled: Option<Compiled>,
    views: Vec<(RelationId, Option<Arc<AtomicI64>>)>,
}

impl Resolved {
    /// This read over hidden views that show the same position as the tables themselves; None when there are none.
    pub(super) fn hidden(&self, memory: &Memory<'_>) -> Option<Arc<HiddenRead>> {
        let heat = memory.maintain.heat();
        let generation = heat.generation();
        if !self.has_costly_part || generation == 0 {
            return None;
        }
        let known = self.hidden.load_full().filter(|read| read.generation == generation);
        let read = known.unwrap_or_else(|| {
            let hidden = heat.hidden();
            // A plan that cannot be compiled over the hidden result is answered as before.
            let compiled = self.compiled.with_hidden(&hidden.views).unwrap_or_default();
            let relations = compiled.iter().flat_map(|read| read.plan().relations());
            let views = relations.filter(|id| is_hidden(*id)).map(|id| (id, heat.usage(id))).collect();
            let read = Arc::new(HiddenRead { generation: hidden.generation, compiled, views });
            self.hidden.store(Some(read.clone()));
            read
        });
        read.compiled.as_ref()?;
        // Somewhere in the time in which the tables stand as they do, the hidden views stand for them.
        let all: SmallVec<[RelationId; 8]> =
            self.prepared.tables.iter().copied().chain(read.views.iter().map(|(view, _)| *view)).collect();
        common_position(memory.snapshot, &all, Position(0))?;
        let span = memory.snapshot.clock_span(&all);
        if memory.moment.map_or(span.from >= span.until, |moment| !span.contains(moment)) {
            return None;
        }
        for usage in read.views.iter().filter_map(|(_, usage)| usage.as_ref()) {
            heat.note_use(usage, memory.evaluation.now_micros);
        }
        Some(read)
    }

    /// Tells what one execution took. A slow one missed an index, or has a part that is worth maintaining when it has
    /// cost enough. True when it was slow.
    pub(super) fn note_cost(&self, took: Duration, memory: &Memory<'_>) -> bool {
        let took_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if took_micros < HOT_EXECUTION_MICROS {
            return false;
        }
        if self.has_costly_part {
            memory.maintain.heat().note(&self.compiled, took_micros, memory.evaluation.now_micros);
        }
        memory.maintain.tend();
        true
    }
}
