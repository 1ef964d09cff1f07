//! Hidden views: what reads keep computing from whole tables is better maintained.
//!
//! A read that aggregates, joins or ranks names the part worth keeping ([`Compiled::hot_candidate`]). What its
//! executions cost is noted in [`Heat`]; when a part has cost enough, the maintenance installs it in the engine under
//! an id of its own, and reads are rewritten to scan its result ([`Compiled::with_hidden`]). No clock here: durations
//! and times come in as values.

use super::{Compiled, ReadError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use weir_planner::plan::{AggregateCall, Node, SortKey};
use weir_planner::types::oid;
use weir_planner::{Expr, Plan, RelationId};

/// Executions quicker than this are not worth a view: a tenth of what a scan of a hidden result may cost.
pub const HOT_EXECUTION_MICROS: u64 = 200;
/// A part that has cost readers this much within about [`COOLING_MICROS`] is installed: what computing it over a
/// million rows once or twice costs.
pub const INSTALL_AFTER_MICROS: u64 = 200_000;
/// Half of a noted cost is forgotten after this time.
pub const COOLING_MICROS: i64 = 60_000_000;
/// A hidden view that nobody has read for this long is dropped: ten minutes, the patience of a dashboard left open.
pub const IDLE_MICROS: i64 = 600_000_000;
/// Hidden views at once: each is maintained at every refresh.
pub const MAX_HIDDEN: usize = 32;
/// Parts whose cost is followed; the coolest is forgotten for a new one.
const MAX_FOLLOWED: usize = 256;
/// Hidden views have ids from here on, where Postgres has never handed out an OID.
const FIRST_HIDDEN: u32 = 0xFFFF_0000;

/// Whether this is the id of a hidden view.
pub fn is_hidden(relation: RelationId) -> bool {
    relation.0 >= FIRST_HIDDEN
}

/// The largest part of a plan that depends on nothing but rows and does more than filter them. The order of the
/// answer stays with the read.
pub(super) fn candidate(plan: &Plan) -> Option<&Plan> {
    let is_ordered = matches!(plan.node, Node::Sort { .. });
    if !is_ordered && is_fixed(plan) {
        return is_costly(plan).then_some(plan);
    }
    plan.inputs().into_iter().find_map(candidate)
}

fn is_costly(plan: &Plan) -> bool {
    let (mut scans, mut works) = (false, false);
    plan.visit(&mut |part| match &part.node {
        Node::Scan { .. } => scans = true,
        Node::Aggregate { .. } | Node::Distinct { .. } | Node::Window { .. } | Node::Join(_) => works = true,
        Node::Sort { limit, .. } => works |= limit.is_some(),
        Node::Values { .. }
        | Node::Filter { .. }
        | Node::Project { .. }
        | Node::UnionAll { .. }
        | Node::Repeat { .. }
        | Node::Fence { .. }
        | Node::ProjectSet(_) => {}
    });
    scans && works
}

/// No parameters, and nothing that depends on the reader's settings or clock.
fn is_fixed(plan: &Plan) -> bool {
    let mut fixed = true;
    plan.visit(&mut |part| {
        if let Node::ProjectSet(set) = &part.node {
            fixed &= set.calls.calls.iter().all(|call| call.function.settings.is_empty());
        }
        for_each_expr(&part.node, &mut |expr| expr.visit(&mut |part| fixed &= is_fixed_part(part)));
    });
    fixed
}

fn is_fixed_part(expr: &Expr) -> bool {
    /// Types whose text does not depend on settings.
    const PLAIN_TEXT: &[u32] =
        &[oid::BOOL, oid::INT2, oid::INT4, oid::INT8, oid::NUMERIC, oid::TEXT, oid::VARCHAR, oid::BPCHAR, oid::UUID];
    match expr {
        Expr::Param(_) => false,
        Expr::Call { function, .. }
        | Expr::NullIf { equal: function, .. }
        | Expr::Distinct { equal: function, .. }
        | Expr::ScalarArray { function, .. }
        | Expr::ArrayMember { function, .. } => function.settings.is_empty(),
        Expr::ViaText { from, to, .. } => PLAIN_TEXT.contains(&from.oid) && PLAIN_TEXT.contains(&to.oid),
        _ => true,
    }
}

fn for_each_expr(node: &Node, f: &mut impl FnMut(&Expr)) {
    fn keys(keys: &[SortKey], f: &mut impl FnMut(&Expr)) {
        keys.iter().for_each(|key| f(&key.expr));
    }
    fn call(call: &AggregateCall, f: &mut impl FnMut(&Expr)) {
        call.exprs().for_each(f);
    }
    match node {
        Node::Scan { .. }
        | Node::Distinct { .. }
        | Node::UnionAll { .. }
        | Node::Repeat { .. }
        | Node::Fence { .. } => {}
        Node::Values { rows } => rows.iter().flatten().for_each(f),
        Node::ProjectSet(set) => set.calls.exprs().for_each(f),
        Node::Filter { predicate, .. } => f(predicate),
        Node::Project { exprs, .. } => exprs.iter().for_each(f),
        Node::Join(join) => {
            join.equal.iter().for_each(|(left, right)| {
                f(left);
                f(right);
            });
            join.residual.iter().for_each(f);
        }
        Node::Aggregate { keys, aggregates, .. } => {
            keys.iter().for_each(&mut *f);
            aggregates.iter().for_each(|aggregate| call(aggregate, f));
        }
        Node::Window { functions, .. } => functions.iter().flat_map(|function| function.exprs()).for_each(f),
        Node::Sort { keys: order, limit, offset, .. } => {
            keys(order, f);
            limit.iter().chain(offset).for_each(f);
        }
    }
}

/// The plan with every part that is maintained replaced by a scan of its result.
fn rewrite(plan: &Plan, hidden: &HashMap<Plan, RelationId>) -> Plan {
    if let Some(&relation) = hidden.get(plan) {
        let columns = (0..plan.columns.len()).collect();
        return Plan { node: Node::Scan { relation, columns }, columns: plan.columns.clone() };
    }
    let below = |input: &Plan| Box::new(rewrite(input, hidden));
    let node = match &plan.node {
        Node::Scan { .. } | Node::Values { .. } => plan.node.clone(),
        Node::Filter { input, predicate } => Node::Filter { input: below(input), predicate: predicate.clone() },
        Node::Project { input, exprs } => Node::Project { input: below(input), exprs: exprs.clone() },
        Node::Join(join) => {
            let mut join = join.clone();
            join.left = rewrite(&join.left, hidden);
            join.right = rewrite(&join.right, hidden);
            Node::Join(join)
        }
        Node::Aggregate { input, keys, aggregates } => {
            Node::Aggregate { input: below(input), keys: keys.clone(), aggregates: aggregates.clone() }
        }
        Node::Distinct { input } => Node::Distinct { input: below(input) },
        Node::Repeat { input } => Node::Repeat { input: below(input) },
        Node::Fence { input } => Node::Fence { input: below(input) },
        Node::ProjectSet(set) => {
            let mut set = set.clone();
            set.input = rewrite(&set.input, hidden);
            Node::ProjectSet(set)
        }
        Node::Window { input, functions } => Node::Window { input: below(input), functions: functions.clone() },
        Node::Sort { input, keys, limit, offset } => {
            Node::Sort { input: below(input), keys: keys.clone(), limit: limit.clone(), offset: offset.clone() }
        }
        Node::UnionAll { inputs } => {
            Node::UnionAll { inputs: inputs.iter().map(|input| rewrite(input, hidden)).collect() }
        }
    };
    Plan { node, columns: plan.columns.clone() }
}

impl Compiled {
    /// The part of this read worth maintaining, if there is one.
    pub fn hot_candidate(&self) -> Option<&Plan> {
        candidate(self.plan())
    }

    /// The same read over maintained results; None when it has no part among them. Executed over snapshots that have
    /// the hidden tables; on [`ReadError::NotPublished`] the original read still answers.
    pub fn with_hidden(&self, hidden: &HashMap<Plan, RelationId>) -> Result<Option<Compiled>, ReadError> {
        if hidden.is_empty() {
            return Ok(None);
        }
        let plan = rewrite(self.plan(), hidden);
        if plan == *self.plan() { Ok(None) } else { Compiled::new(&plan).map(Some) }
    }
}

/// The hidden views there are now. Replaced as a whole when one comes or goes.
#[derive(Debug, Default)]
pub struct Hidden {
    /// Grows with every change, so that whoever keeps a rewritten read knows when to look again.
    pub generation: u64,
    pub views: HashMap<Plan, RelationId>,
}

/// What parts of reads have cost, and which of them are maintained. Shared by sessions and the maintenance.
#[derive(Debug, Default)]
pub struct Heat {
    inner: Mutex<Inner>,
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    followed: HashMap<Plan, Cost>,
    hidden: Arc<Hidden>,
    /// When each hidden view was last read.
    used: HashMap<RelationId, Arc<AtomicI64>>,
    next: u32,
}

#[derive(Debug, Default)]
struct Cost {
    micros: f64,
    at: i64,
    /// The engine would not have it.
    is_refused: bool,
}

impl Cost {
    fn at(&self, now_micros: i64) -> f64 {
        let age = (now_micros - self.at).max(0) as f64;
        self.micros * (-age / COOLING_MICROS as f64).exp2()
    }
}

impl Heat {
    pub fn new() -> Heat {
        Heat::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A session tells what one execution took. Cheap for quick reads; true when the part is now worth installing, so
    /// that the maintenance may be woken.
    pub fn note(&self, read: &Compiled, took_micros: u64, now_micros: i64) -> bool {
        if took_micros < HOT_EXECUTION_MICROS {
            return false;
        }
        let Some(candidate) = read.hot_candidate() else { return false };
        let mut inner = self.lock();
        if inner.hidden.views.contains_key(candidate) {
            return false;
        }
        if !inner.followed.contains_key(candidate) {
            if inner.followed.len() >= MAX_FOLLOWED {
                inner.forget_coolest(now_micros);
            }
            inner.followed.insert(candidate.clone(), Cost::default());
        }
        let cost = inner.followed.get_mut(candidate).expect("inserted above");
        cost.micros = cost.at(now_micros) + took_micros as f64;
        cost.at = now_micros;
        !cost.is_refused && cost.micros >= INSTALL_AFTER_MICROS as f64
    }

    /// The parts to install now, hottest first, each with the id it shall have.
    pub fn wanted(&self, now_micros: i64) -> Vec<(Plan, RelationId)> {
        let mut inner = self.lock();
        let room = MAX_HIDDEN.saturating_sub(inner.hidden.views.len());
        let mut hot: Vec<(f64, Plan)> = inner
            .followed
            .iter()
            .filter(|(_, cost)| !cost.is_refused && cost.at(now_micros) >= INSTALL_AFTER_MICROS as f64)
            .map(|(plan, cost)| (cost.at(now_micros), plan.clone()))
            .collect();
        hot.sort_by(|a, b| b.0.total_cmp(&a.0));
        hot.truncate(room);
        hot.into_iter().map(|(_, plan)| (plan, inner.new_id())).collect()
    }

    /// The view is in the engine and in the snapshots published from now on.
    pub fn installed(&self, plan: Plan, relation: RelationId, now_micros: i64) {
        let mut inner = self.lock();
        inner.followed.remove(&plan);
        inner.used.insert(relation, Arc::new(AtomicI64::new(now_micros)));
        self.replace(&mut inner, |views| {
            views.insert(plan, relation);
        });
    }

    /// The engine refused the plan, or the view outgrew its budget: it is not tried again.
    pub fn refused(&self, plan: Plan) {
        let mut inner = self.lock();
        inner.followed.entry(plan).or_default().is_refused = true;
    }

    /// The view is no longer published: idle, quarantined, or what it reads has been dropped.
    pub fn removed(&self, relation: RelationId) {
        let mut inner = self.lock();
        inner.used.remove(&relation);
        self.replace(&mut inner, |views| views.retain(|_, id| *id != relation));
    }

    /// Views that nobody has read for [`IDLE_MICROS`].
    pub fn idle(&self, now_micros: i64) -> Vec<RelationId> {
        let inner = self.lock();
        let is_idle = |used: &AtomicI64| now_micros - used.load(Relaxed) > IDLE_MICROS;
        inner.used.iter().filter(|(_, used)| is_idle(used)).map(|(id, _)| *id).collect()
    }

    /// A rewritten read was executed. At most once per second and view does more than one load.
    pub fn note_use(&self, used: &AtomicI64, now_micros: i64) {
        const SECOND: i64 = 1_000_000;
        if now_micros - used.load(Relaxed) > SECOND {
            used.store(now_micros, Relaxed);
        }
    }

    /// For [`Heat::note_use`]: kept beside the rewritten read.
    pub fn usage(&self, relation: RelationId) -> Option<Arc<AtomicI64>> {
        self.lock().used.get(&relation).cloned()
    }

    /// Grows with every change of [`Heat::hidden`]; one load, for the hot path.
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// The views there are.
    pub fn hidden(&self) -> Arc<Hidden> {
        self.lock().hidden.clone()
    }

    fn replace(&self, inner: &mut Inner, change: impl FnOnce(&mut HashMap<Plan, RelationId>)) {
        let mut views = inner.hidden.views.clone();
        change(&mut views);
        let generation = inner.hidden.generation + 1;
        inner.hidden = Arc::new(Hidden { generation, views });
        self.generation.store(generation, Relaxed);
    }
}

impl Inner {
    fn new_id(&mut self) -> RelationId {
        let id = RelationId(FIRST_HIDDEN + self.next);
        // Ids come back only after 65,000 others, long after the last snapshot with the former bearer is gone.
        self.next = (self.next + 1) % (u32::MAX - FIRST_HIDDEN);
        id
    }

    fn forget_coolest(&mut self, now_micros: i64) {
        let coolest = self
            .followed
            .iter()
            .filter(|(_, cost)| !cost.is_refused)
            .min_by(|a, b| a.1.at(now_micros).total_cmp(&b.1.at(now_micros)))
            .or(self.followed.iter().next())
            .map(|(plan, _)| plan.clone());
        if let Some(coolest) = coolest {
            self.followed.remove(&coolest);
        }
    }
}
