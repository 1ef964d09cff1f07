//! Which stream tables exist and whether memory may speak for them. Written by `maintain`, read by every session.

use crate::analysis::Texts;
use arc_swap::{ArcSwap, Guard};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_planner::RelationId;
use weir_planner::settings::{SettingSet, Settings};

/// One stream table as sessions see it.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamTable {
    pub id: RelationId,
    pub pgt_id: i64,
    pub schema: String,
    pub name: String,
    pub state: State,
    /// Settings the definition depends on, and the creator's values: readers with other values are forwarded.
    pub depends_on: SettingSet,
    pub pinned: Settings,
    /// Evaluated by Postgres (FULL, not maintainable): right only while its sources have not moved.
    pub evaluated_by_postgres: bool,
    /// Its rows are the same however its definition is evaluated ([`weir_planner::Plan::is_determined`]), and so are those of
    /// the stream tables that it reads.
    pub determined: bool,
    /// Users' functions whose bodies its rows are made with, below it too: whoever reads it must be allowed to execute them.
    pub bodies: Vec<u32>,
    /// Those among them whose bodies are text, and what its rows are made with: readers to whom they mean something else are
    /// forwarded.
    pub texts: Texts,
}

/// A reader's (or another definition's) settings mean the same as the creator's in everything the definition depends on.
pub fn agree(depends_on: SettingSet, pinned: &Settings, reader: &Settings) -> bool {
    let differs = |set: SettingSet, equal: bool| depends_on.contains(set) && !equal;
    let zone = |name: &str| match name {
        "Etc/UTC" | "UCT" | "Etc/UCT" | "Zulu" | "Universal" => "UTC".to_owned(),
        other => other.to_owned(),
    };
    // 1, 2 and 3 all print the shortest exact digits (`float8out`).
    let digits = |digits: i32| digits.min(1);
    !(differs(SettingSet::TIME_ZONE, zone(&pinned.time_zone) == zone(&reader.time_zone))
        || differs(SettingSet::DATE_STYLE, pinned.date_style == reader.date_style)
        || differs(SettingSet::INTERVAL_STYLE, pinned.interval_style == reader.interval_style)
        || differs(
            SettingSet::EXTRA_FLOAT_DIGITS,
            digits(pinned.extra_float_digits) == digits(reader.extra_float_digits),
        )
        || differs(SettingSet::BYTEA_OUTPUT, pinned.bytea_output == reader.bytea_output))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Populated; memory may answer.
    Live,
    /// Being populated; reads are forwarded (or held for a bounded moment).
    Populating,
    /// Reads are forwarded until it is created anew or resynchronised.
    Out { reason: &'static str },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    pub by_id: HashMap<RelationId, StreamTable>,
    /// Lower-cased names of stream tables and of what stands over them, for the filter that runs before any parsing.
    pub names: HashSet<String>,
}

/// A base table whose changes are followed, for people.
#[derive(Clone, Debug, Serialize)]
pub struct BaseTable {
    pub name: String,
    /// How its rows stand in memory: `being copied`, `kept` or `let go`.
    pub rows: &'static str,
}

#[derive(Default)]
pub struct Registry {
    tables: ArcSwap<Tables>,
    /// Bumped whenever cached analyses, plans and privileges may have become wrong (DDL mark, changed stamp, catalog row).
    epoch: AtomicU64,
    /// What keeps Weir from maintaining anything (missing privilege or setting, lost connection), for logs and status.
    problems: ArcSwap<Vec<String>>,
    base_tables: ArcSwap<Vec<BaseTable>>,
}

impl Registry {
    pub fn tables(&self) -> Arc<Tables> {
        self.tables.load_full()
    }
    /// For a look within one statement: counts no reference, so that sessions on different cores do not contend for it.
    pub fn peek(&self) -> Guard<Arc<Tables>> {
        self.tables.load()
    }
    pub fn replace(&self, tables: Tables) {
        self.tables.store(Arc::new(tables));
        self.advance_epoch();
    }
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }
    pub fn advance_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Why stream tables are not maintained at the moment; empty when they are.
    pub fn problems(&self) -> Arc<Vec<String>> {
        self.problems.load_full()
    }
    pub fn set_problems(&self, problems: Vec<String>) {
        self.problems.store(Arc::new(problems));
    }

    /// The base tables whose changes are followed, in no order.
    pub fn base_tables(&self) -> Arc<Vec<BaseTable>> {
        self.base_tables.load_full()
    }
    pub fn set_base_tables(&self, tables: Vec<BaseTable>) {
        self.base_tables.store(Arc::new(tables));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_agree_when_what_matters_is_equal_in_meaning() {
        let pinned = Settings { time_zone: "Etc/UTC".into(), ..Settings::default() };
        let reader = Settings { extra_float_digits: 3, date_style: "SQL, DMY".into(), ..Settings::default() };
        assert!(agree(SettingSet::TIME_ZONE.union(SettingSet::EXTRA_FLOAT_DIGITS), &pinned, &reader));
        assert!(!agree(SettingSet::DATE_STYLE, &pinned, &reader));
        let tokyo = Settings { time_zone: "Asia/Tokyo".into(), ..Settings::default() };
        assert!(!agree(SettingSet::TIME_ZONE, &pinned, &tokyo));
        assert!(agree(SettingSet::NONE, &pinned, &tokyo));
        let zero = Settings { extra_float_digits: 0, ..Settings::default() };
        assert!(!agree(SettingSet::EXTRA_FLOAT_DIGITS, &pinned, &zero));
    }
}
