//! Status and refresh history in Postgres: status at once, history and freshness in batches off the hot path.

use super::upkeep::Progress;
use crate::control;
use crate::upstream::Upstream;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio_postgres::Client;

/// Entries wait this long for company: a round of the scheduler is one statement.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// Pause before another attempt to reach Postgres.
const RETRY: Duration = Duration::from_secs(1);
/// Days that the history reaches back (pg_trickle's default), and how often older rows are looked for.
const KEPT_DAYS: i32 = 90;
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// Entries kept while Postgres cannot be reached; older ones are dropped, the history is not worth the memory.
const LONGEST_BACKLOG: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Full,
    Differential,
    NoData,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Action::Full => "FULL",
            Action::Differential => "DIFFERENTIAL",
            Action::NoData => "NO_DATA",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initiator {
    Initial,
    Scheduler,
    /// Requested at this position.
    Manual(weir_cache::Position),
}

impl Initiator {
    fn name(self) -> &'static str {
        match self {
            Initiator::Initial => "INITIAL",
            Initiator::Scheduler => "SCHEDULER",
            Initiator::Manual(_) => "MANUAL",
        }
    }
}

/// One row of `pgt_refresh_history`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub pgt_id: i64,
    action: Action,
    initiator: Initiator,
    ended: SystemTime,
    spent: Duration,
    inserted: i64,
    deleted: i64,
    position: String,
    error: Option<String>,
}

impl Entry {
    pub(super) fn completed(pgt_id: i64, action: Action, initiator: Initiator, progress: &Progress) -> Entry {
        let action = if progress.is_empty() && initiator != Initiator::Initial { Action::NoData } else { action };
        let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        Entry {
            pgt_id,
            action,
            initiator,
            ended: SystemTime::now(),
            spent: progress.spent,
            inserted: count(progress.inserted),
            deleted: count(progress.deleted),
            position: progress.position.to_string(),
            error: None,
        }
    }

    pub(super) fn failed(pgt_id: i64, action: Action, initiator: Initiator, error: String) -> Entry {
        let nothing = Progress::none(weir_planner::RelationId(0));
        Entry { error: Some(error), action, ..Entry::completed(pgt_id, action, initiator, &nothing) }
    }

    /// Says in the catalog row how fresh the table is.
    pub(super) async fn write_freshness(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        write_freshness(client, &[Freshness { pgt_id: self.pgt_id, at: self.ended, position: self.position.clone() }])
            .await
    }
}

/// How fresh a table is.
#[derive(Clone, Debug)]
pub(super) struct Freshness {
    pub pgt_id: i64,
    pub at: SystemTime,
    pub position: String,
}

/// What is written in batches.
#[derive(Debug)]
pub(super) enum Record {
    Refresh(Entry),
    Fresh(Freshness),
}

/// Writes records until all senders are gone.
pub(super) async fn write(upstream: Upstream, mut records: mpsc::UnboundedReceiver<Record>) {
    let mut client: Option<Client> = None;
    let mut backlog: Vec<Record> = Vec::new();
    let mut pruned: Option<Instant> = None;
    while let Some(first) = records.recv().await {
        backlog.push(first);
        tokio::time::sleep(BATCH_WAIT).await;
        while let Ok(next) = records.try_recv() {
            backlog.push(next);
        }
        if client.as_ref().is_none_or(Client::is_closed) {
            client = control::connect(&upstream, "history").await.ok();
        }
        if let Some(client) = &client
            && pruned.is_none_or(|when| when.elapsed() > PRUNE_EVERY)
        {
            pruned = Some(Instant::now());
            if let Err(error) = prune(client).await {
                tracing::warn!(error = crate::catalog::install::describe(&error), "old refresh history stays");
            }
        }
        let result = match &client {
            Some(client) => write_batch(client, &backlog).await,
            None => {
                tokio::time::sleep(RETRY).await;
                let excess = backlog.len().saturating_sub(LONGEST_BACKLOG);
                backlog.drain(..excess);
                continue;
            }
        };
        if let Err(error) = result {
            tracing::warn!(error = crate::catalog::install::describe(&error), "refresh history could not be written");
            client = None;
        }
        backlog.clear();
    }
}

async fn write_batch(client: &Client, records: &[Record]) -> Result<(), tokio_postgres::Error> {
    let entries: Vec<&Entry> = records
        .iter()
        .filter_map(|record| if let Record::Refresh(entry) = record { Some(entry) } else { None })
        .collect();
    if !entries.is_empty() {
        write_entries(client, &entries).await?;
    }
    let mut fresh: Vec<Freshness> = records
        .iter()
        .filter_map(|record| match record {
            Record::Refresh(entry) if entry.error.is_none() => {
                Some(Freshness { pgt_id: entry.pgt_id, at: entry.ended, position: entry.position.clone() })
            }
            Record::Refresh(_) => None,
            Record::Fresh(fresh) => Some(fresh.clone()),
        })
        .collect();
    // The newest word on each table counts; an UPDATE would take any of several.
    fresh.sort_by_key(|fresh| (fresh.pgt_id, fresh.at));
    fresh.reverse();
    fresh.dedup_by_key(|fresh| fresh.pgt_id);
    if fresh.is_empty() { Ok(()) } else { write_freshness(client, &fresh).await }
}

async fn prune(client: &Client) -> Result<(), tokio_postgres::Error> {
    const DELETE: &str =
        "DELETE FROM pgtrickle.pgt_refresh_history WHERE start_time < now() - make_interval(days => $1)";
    client.execute(DELETE, &[&KEPT_DAYS]).await.map(|_| ())
}

async fn write_entries(client: &Client, entries: &[&Entry]) -> Result<(), tokio_postgres::Error> {
    const INSERT: &str = "INSERT INTO pgtrickle.pgt_refresh_history (pgt_id, data_timestamp, start_time, end_time, action, \
             rows_inserted, rows_deleted, delta_row_count, status, initiated_by, tick_watermark_lsn, duration_ms, error_message) \
         SELECT e.pgt_id, e.ended, e.started, e.ended, e.action, e.inserted, e.deleted, e.inserted + e.deleted, \
             CASE WHEN e.error IS NULL THEN 'COMPLETED' ELSE 'FAILED' END, e.initiator, e.position::pg_lsn, e.millis, e.error \
         FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], \
             $8::text[], $9::float8[], $10::text[]) \
             AS e (pgt_id, started, ended, action, inserted, deleted, initiator, position, millis, error)";
    let column = |f: &dyn Fn(&Entry) -> i64| entries.iter().map(|entry| f(entry)).collect::<Vec<i64>>();
    let text = |f: &dyn Fn(&Entry) -> String| entries.iter().map(|entry| f(entry)).collect::<Vec<String>>();
    let started: Vec<SystemTime> = entries.iter().map(|entry| entry.ended - entry.spent).collect();
    let ended: Vec<SystemTime> = entries.iter().map(|entry| entry.ended).collect();
    let millis: Vec<f64> = entries.iter().map(|entry| entry.spent.as_secs_f64() * 1e3).collect();
    let errors: Vec<Option<String>> = entries.iter().map(|entry| entry.error.clone()).collect();
    client
        .execute(
            INSERT,
            &[
                &column(&|entry| entry.pgt_id),
                &started,
                &ended,
                &text(&|entry| entry.action.name().into()),
                &column(&|entry| entry.inserted),
                &column(&|entry| entry.deleted),
                &text(&|entry| entry.initiator.name().into()),
                &text(&|entry| entry.position.clone()),
                &millis,
                &errors,
            ],
        )
        .await?;
    Ok(())
}

async fn write_freshness(client: &Client, fresh: &[Freshness]) -> Result<(), tokio_postgres::Error> {
    // What is written late must not undo the count of a failure that came after it.
    const UPDATE: &str = "UPDATE pgtrickle.pgt_stream_tables s SET data_timestamp = f.at, last_refresh_at = f.at, \
             frontier = jsonb_build_object('lsn', f.position), \
             consecutive_errors = CASE WHEN s.last_error_at > f.at THEN s.consecutive_errors ELSE 0 END \
         FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS f (pgt_id, at, position) \
         WHERE s.pgt_id = f.pgt_id";
    let ids: Vec<i64> = fresh.iter().map(|fresh| fresh.pgt_id).collect();
    let times: Vec<SystemTime> = fresh.iter().map(|fresh| fresh.at).collect();
    let positions: Vec<String> = fresh.iter().map(|fresh| fresh.position.clone()).collect();
    client.execute(UPDATE, &[&ids, &times, &positions]).await?;
    Ok(())
}

/// Refreshes that may fail one after the other before the table is suspended.
const FAILURES: i32 = 3;

/// Counts a failed refresh and tells those who listen on `pg_trickle_alert`. True: it was one too many, the table is
/// suspended until `resume_stream_table`. A table that never had rows says ERROR meanwhile.
pub(super) async fn count_failure(client: &Client, pgt_id: i64, error: &str) -> Result<bool, tokio_postgres::Error> {
    const COUNT: &str = "WITH counted AS ( \
             UPDATE pgtrickle.pgt_stream_tables SET consecutive_errors = consecutive_errors + 1, last_error_message = $2, \
                 last_error_at = $4, updated_at = now(), \
                 status = CASE WHEN consecutive_errors + 1 >= $3 THEN 'SUSPENDED' WHEN is_populated THEN status ELSE 'ERROR' END \
             WHERE pgt_id = $1 AND status <> 'SUSPENDED' RETURNING status, pgt_schema || '.' || pgt_name AS name) \
         SELECT status = 'SUSPENDED', pgtrickle.alert('refresh_failed', name, $2)::text, \
             CASE WHEN status = 'SUSPENDED' THEN pgtrickle.alert('auto_suspended', name, $2)::text END FROM counted";
    let row = client.query_opt(COUNT, &[&pgt_id, &error, &FAILURES, &SystemTime::now()]).await?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// What the catalog row says of a table's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Initializing,
    Unpopulated,
    Suspended,
    /// In memory. `reason`: why it is not incremental.
    Live {
        effective: String,
        reason: Option<String>,
    },
    /// Postgres answers every read; why.
    ByPostgres(String),
    Error(String),
}

impl Status {
    pub(super) async fn write(&self, client: &Client, pgt_id: i64) -> Result<(), tokio_postgres::Error> {
        let (status, populated, effective, reason, error) = match self {
            Status::Initializing | Status::Unpopulated => ("INITIALIZING", false, None, None, None),
            Status::Suspended => ("SUSPENDED", false, None, None, None),
            Status::Live { effective, reason } => ("ACTIVE", true, Some(effective.as_str()), reason.as_deref(), None),
            Status::ByPostgres(reason) => ("ACTIVE", true, Some("FULL"), Some(reason.as_str()), None),
            Status::Error(error) => ("ERROR", false, None, None, Some(error.as_str())),
        };
        // Nothing is written where nothing changes: a restart must not bloat the catalog. Suspending and resuming are the
        // user's: one that was committed since the row was read stands, and is about to be read. Why a table is suspended stays
        // with it.
        const UPDATE: &str = "UPDATE pgtrickle.pgt_stream_tables SET status = $2, is_populated = $3, \
                 effective_refresh_mode = coalesce($4, effective_refresh_mode), \
                 refresh_mode = CASE WHEN $4 = 'FULL' AND requested_refresh_mode = 'AUTO' THEN 'FULL' \
                     WHEN $4 IS NOT NULL THEN $4 ELSE refresh_mode END, \
                 refresh_reason = $5, last_error_message = CASE WHEN $2 = 'SUSPENDED' THEN last_error_message ELSE $6 END, \
                 last_error_at = CASE WHEN $6 IS NULL THEN last_error_at ELSE now() END, \
                 last_error_code = CASE WHEN $2 = 'SUSPENDED' THEN last_error_code WHEN $6 IS NULL THEN NULL ELSE '0A000' END, \
                 consecutive_errors = CASE WHEN $2 = 'SUSPENDED' THEN consecutive_errors \
                     WHEN $6 IS NULL THEN 0 ELSE consecutive_errors + 1 END, \
                 updated_at = now() \
             WHERE pgt_id = $1 AND (status = 'SUSPENDED') = ($2 = 'SUSPENDED') \
                 AND ((status, is_populated, refresh_reason) IS DISTINCT FROM ($2, $3, $5) \
                     OR ($2 <> 'SUSPENDED' AND last_error_message IS DISTINCT FROM $6))";
        client.execute(UPDATE, &[&pgt_id, &status, &populated, &effective, &reason, &error]).await?;
        Ok(())
    }
}
