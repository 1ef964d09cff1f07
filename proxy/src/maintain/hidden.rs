//! Hidden views on the engine thread: parts of costly reads, maintained beside the stream tables they read. They come
//! when [`Heat`] says that readers have paid enough for them, and go when idle, in error, or before what they read goes.

use super::thread::Thread;
use super::work::{How, NewView, Refusal};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_cache::read::hot::is_hidden;
use weir_planner::settings::Settings;
use weir_planner::{Plan, RelationId};

/// How often idle hidden views are looked for: they are told by minutes.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

impl Thread {
    /// Installs what readers have paid enough for.
    pub(super) fn install_hidden(&mut self) {
        let now_micros = self.now_micros();
        for (plan, id) in self.heat.wanted(now_micros) {
            match self.add_hidden(id, &plan) {
                Ok(()) => self.heat.installed(plan, id, now_micros),
                Err(reason) => {
                    tracing::info!(reason, "a part of a costly read is not maintained");
                    self.heat.refused(plan);
                }
            }
        }
    }

    fn add_hidden(&mut self, id: RelationId, plan: &Plan) -> Result<(), String> {
        let sources = plan.relations();
        if sources.iter().any(|source| !self.views.contains(*source) || self.views.is_evaluated(*source)) {
            return Err("it reads what the engine does not maintain".into());
        }
        // Candidates depend on no setting, so the defaults will do.
        let how = How::Maintained { plan: Arc::new(plan.clone()), settings: Settings::default() };
        self.add_view(NewView { id, generation: 0, columns: plan.columns.clone(), sources, how }).map(|_| ()).map_err(
            |refusal| match refusal {
                Refusal::NotKept(_) => "the rows it would be filled from are not kept".into(),
                Refusal::Engine(reason) => reason,
            },
        )
    }

    /// Drops the hidden views over a relation that is about to go or can no longer be answered.
    pub(super) fn drop_hidden_above(&mut self, relation: RelationId) {
        let mut above: Vec<RelationId> = self.views.above(relation).into_iter().filter(|id| is_hidden(*id)).collect();
        // Dependants first.
        while let Some(id) = above.pop() {
            self.drop_hidden(id);
        }
    }

    pub(super) fn drop_hidden(&mut self, id: RelationId) {
        self.heat.removed(id);
        self.drop_view(id);
    }

    /// A hidden view that was quarantined is not tried again; the reads it served are computed as before.
    pub(super) fn abandon_hidden(&mut self, id: RelationId) {
        let hidden = self.heat.hidden();
        if let Some(plan) = hidden.views.iter().find_map(|(plan, known)| (*known == id).then(|| plan.clone())) {
            self.heat.removed(id);
            self.heat.refused(plan);
        }
        self.publisher.remove(id);
        if self.views.remove(id).is_some()
            && let Err(error) = self.engine.drop_view(id)
        {
            tracing::error!(?id, %error, "a hidden view could not be dropped from the engine");
        }
    }

    /// Drops hidden views that nobody has read for long.
    pub(super) fn sweep_hidden(&mut self) {
        if self.swept.elapsed() < SWEEP_EVERY {
            return;
        }
        self.swept = Instant::now();
        for id in self.heat.idle(self.now_micros()) {
            self.drop_hidden(id);
        }
    }

    /// Hidden views over these tables: whoever waits for the tables will read them.
    pub(super) fn with_hidden(&self, mut tables: Vec<RelationId>) -> Vec<RelationId> {
        if self.heat.generation() > 0 {
            let hidden: Vec<RelationId> =
                tables.iter().flat_map(|table| self.views.above(*table)).filter(|id| is_hidden(*id)).collect();
            tables.extend(hidden);
        }
        tables
    }
}
