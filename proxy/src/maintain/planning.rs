//! How a stream table is maintained: by the engine, by Postgres, or not at all; and why.

use super::keeper::{Keeper, KeeperError};
use super::populate::{ATTEMPTS, Maintenance, Phase};
use crate::analysis::{PlanError, Texts, plan_view};
use crate::catalog::rows::{self, BaseTable, StreamTableRow};
use crate::registry::agree;
use std::collections::HashSet;
use std::sync::Arc;
use weir_planner::settings::SettingSet;
use weir_planner::{Collation, ColumnType, RelationId};

/// What planning decided.
pub(super) struct Decision {
    pub how: Maintenance,
    pub columns: Vec<ColumnType>,
    pub sources: Vec<RelationId>,
    pub depends_on: SettingSet,
    /// Its plan, and those of the stream tables that it reads, have one answer.
    pub determined: bool,
    /// Users' functions whose bodies stand in it.
    pub bodies: Vec<u32>,
    /// Those whose bodies are text, and what its creator means by them; also where that is why it is not incremental.
    pub texts: Texts,
    /// With those of the stream tables that it reads.
    pub all_texts: Texts,
    /// Why it is not incremental, for people.
    pub reason: Option<String>,
    pub out: Option<&'static str>,
    pub failed: bool,
    /// Tables that are not watched, and may be next time: a lock was not to be had.
    pub unwatched: Vec<RelationId>,
}

impl Decision {
    pub(super) fn out(reason: &'static str, detail: Option<String>) -> Decision {
        Decision {
            how: Maintenance::None,
            columns: Vec::new(),
            sources: Vec::new(),
            depends_on: SettingSet::NONE,
            determined: false,
            bodies: Vec::new(),
            texts: Texts::default(),
            all_texts: Texts::default(),
            reason: detail,
            out: Some(reason),
            failed: false,
            unwatched: Vec::new(),
        }
    }
}

impl Keeper {
    pub(super) async fn decide(&mut self, row: &StreamTableRow) -> Result<Decision, KeeperError> {
        if row.suspended {
            return Ok(Decision::out("suspended", None));
        }
        if row.row_security {
            return Ok(Decision::out("row level security", Some("a relation below has row-level security".into())));
        }
        if !row.initialize && !row.populated && !self.requested.iter().any(|(pgt_id, _)| *pgt_id == row.pgt_id) {
            return Ok(Decision::out("not populated", None));
        }
        let mut unwatched = Vec::new();
        let mut texts = Texts::default();
        let planned = plan_view(&self.client, &mut self.system, row.id, &row.pinned, &mut self.creators).await;
        let unsupported = match planned {
            Ok(planned) => {
                texts = planned.texts;
                let mut all_texts = texts.clone();
                let named = self.named_tables(row);
                let bases = self.capture_tables(&named, &planned.sources.base_tables).await?;
                let obstacle = self.obstacle_below(&planned.sources.stream_tables, &bases);
                match obstacle.or_else(|| self.disagreement_below(&planned.sources.stream_tables, row, &mut all_texts))
                {
                    None => {
                        // Postgres would expand them under the reader's settings.
                        let below = planned.sources.stream_tables.iter().filter_map(|id| self.views.get(id));
                        let (mut depends_on, mut bodies) = (planned.uses.settings, planned.uses.bodies);
                        let mut determined = planned.plan.is_determined();
                        for view in below {
                            determined &= view.determined;
                            depends_on = depends_on.union(view.depends_on);
                            bodies.extend(&view.bodies);
                        }
                        bodies.sort_unstable();
                        bodies.dedup();
                        let mut sources = planned.sources.base_tables;
                        sources.extend(planned.sources.stream_tables);
                        return Ok(Decision {
                            columns: planned.columns.into_iter().map(|column| column.kind).collect(),
                            how: Maintenance::Incremental(Arc::new(planned.plan)),
                            sources,
                            depends_on,
                            determined,
                            bodies,
                            texts,
                            all_texts,
                            reason: None,
                            out: None,
                            failed: false,
                            unwatched,
                        });
                    }
                    Some(obstacle) => {
                        unwatched = self.not_watched(&bases);
                        obstacle
                    }
                }
            }
            Err(PlanError::Unsupported { reason, texts: refused, .. }) => {
                texts = *refused;
                reason.to_string()
            }
            Err(PlanError::Catalog(error)) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        let may_be_full = match row.requested_mode.as_str() {
            // It reads the time in another way than filters do: its creator was told that it is evaluated on its schedule.
            "DIFFERENTIAL" => self.reads_clock(row.id).await?,
            mode => mode != "IMMEDIATE",
        };
        if !may_be_full {
            let out = Decision::out("not maintainable", Some(unsupported));
            return Ok(Decision { failed: true, unwatched, texts, ..out });
        }
        let decision = self.decide_by_postgres(row, unsupported).await?;
        Ok(Decision { unwatched, texts, ..decision })
    }

    pub(super) async fn decide_by_postgres(
        &mut self,
        row: &StreamTableRow,
        reason: String,
    ) -> Result<Decision, KeeperError> {
        let obstacle = "SELECT pgtrickle.reader_obstacle($1::oid::regclass)";
        let obstacle: Option<String> = self.client.query_one(obstacle, &[&row.id.0]).await?.get(0);
        if let Some(obstacle) = obstacle {
            return Ok(Decision::out("depends on the reader", Some(format!("{reason}; {obstacle}"))));
        }
        let reads_clock = self.reads_clock(row.id).await?;
        let known: HashSet<RelationId> = self.system_stream_tables(&row.sources);
        if known.iter().any(|id| self.views.get(id).is_none_or(|view| matches!(view.phase, Phase::Out(_)))) {
            return Ok(Decision::out("reads a table that is not in memory", Some(reason)));
        }
        let named = self.named_tables(row);
        let below = rows::tables_shown(&self.client, &named).await?;
        let bases = self.capture_tables(&named, &below).await?;
        let is_followed = |base: &&BaseTable| base.watched && !base.is_partitioned;
        let followed: Vec<RelationId> = bases.iter().filter(is_followed).map(|base| base.spec.id).collect();
        let columns = rows::columns(&self.client, row.id.0).await?;
        Ok(Decision {
            columns: columns
                .iter()
                .map(|column| self.column_type(column.value_oid, column.typmod, column.collation))
                .collect(),
            how: Maintenance::ByPostgres {
                blind: followed.len() < below.len() || bases.iter().any(|base| !base.watched) || reads_clock,
            },
            sources: followed.into_iter().chain(known).collect(),
            // What the definition depends on is not known: every setting must be the creator's.
            depends_on: SettingSet::TIME_ZONE
                .union(SettingSet::DATE_STYLE)
                .union(SettingSet::INTERVAL_STYLE)
                .union(SettingSet::EXTRA_FLOAT_DIGITS)
                .union(SettingSet::BYTEA_OUTPUT)
                .union(if reads_clock { SettingSet::CLOCK } else { SettingSet::NONE }),
            determined: false,
            bodies: Vec::new(),
            texts: Texts::default(),
            all_texts: Texts::default(),
            reason: Some(reason),
            out: None,
            failed: false,
            unwatched: Vec::new(),
        })
    }

    /// Its rows change with the time, with no write.
    async fn reads_clock(&self, view: RelationId) -> Result<bool, KeeperError> {
        let sql = "SELECT pgtrickle.reads_clock($1::oid::regclass)";
        Ok(self.client.query_one(sql, &[&view.0]).await?.get(0))
    }

    /// Those that have not been given up.
    fn not_watched(&self, bases: &[BaseTable]) -> Vec<RelationId> {
        let given_up = |id| self.tables.get(&id).is_some_and(|base| base.attempts >= ATTEMPTS);
        let unwatched = bases.iter().filter(|base| !base.watched && !given_up(base.spec.id));
        unwatched.map(|base| base.spec.id).collect()
    }

    /// What it reads apart from stream tables, partitioned tables as such.
    fn named_tables(&self, row: &StreamTableRow) -> Vec<RelationId> {
        row.sources.iter().copied().filter(|id| !self.system.is_stream_table(*id)).collect()
    }

    fn system_stream_tables(&self, sources: &[RelationId]) -> HashSet<RelationId> {
        sources.iter().copied().filter(|id| self.system.is_stream_table(*id)).collect()
    }

    fn column_type(&self, oid: u32, typmod: i32, collation: u32) -> ColumnType {
        /// `DEFAULT_COLLATION_OID` (`pg_collation.dat`).
        const DEFAULT_COLLATION: u32 = 100;
        let catalog = self.system.planner();
        let bytewise = match collation {
            0 => true,
            DEFAULT_COLLATION => catalog.default_collation_is_bytewise,
            other => catalog.collations.get(&other).is_some_and(|known| known.bytewise),
        };
        let collation = match (catalog.labels.contains_key(&oid), bytewise) {
            (true, _) => Collation::Labels,
            (false, true) => Collation::Bytes,
            (false, false) => Collation::Unordered,
        };
        ColumnType { oid, typmod, collation }
    }

    /// A stream table that it reads was made under settings, or with functions, that mean something else: no reader has both. What
    /// is meant below is added to `texts`.
    fn disagreement_below(
        &self,
        stream_tables: &[RelationId],
        row: &StreamTableRow,
        texts: &mut Texts,
    ) -> Option<String> {
        for view in stream_tables.iter().filter_map(|id| self.views.get(id)) {
            if !agree(view.depends_on, &view.row.pinned.settings, &row.pinned.settings) {
                return Some(format!("it reads {}, which was created under other settings", view.row.name));
            }
            if !texts.join(&view.all_texts) {
                return Some(format!("it reads {}, to which a function means something else", view.row.name));
            }
        }
        None
    }

    /// Why a supported plan cannot be fed.
    fn obstacle_below(&self, stream_tables: &[RelationId], bases: &[BaseTable]) -> Option<String> {
        for id in stream_tables {
            match self.views.get(id) {
                Some(view) if view.is_evaluated() => {
                    return Some(format!("it reads {}, which Postgres evaluates", view.row.name));
                }
                Some(view) if matches!(view.phase, Phase::Out(_)) => {
                    return Some(format!("it reads {}, which is not in memory", view.row.name));
                }
                Some(_) => {}
                None => return Some("it reads a stream table that is gone".into()),
            }
        }
        bases.iter().find(|base| !base.watched).map(|base| format!("table {} is not watched", base.spec.name))
    }
}
