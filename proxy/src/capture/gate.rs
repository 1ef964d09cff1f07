//! Visibility: the walsender may send a commit before Postgres shows it to others (3–7 % of commits; with synchronous
//! replication for as long as the standby is missing). A commit is published when a fresh snapshot sees it.

use super::error::CaptureError;
use crate::control::{ControlError, Standing};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::{Client, Statement};

/// A snapshot as `pg_current_snapshot()` prints it: `xmin:xmax:xip,xip…` in 64-bit transaction ids, top level only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VisibleSet {
    xmin: u64,
    xmax: u64,
    in_progress: Vec<u64>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {0:?}")]
pub(super) struct ParseSnapshotError(String);

impl VisibleSet {
    pub(super) fn parse(text: &str) -> Result<VisibleSet, ParseSnapshotError> {
        let parsed = (|| {
            let mut parts = text.splitn(3, ':');
            let xmin = parts.next()?.parse().ok()?;
            let xmax = parts.next()?.parse().ok()?;
            let list = parts.next()?;
            let mut in_progress: Vec<u64> =
                list.split(',').filter(|xid| !xid.is_empty()).map(|xid| xid.parse().ok()).collect::<Option<_>>()?;
            in_progress.sort_unstable();
            Some(VisibleSet { xmin, xmax, in_progress })
        })();
        parsed.ok_or_else(|| ParseSnapshotError(text.to_owned()))
    }

    /// Sees nothing.
    pub(super) fn none() -> VisibleSet {
        VisibleSet { xmin: 0, xmax: 0, in_progress: Vec::new() }
    }

    /// Does this snapshot see a committed transaction with this 64-bit id?
    pub(super) fn sees_whole(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.in_progress.binary_search(&xid).is_err())
    }

    /// Does this snapshot see a transaction that is known to have committed? `xid` has 32 bits as in the stream.
    pub(super) fn sees(&self, xid: u32) -> bool {
        self.sees_whole(self.extend(xid))
    }

    /// The transaction id with these low 32 bits that is nearest to xmax: all that are alive lie within 2^31 of it.
    fn extend(&self, xid: u32) -> u64 {
        let distance = xid.wrapping_sub(self.xmax as u32) as i32;
        self.xmax.wrapping_add_signed(i64::from(distance))
    }

    /// Was this transaction id given out before the snapshot?
    pub(super) fn is_older(&self, xid: u32) -> bool {
        self.extend(xid) < self.xmax
    }

    /// One past the newest transaction id that had ended.
    pub(super) fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Everything below has ended.
    pub(super) fn xmin(&self) -> u64 {
        self.xmin
    }
}

/// Asks for fresh snapshots on a control connection of its own; a lost connection is opened again.
pub(super) struct Gate {
    connection: Standing,
    prepared: Option<(Arc<Client>, Statement)>,
}

/// A restarted or overloaded server gets this many tries, with the pause between them, before the stream is given up.
const ATTEMPTS: usize = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

impl Gate {
    pub(super) fn new(connection: Standing) -> Gate {
        Gate { connection, prepared: None }
    }

    /// What Postgres shows now.
    pub(super) async fn ask(&mut self) -> Result<VisibleSet, CaptureError> {
        let mut attempt = 1;
        loop {
            match self.try_ask().await {
                Ok(text) => return VisibleSet::parse(&text).map_err(|e| CaptureError::Protocol(e.to_string())),
                Err(error) if attempt == ATTEMPTS => return Err(error.into()),
                Err(_) => self.prepared = None,
            }
            attempt += 1;
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
    }

    async fn try_ask(&mut self) -> Result<String, ControlError> {
        let (client, statement) = match &self.prepared {
            Some(prepared) => prepared,
            None => {
                let client = self.connection.client().await?;
                let statement = client.prepare("SELECT pg_current_snapshot()::text").await?;
                self.prepared.insert((client, statement))
            }
        };
        Ok(client.query_one(statement, &[]).await?.try_get(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_ended_before_it() {
        let set = VisibleSet::parse("10:20:10,12,15").expect("well-formed");
        let seen: Vec<u32> = (8..22).filter(|&xid| set.sees(xid)).collect();
        assert_eq!(seen, [8, 9, 11, 13, 14, 16, 17, 18, 19]);
        assert_eq!(VisibleSet::parse("7:7:").map(|set| (set.sees(6), set.sees(7))), Ok((true, false)));
        assert!(VisibleSet::parse("7:x:").is_err() && VisibleSet::parse("7:8:9,").is_ok());
    }

    #[test]
    fn short_transaction_ids_belong_to_the_nearest_epoch() {
        // xmax just past a wrap: ids of the old epoch are large, of the new one small
        let set = VisibleSet::parse("12884901880:12884901900:12884901889").expect("3 * 2^32 = 12884901888");
        assert_eq!(set.extend(u32::MAX), 12_884_901_887);
        assert!(set.sees(u32::MAX) && set.sees(0) && !set.sees(1) && set.sees(2) && !set.sees(12));
    }

    #[test]
    fn damaged_snapshots_are_errors() {
        weir_tests::hostile::hammer("snapshots", &[b"10:20:10,14,15", b"4294967301:4294967301:"], |bytes| {
            let Some(set) = std::str::from_utf8(bytes).ok().and_then(|text| VisibleSet::parse(text).ok()) else {
                return false;
            };
            let xid = bytes.iter().fold(0_u32, |xid, byte| xid.rotate_left(5) ^ u32::from(*byte));
            let _ = (set.sees(xid), set.is_older(xid), set.xmin(), set.xmax());
            true
        });
    }
}
