//! Windows and ORDER BY … LIMIT from plan to graph.

use super::EngineError;
use super::build::{Builder, Built, PRUNED, maintainable};
use super::columns::require;
use super::graph::NodeId;
use super::spec::{OperatorSpec, OrderColumn, OrderSpec};
use super::topk::TopKOperator;
use super::window::{Numbering, WindowOperator};
use super::window_frame::FrameOperator;
use crate::key::KeySpec;
use crate::window::PreparedCall;
use weir_planner::eval::Tuple;
use weir_planner::optimize::Dropper;
use weir_planner::plan::{SortKey, WindowCall};
use weir_planner::{Expr, Plan, Value};

impl Builder<'_> {
    pub(crate) fn build_window(
        &mut self,
        input: &Plan,
        functions: &[WindowCall],
        required: &[bool],
    ) -> Result<Built, EngineError> {
        let input_width = input.columns.len();
        let mut needed = required[..input_width].to_vec();
        for expr in functions.iter().flat_map(WindowCall::exprs) {
            maintainable(expr)?;
            require(expr, &mut needed);
        }
        let mut built = self.build(input, &needed)?;
        built.columns.resize(input_width + functions.len(), PRUNED);
        let mut done = vec![false; functions.len()];
        for first in 0..functions.len() {
            if done[first] {
                continue;
            }
            // Columns of functions over other windows: all that tells copies of a row apart.
            let told: Vec<usize> = built.columns[input_width..].iter().copied().filter(|at| *at != PRUNED).collect();
            let is_same = |other: &usize| {
                functions[*other].partition == functions[first].partition
                    && functions[*other].order == functions[first].order
            };
            // Functions over the same window are numbered in one pass; then those that look at other rows, in that order.
            let (ranking, frames): (Vec<usize>, Vec<usize>) =
                (first..functions.len()).filter(is_same).partition(|&other| functions[other].kind.is_ranking());
            let order = self.order_spec(&mut built, &functions[first].order);
            let partition = KeySpec::new(built.remap_all(&functions[first].partition));
            let read = built.columns.iter().copied().filter(|&column| column != PRUNED).collect();
            if !ranking.is_empty() {
                let kinds: Vec<_> = ranking.iter().map(|&index| functions[index].kind).collect();
                let numbering = Numbering {
                    partition: partition.clone(),
                    order: order.clone(),
                    functions: kinds,
                    told,
                    width: built.width,
                };
                let spec = OperatorSpec::Window(numbering.clone());
                built.node = self.node(spec, vec![built.node], |_| Box::new(WindowOperator::new(numbering)));
            }
            for &index in &ranking {
                built.columns[input_width + index] = built.width;
                built.width += 1;
            }
            if !frames.is_empty() {
                let calls = frames.iter().map(|&index| functions[index].map(|expr| built.remap(expr))).collect();
                built.node = self.frames(&built, partition, order, calls, read)?;
            }
            for &index in &frames {
                built.columns[input_width + index] = built.width;
                built.width += 1;
            }
            ranking.iter().chain(&frames).for_each(|&index| done[index] = true);
        }
        Ok(built)
    }

    fn frames(
        &mut self,
        built: &Built,
        partition: KeySpec,
        order: OrderSpec,
        calls: Vec<WindowCall>,
        read: Vec<usize>,
    ) -> Result<NodeId, EngineError> {
        let width = built.width;
        let prepared = calls.iter().map(|call| PreparedCall::new(call, &self.context)).collect::<Result<Vec<_>, _>>();
        let prepared = prepared.map_err(EngineError::Unsupported)?;
        let spec = OperatorSpec::Frames {
            partition: partition.clone(),
            order: order.clone(),
            calls,
            read: read.clone(),
            width,
        };
        Ok(self.node(spec, vec![built.node], |_| Box::new(FrameOperator::new(partition, order, prepared, read, width))))
    }

    pub(crate) fn build_sort(
        &mut self,
        input: &Plan,
        keys: &[SortKey],
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        required: &[bool],
    ) -> Result<Built, EngineError> {
        let limit = self.row_count(limit, "LIMIT")?;
        let offset = self.row_count(offset, "OFFSET")?.unwrap_or(0);
        if limit.is_none() && offset == 0 {
            return self.build(input, required);
        }
        let mut needed = required.to_vec();
        for key in keys {
            maintainable(&key.expr)?;
            require(&key.expr, &mut needed);
        }
        let mut built = self.build_dropped(input, &needed, Dropper::Limit)?;
        let order = self.order_spec(&mut built, keys);
        let limit = limit.unwrap_or(u64::MAX);
        let spec = OperatorSpec::TopK { order: order.clone(), offset, limit };
        let node = self.node(spec, vec![built.node], |_| Box::new(TopKOperator::new(order, offset, limit)));
        Ok(Built { node, ..built })
    }

    /// LIMIT or OFFSET as a number; None for none. Postgres' errors for negative counts are Postgres' to raise.
    fn row_count(&self, expr: Option<&Expr>, clause: &str) -> Result<Option<u64>, EngineError> {
        let Some(expr) = expr else { return Ok(None) };
        maintainable(expr)?;
        let unsupported = || EngineError::Unsupported(format!("{clause} that is not a constant row count"));
        match expr.eval(Tuple::single(&[]), &self.context) {
            Value::Null => Ok(None),
            Value::Int8(count) => u64::try_from(count).map(Some).map_err(|_| unsupported()),
            _ => Err(unsupported()),
        }
    }

    /// Sort keys as columns; keys that are expressions are appended to the rows first.
    fn order_spec(&mut self, built: &mut Built, keys: &[SortKey]) -> OrderSpec {
        let exprs = built.remap_all(keys.iter().map(|key| &key.expr));
        if exprs.iter().any(|expr| !matches!(expr, Expr::Column(_))) {
            let computed: Vec<Expr> = exprs.iter().filter(|expr| !matches!(expr, Expr::Column(_))).cloned().collect();
            let added = computed.len();
            let all = (0..built.width).map(Expr::Column).chain(computed).collect();
            built.node = self.map(built.node, all);
            built.width += added;
        }
        let mut next = built.width - exprs.iter().filter(|expr| !matches!(expr, Expr::Column(_))).count();
        let columns = exprs
            .iter()
            .zip(keys)
            .map(|(expr, key)| match expr {
                Expr::Column(index) => OrderColumn::new(*index, key),
                _ => {
                    next += 1;
                    OrderColumn::new(next - 1, key)
                }
            })
            .collect();
        OrderSpec { columns }
    }
}
