//! Capture by triggers. What the triggers of `catalog/sql/17_triggers.sql` have recorded is drained by snapshot visibility:
//! `drain` reads what became visible since the last snapshot, `record` decodes it into whole transactions, `life` decides
//! when and hands them on as one step, `cleanup` deletes what has been read. Nothing here speaks of the WAL.

mod cleanup;
mod drain;
pub(super) mod life;
mod record;
