//! Analysis of a text whose literals were taken out as parameters, so that texts which differ in nothing else share a
//! plan. A literal can mean more than its value (`ORDER BY 1`, `interval '1 day'`, `'today'`), so nothing is assumed:
//! Postgres analyses one such text as it came, too, and both plans must be the same once the parameters are filled in.

use super::session::AnalysisSession;
use super::statement::{Failure, MEANING, analyse as analyse_statement};
use super::{AnalysisKey, Example, Prepared};
use crate::registry::Registry;
use std::sync::Arc;
use weir_planner::Value;
use weir_planner::optimize::with_constants;
use weir_planner::parse::decode_text;

/// Reason of a text whose literals are more than values: it is analysed as it comes.
pub const REASON: &str = "literals shape the plan";

/// Refusals that hold whatever the literals are.
const OF_THE_TEXT: [&str; 4] = ["reads a base table", "reads no stream table", "unsupported construct", MEANING];

pub(super) async fn analyse(
    session: &mut AnalysisSession,
    key: &AnalysisKey,
    example: &Example,
    registry: &Registry,
    epoch: u64,
    keep_exact: impl FnOnce(AnalysisKey, Arc<Prepared>),
) -> Result<Prepared, Failure> {
    let exact_key =
        AnalysisKey { sql: example.exact.clone(), declared_params: vec![], environment: key.environment.clone() };
    // One bad literal sends the texts of its kind back to being analysed as they come.
    let as_it_comes = |failure| match failure {
        Failure::Unsupported { reason, detail } if !OF_THE_TEXT.contains(&reason) => {
            Failure::unsupported(REASON, format!("{reason}: {detail}"))
        }
        other => other,
    };
    let exact = analyse_statement(session, &exact_key, registry, epoch).await.map_err(as_it_comes)?;
    let exact = Arc::new(exact);
    keep_exact(exact_key, exact.clone());
    // What its literals made possible (`LIMIT 1` of a correlated query, a fraction of a percentile).
    let by_its_literals = |failure| match failure {
        Failure::Unsupported { reason, detail } => Failure::unsupported(REASON, format!("{reason}: {detail}")),
        other => other,
    };
    let general = analyse_statement(session, key, registry, epoch).await.map_err(by_its_literals)?;
    let settings = &key.environment.settings;
    let types = general.params.iter().zip(&example.literals);
    let values: Option<Vec<Value>> = types.map(|(oid, text)| decode_text(*oid, -1, text, settings).ok()).collect();
    let filled = values
        .filter(|values| values.len() == general.params.len() && values.len() == example.literals.len())
        .and_then(|values| with_constants(&general.plan, &values));
    let is_same = filled.is_some_and(|filled| filled == exact.plan)
        && general.columns == exact.columns
        && general.tables == exact.tables;
    match is_same {
        true => Ok(general),
        false => Err(Failure::unsupported(REASON, "the plan with parameters is another one")),
    }
}
