//! What has been received, in order, through the visibility gate, to `maintain`: changes of live tables as commits,
//! changes of tables that are being joined kept back until their snapshot and the stream meet.

use super::check::TableState;
use super::copy::Copied;
use super::gate::VisibleSet;
use super::join::{JoinNews, JoinStep};
use super::method::Method;
use super::stamp::CatalogNews;
use super::stream::Item;
use super::watched::{Generation, Needs, WatchList, Watched};
use super::{Change, Commit, Event, TableSpec};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use weir_cache::Position;
use weir_planner::RelationId;

/// Nobody receives events any more.
#[derive(Debug)]
pub(super) struct Closed;

pub(super) struct Delivery {
    events: mpsc::Sender<Event>,
    method: Method,
    watched: WatchList,
    tables: HashMap<RelationId, Table>,
    generations: Generation,
    queue: VecDeque<Item>,
    /// Everything up to here has been delivered.
    frontier: Position,
}

struct Table {
    generation: Generation,
    life: u64,
    phase: Phase,
    relfilenode: u32,
    /// The snapshot's end, once there is one.
    copied_end: Option<Position>,
    /// Position of the last TRUNCATE delivered.
    truncated: Position,
    /// The table's file was seen to be another at this position, `since` that one: a TRUNCATE in between explains it,
    /// anything else is a rewrite, of which the stream says nothing.
    rewritten: Option<Rewrite>,
    /// Transactions that said in a mark that they rewrite the table.
    rewriters: Vec<u32>,
}

/// Begin of the mark that the installed event trigger `table_rewrite` emits; the table's OID follows.
const REWRITE_MARK: &str = "rewrite:";

struct Rewrite {
    since: Position,
    seen: Position,
}

/// Changes with the transaction they belong to.
type KeptBack = Vec<(u32, Vec<Change>)>;

enum Phase {
    /// The snapshot is not taken yet.
    Joining(KeptBack),
    /// The frontier is still below the snapshot's end.
    Copied(KeptBack, Copied),
    Live,
}

impl Delivery {
    pub(super) fn new(events: mpsc::Sender<Event>, method: Method, watched: WatchList) -> Delivery {
        let frontier = Position(0);
        Delivery { events, method, watched, tables: HashMap::new(), generations: 0, queue: VecDeque::new(), frontier }
    }

    /// From here on the table's changes are kept back.
    pub(super) fn watch(&mut self, spec: TableSpec) -> Option<Arc<Watched>> {
        let table = spec.id;
        self.generations += 1;
        let generation = self.generations;
        let phase = Phase::Joining(Vec::new());
        let state = Table {
            generation,
            life: spec.life,
            phase,
            relfilenode: 0,
            copied_end: None,
            truncated: Position(0),
            rewritten: None,
            rewriters: Vec::new(),
        };
        self.tables.insert(table, state);
        self.watched.insert(Watched { spec, generation, needs: None });
        self.watched.get(table)
    }

    /// What nobody needs of the table is not decoded any more. What is left out from now until it is watched again was committed
    /// before that: its snapshot, which waits for whoever still holds a lock, sees it.
    pub(super) fn needs(&mut self, table: RelationId, life: u64, needs: Arc<Needs>) {
        let is_it = |state: &Table| state.life == life && matches!(state.phase, Phase::Live);
        if self.tables.get(&table).is_some_and(is_it)
            && let Some(watched) = self.watched.get(table)
        {
            let (spec, generation) = (watched.spec.clone(), watched.generation);
            self.watched.insert(Watched { spec, generation, needs: Some(needs) });
        }
    }

    pub(super) fn unwatch(&mut self, table: RelationId) {
        self.tables.remove(&table);
        self.watched.remove(table);
    }

    /// Everything up to here has been delivered.
    pub(super) fn frontier(&self) -> Position {
        self.frontier
    }

    pub(super) fn enqueue(&mut self, item: Item) {
        self.queue.push_back(item);
    }

    /// The next item must be seen by a snapshot before it can be delivered.
    pub(super) fn needs_gate(&self) -> bool {
        matches!(self.queue.front(), Some(item) if self.gated(item).is_some())
    }

    /// The transaction that must be visible for this item to be delivered. Those without interest need not be.
    fn gated(&self, item: &Item) -> Option<u32> {
        let Item::Transaction(transaction) = item else { return None };
        let known = |change: &Change| change.table().is_none_or(|table| self.tables.contains_key(&table));
        let matters = !transaction.sheds.is_empty() || transaction.changes.iter().any(known);
        (matters && transaction.xid != 0).then_some(transaction.xid)
    }

    /// Delivers from the queue up to the first transaction that `visible` does not see.
    pub(super) async fn deliver(&mut self, visible: Option<&VisibleSet>) -> Result<(), Closed> {
        let (mut commits, mut sheds) = (Vec::new(), Vec::new());
        let (before, mut answered) = (self.frontier, false);
        while let Some(item) = self.queue.front() {
            if self.gated(item).is_some_and(|xid| visible.is_none_or(|visible| !visible.sees(xid))) {
                break;
            }
            match self.queue.pop_front() {
                Some(Item::Keepalive { position, asked }) => {
                    self.frontier = self.frontier.max(position);
                    answered |= asked;
                }
                Some(Item::Transaction(transaction)) => {
                    self.frontier = self.frontier.max(transaction.position);
                    sheds.extend(transaction.sheds);
                    let changes = self.route(transaction.xid, transaction.position, transaction.changes);
                    if !changes.is_empty() {
                        let (xid, position) = (transaction.xid, transaction.position);
                        let seen_from = transaction.seen_from.unwrap_or(position);
                        commits.push(Commit {
                            xid,
                            position,
                            seen_from,
                            time_micros: transaction.time_micros,
                            changes,
                        });
                    }
                }
                None => break,
            }
        }
        if !commits.is_empty() {
            self.say(Event::Commits { commits, frontier: self.frontier }).await?;
        } else if self.frontier > before || answered {
            self.say(Event::Frontier(self.frontier)).await?;
        }
        for (table, generation, reason) in sheds {
            self.shed(table, generation, reason).await?;
        }
        if self.frontier > before { self.settle().await } else { Ok(()) }
    }

    /// Keeps back the changes of tables that are being joined; returns those of live ones, and marks.
    fn route(&mut self, xid: u32, position: Position, changes: Vec<Change>) -> Vec<Change> {
        let mut live = Vec::with_capacity(changes.len());
        for change in changes {
            let Some(table) = change.table() else {
                self.note_rewrite(xid, &change);
                live.push(change);
                continue;
            };
            let Some(state) = self.tables.get_mut(&table) else { continue };
            if matches!(change, Change::Truncate { .. }) {
                state.truncated = position;
            }
            match &mut state.phase {
                Phase::Live => live.push(change),
                Phase::Joining(kept) | Phase::Copied(kept, _) => match kept.last_mut() {
                    Some((last, changes)) if *last == xid => changes.push(change),
                    _ => kept.push((xid, vec![change])),
                },
            }
        }
        live
    }

    /// A rewrite replaces rows of which the stream says nothing; `settle` sheds the table unless its snapshot is newer.
    fn note_rewrite(&mut self, xid: u32, change: &Change) {
        if let Change::Mark(text) = change
            && let Some(oid) = text.strip_prefix(REWRITE_MARK).and_then(|oid| oid.parse().ok())
            && let Some(state) = self.tables.get_mut(&RelationId(oid))
        {
            state.rewriters.push(xid);
        }
    }

    /// What a joining task says. Returns the position the table now waits for.
    pub(super) async fn joining(&mut self, news: JoinNews) -> Result<Option<Position>, Closed> {
        let Some(state) = self.tables.get_mut(&news.table).filter(|state| state.generation == news.generation) else {
            return Ok(None);
        };
        match news.what {
            JoinStep::Waiting(reason) => self.say(Event::Waiting { table: news.table, reason }).await?,
            JoinStep::Refused(reason) => self.shed(news.table, news.generation, reason).await?,
            JoinStep::Copied(copied) => {
                let Phase::Joining(kept) = &mut state.phase else { return Ok(None) };
                let end = copied.end;
                state.relfilenode = copied.relfilenode;
                state.copied_end = Some(end);
                state.phase = Phase::Copied(std::mem::take(kept), copied);
                self.settle().await?;
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// The catalogue has changed: sheds the tables that can no longer be captured. Returns the position that must be
    /// reached to tell a rewrite from a TRUNCATE.
    pub(super) async fn catalog(&mut self, news: CatalogNews, since: Position) -> Result<Option<Position>, Closed> {
        if news.changed {
            self.say(Event::CatalogChanged).await?;
        }
        let now: HashMap<u32, &TableState> = news.tables.iter().map(|state| (state.table, state)).collect();
        let mut check = None;
        for watched in self.watched.all() {
            let (table, generation) = (watched.spec.id, watched.generation);
            let Some(state) = self.tables.get_mut(&table).filter(|state| state.generation == generation) else {
                continue;
            };
            // What was looked up before a snapshot's end says nothing about that snapshot.
            let looked_up = generation <= news.newest_watch;
            let settled = looked_up && state.copied_end.is_some_and(|end| end <= news.before);
            let reason = match now.get(&table.0) {
                None => Some("it does not exist any more".to_owned()),
                Some(seen) => seen.refusal(&watched.spec, self.method),
            };
            if let Some(reason) = reason {
                // A table that is being joined finds out by itself.
                if settled {
                    self.shed(table, generation, reason).await?;
                }
            } else if let Some(seen) = now.get(&table.0)
                && settled
                && seen.relfilenode != state.relfilenode
            {
                state.relfilenode = seen.relfilenode;
                state.rewritten.get_or_insert(Rewrite { since, seen: news.after }).seen = news.after;
                check = Some(news.after);
            }
        }
        self.settle().await?;
        Ok(check)
    }

    /// Joins and rewrite checks whose position has been reached.
    async fn settle(&mut self) -> Result<(), Closed> {
        let frontier = self.frontier;
        let (mut joined, mut rewritten) = (Vec::new(), Vec::new());
        for (&table, state) in &mut self.tables {
            if let Phase::Copied(_, copied) = &state.phase {
                state.rewriters.retain(|xid| !copied.snapshot.sees(*xid));
            }
            if !state.rewriters.is_empty() && !matches!(state.phase, Phase::Joining(_)) {
                rewritten.push((table, state.generation));
                continue;
            }
            if let Phase::Copied(_, copied) = &state.phase
                && copied.end <= frontier
                && let Phase::Copied(kept, copied) = std::mem::replace(&mut state.phase, Phase::Live)
            {
                let unseen = kept.into_iter().filter(|(xid, _)| !copied.snapshot.sees(*xid));
                let late = unseen.flat_map(|(_, changes)| changes).collect();
                joined.push(Event::Joined { table, life: state.life, rows: copied.rows, late, position: frontier });
            }
            if let Some(rewrite) = state.rewritten.take_if(|rewrite| rewrite.seen <= frontier)
                && state.truncated <= rewrite.since
            {
                rewritten.push((table, state.generation));
            }
        }
        for event in joined {
            self.say(event).await?;
        }
        for (table, generation) in rewritten {
            self.shed(table, generation, "it was rewritten, which the WAL stream does not show".into()).await?;
        }
        Ok(())
    }

    async fn shed(&mut self, table: RelationId, generation: Generation, reason: String) -> Result<(), Closed> {
        if self.tables.get(&table).is_none_or(|state| state.generation != generation) {
            return Ok(());
        }
        self.unwatch(table);
        tracing::info!(table = table.0, reason, "the table is no longer captured");
        self.say(Event::Shed { table, reason }).await
    }

    async fn say(&self, event: Event) -> Result<(), Closed> {
        self.events.send(event).await.map_err(|_| Closed)
    }
}
