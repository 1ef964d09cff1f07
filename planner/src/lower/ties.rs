//! FETCH FIRST n ROWS WITH TIES: the rows of which fewer than n come before.

use super::error::LowerError;
use super::select::{filter, project};
use super::{Lowering, Purpose, unsupported};
use crate::expr::Expr;
use crate::functions::row_count_of_ties;
use crate::optimize::simplified;
use crate::plan::{Node as PlanNode, Plan, SortKey, WindowCall, WindowKind};
use crate::types::{ColumnType, oid};
use crate::value::Value;

impl Lowering<'_> {
    /// The first rows, for each of the carried ones (the first `carried` columns), and those that tie with the last of them.
    /// Which rows an OFFSET leaves out among ties is not settled.
    pub(super) fn first_with_ties(
        &self,
        plan: Plan,
        carried: usize,
        keys: Vec<SortKey>,
        count: Option<Expr>,
        offset: Option<Expr>,
    ) -> Result<Plan, LowerError> {
        let Some(count) = count else { return unsupported("FETCH FIRST … WITH TIES of no number") };
        if offset.is_some() {
            return unsupported("OFFSET with FETCH FIRST … WITH TIES");
        }
        let is_read = self.purpose == Purpose::Read && carried == 0;
        if !is_read && !matches!(simplified(&count), Expr::Const(Value::Int8(0..))) {
            return unsupported("FETCH FIRST … WITH TIES of other than a constant");
        }
        let bigint = ColumnType::new(oid::INT8);
        let kinds = plan.columns.clone();
        let kept = kinds.iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind)).collect();
        let partition = (0..carried).map(Expr::Column).collect();
        let functions = vec![WindowCall::plain(WindowKind::Rank, partition, keys.clone(), bigint.clone())];
        let rank = Expr::Column(kinds.len());
        let columns = kinds.iter().cloned().chain([bigint]).collect();
        let ranked = Plan { node: PlanNode::Window { input: Box::new(plan), functions }, columns };
        let plan = project(filter(ranked, Expr::call("int8le", vec![rank, count.clone()])), kept);
        if !is_read {
            return Ok(plan);
        }
        // A number that Postgres refuses is refused when there are no rows, too.
        let limit = Some(Expr::Call { function: row_count_of_ties(), args: vec![count] });
        Ok(Plan { node: PlanNode::Sort { input: Box::new(plan), keys, limit, offset: None }, columns: kinds })
    }
}
