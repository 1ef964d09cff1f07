//! Tables that Postgres evaluates: one at a time, each in one snapshot, published as of that snapshot.

use super::history::Initiator;
use super::keeper::Keeper;
use super::notice::Notice;
use super::upkeep::Progress;
use super::work::Work;
use super::{Shared, copy};
use crate::catalog::rows::StreamTableRow;
use crate::control;
use tokio::sync::{mpsc, oneshot};
use weir_planner::{ColumnType, RelationId};

/// Starts an evaluation; it ends in [`Notice::Evaluated`].
pub(super) fn spawn(keeper: &mut Keeper, id: RelationId, initiator: Initiator) {
    let Some(view) = keeper.views.get_mut(&id) else { return };
    view.evaluating = true;
    let generation = view.generation;
    let (row, columns) = (view.row.clone(), view.columns.clone());
    let (shared, work, notices) = (keeper.shared.clone(), keeper.work.clone(), keeper.notices.clone());
    tokio::spawn(async move {
        let result = evaluate(&shared, &work, &row, &columns).await;
        let _ = notices.send(Notice::Evaluated { id, generation, result, initiator });
    });
}

async fn evaluate(
    shared: &Shared,
    work: &mpsc::UnboundedSender<Work>,
    row: &StreamTableRow,
    columns: &[ColumnType],
) -> Result<Progress, String> {
    // A heavy query at a time: Postgres has its own work to do.
    let _permit = shared.evaluations.acquire().await.map_err(|error| error.to_string())?;
    let client = control::connect(&shared.config.upstream, "evaluation").await.map_err(|error| error.to_string())?;
    let _ = work.send(Work::BeginEvaluation(row.id));
    copy::begin(&client, row).await.map_err(|error| error.to_string())?;
    let settlement = copy::settlement(&client).await.map_err(|error| error.to_string())?;
    let rows = copy::rows(&client, row, columns).await.map_err(|error| error.to_string())?;
    if let Some(capture) = shared.capture.get() {
        capture.reach(settlement.position);
    }
    let (done, answer) = oneshot::channel();
    let _ = work.send(Work::SetRows { table: row.id, rows, settlement, done });
    answer.await.map_err(|error| error.to_string())?
}
