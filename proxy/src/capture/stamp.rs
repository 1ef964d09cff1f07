//! The catalogue stamp: one number over everything in the catalogue that decides what a cached answer may say, polled
//! because neither the WAL stream nor DDL marks tell of all of it (roles, settings, a disabled trigger; review 1.1).

use super::check::{self, TableState};
use super::clock::Clock;
use super::error::CaptureError;
use super::method::Method;
use super::watched::{Generation, WatchList};
use crate::control::{ControlError, Standing};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use weir_cache::Position;

/// The window in which a revoked privilege or a rewrite may go unseen where DDL marks cannot be installed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A poll may fail (a restart, a lock) so often in a row before the stream is given up.
const FAILURES_LIMIT: u32 = 20;

/// What is watched, and how.
pub(super) struct Source {
    pub method: Method,
    pub publication: String,
    pub clock: Arc<Clock>,
}

/// The catalogue changed; the watched tables as they are now.
#[derive(Debug)]
pub(super) struct CatalogNews {
    /// False: only the set of watched tables has changed since the last look.
    pub changed: bool,
    /// Tables watched later than this were not looked up.
    pub newest_watch: Generation,
    pub tables: Vec<TableState>,
    /// The WAL's insert position before and after `tables` was looked up: it shows everything committed below the first,
    /// and nothing committed beyond the second.
    pub before: Position,
    pub after: Position,
}

/// `xmin` of a row changes whenever it does (statistics of ANALYZE are updated in place and do not count). Temporary
/// and TOAST relations come and go with ordinary work; columns of system relations do not change.
const STAMP: &str = "SELECT pg_current_wal_insert_lsn()::text, (
    SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin, relfilenode, relacl, relowner, relrowsecurity,
             relforcerowsecurity), 1)::numeric), 0)
      FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't' AND relkind <> 't')
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', a.attrelid, a.attnum, a.xmin), 2)::numeric), 0)
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      WHERE a.attrelid >= 16384 AND a.attnum > 0 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm'))
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', inhrelid, inhparent, xmin), 3)::numeric), 0) FROM pg_inherits)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 4)::numeric), 0) FROM pg_policy)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 5)::numeric), 0)
      FROM pg_proc WHERE oid >= 16384 AND pg_my_temp_schema() <> pronamespace)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 6)::numeric), 0)
      FROM pg_rewrite WHERE oid >= 16384)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', roleid, member, xmin), 7)::numeric), 0) FROM pg_auth_members)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', setdatabase, setrole, xmin), 8)::numeric), 0)
      FROM pg_db_role_setting)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, rolname, rolsuper, rolinherit, rolbypassrls), 9)::numeric), 0)
      FROM pg_roles)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 10)::numeric), 0) FROM pg_publication)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 11)::numeric), 0) FROM pg_publication_rel)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 13)::numeric), 0)
      FROM pg_trigger WHERE starts_with(tgname::text, 'weir_capture_') OR starts_with(tgname::text, 'weir_partition_'))
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', t.oid, t.xmin, k.oid, k.xmin), 16)::numeric), 0)
      FROM pg_type t LEFT JOIN pg_constraint k ON k.contypid = t.oid WHERE t.typtype = 'd' AND t.oid >= 16384)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, xmin), 15)::numeric), 0) FROM pg_enum)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', srsubid, srrelid), 14)::numeric), 0) FROM pg_subscription_rel)
  + (SELECT coalesce(sum(hashtextextended(concat_ws(' ', oid, nspname, nspowner, nspacl), 12)::numeric), 0)
      FROM pg_namespace WHERE nspname NOT LIKE 'pg_temp%' AND nspname NOT LIKE 'pg_toast%')::numeric AS stamp";

/// Polls for ever. Err: the server cannot be asked any more.
pub(super) async fn poll(
    control: Standing,
    source: Source,
    watched: WatchList,
    news: mpsc::UnboundedSender<CatalogNews>,
) -> Result<(), CaptureError> {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Look> = None;
    let mut failures = 0;
    loop {
        ticks.tick().await;
        match look(&control, &source, &watched, last.as_ref()).await {
            Ok((seen, changed)) => {
                failures = 0;
                last = Some(seen);
                if let Some(changed) = changed
                    && news.send(changed).is_err()
                {
                    return Ok(());
                }
            }
            Err(error) if failures >= FAILURES_LIMIT => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "the catalogue stamp cannot be read");
                failures += 1;
            }
        }
    }
}

/// What one look saw. The newest watch counts too: a table that is created, watched and dropped between two looks leaves
/// the stamp as it was.
#[derive(PartialEq, Eq)]
struct Look {
    stamp: String,
    newest_watch: Generation,
}

/// What is to be seen now, and the news if it differs from `last`.
async fn look(
    control: &Standing,
    source: &Source,
    watched: &WatchList,
    last: Option<&Look>,
) -> Result<(Look, Option<CatalogNews>), ControlError> {
    let client = control.client().await?;
    let begun = source.clock.before(Position(0));
    // Before the stamp: of a table that is watched behind it the stamp may say that it is not there yet, and the next one again,
    // when it has been dropped.
    let newest_watch = watched.all().iter().map(|watched| watched.generation).max().unwrap_or_default();
    let row =
        client.query_one(&format!("SELECT position, stamp::text FROM ({STAMP}) AS s (position, stamp)"), &[]).await?;
    let (position, stamp): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let seen = Look { stamp, newest_watch };
    // The first look has nothing to compare with: tables may have been watched, and changed, before it.
    if last == Some(&seen) {
        return Ok((seen, None));
    }
    let changed = last.is_none_or(|last| last.stamp != seen.stamp);
    let tables: Vec<_> = watched.all().iter().map(|watched| watched.spec.id).collect();
    let tables = check::states(&client, &source.publication, &tables).await?;
    let row = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?;
    // A position that does not parse cannot come from Postgres; at 0 it only makes the check stricter.
    let parse = |text: &str| text.parse().unwrap_or_default();
    let before = if source.method == Method::Wal { parse(&position) } else { begun };
    let after = source.clock.after(parse(row.try_get(0)?));
    let news = CatalogNews { changed, newest_watch, tables, before, after };
    Ok((seen, Some(news)))
}
