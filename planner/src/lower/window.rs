//! Window functions and their frames.

use super::aggregate_kind::aggregate_kind;
use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Frame as ExprFrame, Typed};
use super::kinds::{Representation, has_extremes, representation};
use super::parts::{Reference, WindowPart};
use super::select::SelectList;
use super::{Level, Lowering, unsupported};
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::plan::{
    AggregateKind, Bound, Exclusion, Frame, FrameMode, Node as PlanNode, Plan, SortKey, WindowCall, WindowKind,
};
use crate::query::WindowClause;
use crate::settings::SettingSet;
use crate::tree::Node;
use crate::types::ColumnType;
use crate::value::Value;

/// `FRAMEOPTION_…` of `src/include/nodes/parsenodes.h`.
mod option {
    pub const ROWS: i64 = 0x4;
    pub const GROUPS: i64 = 0x8;
    pub const START_CURRENT_ROW: i64 = 0x200;
    pub const END_CURRENT_ROW: i64 = 0x400;
    pub const START_PRECEDING: i64 = 0x800;
    pub const END_PRECEDING: i64 = 0x1000;
    pub const START_FOLLOWING: i64 = 0x2000;
    pub const END_FOLLOWING: i64 = 0x4000;
    pub const EXCLUDE_CURRENT_ROW: i64 = 0x8000;
    pub const EXCLUDE_GROUP: i64 = 0x10000;
    pub const EXCLUDE_TIES: i64 = 0x20000;
}

/// Functions of `src/backend/utils/adt/windowfuncs.c` by name.
fn window_kind(name: &str) -> Option<WindowKind> {
    Some(match name {
        "row_number" => WindowKind::RowNumber,
        "rank" => WindowKind::Rank,
        "dense_rank" => WindowKind::DenseRank,
        "percent_rank" => WindowKind::PercentRank,
        "cume_dist" => WindowKind::CumeDist,
        "ntile" => WindowKind::Ntile,
        "lag" => WindowKind::Lag,
        "lead" => WindowKind::Lead,
        "first_value" => WindowKind::FirstValue,
        "last_value" => WindowKind::LastValue,
        "nth_value" => WindowKind::NthValue,
        _ => return None,
    })
}

impl ExprLowerer<'_, '_> {
    pub(super) fn window_function(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let entry = self.lowering.function_entry(node.oid("winfnoid")?)?;
        if let Some(found) = self.interval_sum_in_window(node, entry)? {
            return Ok(found);
        }
        let args = node.nodes("args")?.into_iter().enumerate();
        let mut args =
            args.map(|(at, arg)| self.aggregated(entry, at, arg)).collect::<Result<Vec<Typed>, LowerError>>()?;
        let input = args.first().map(|arg| arg.kind.clone());
        let kind = self.window_kind(entry, input.as_ref(), node)?;
        let result = self.typed(Expr::Const(Value::Null), node.oid("wintype")?, node.oid("wincollid")?)?;
        if let WindowKind::Aggregate(kind) = kind {
            let signature = self.signature_in_window(entry);
            self.aggregate_arguments(kind, entry, &signature, &mut args, &result.kind)?;
        }
        let args: Vec<Expr> = args.into_iter().map(|arg| arg.expr).collect();
        if kind == WindowKind::Ntile && args.iter().any(|arg| !arg.columns().is_empty()) {
            return unsupported("ntile of a number that differs from row to row");
        }
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?;
        let filter = filter.map(|filter| filter.expr);
        let clause = node.index("winref")?;
        let part = WindowPart { kind, args, filter, clause, input, output: result.kind.clone() };
        Ok(Typed { expr: self.parts.window(part), ..result })
    }

    fn window_kind(
        &self,
        entry: &FunctionEntry,
        input: Option<&ColumnType>,
        node: &Node,
    ) -> Result<WindowKind, LowerError> {
        if entry.kind == 'a' {
            let what = self.signature_in_window(entry);
            let Some(kind) = aggregate_kind(entry, input) else { return unsupported(what) };
            // The rows of a frame come in the window's order.
            if kind.is_listed() && kind != AggregateKind::JsonbObjectAgg && self.has_no_order(node.index("winref")?) {
                return unsupported(format!("{what} without ORDER BY"));
            }
            if let (AggregateKind::Min | AggregateKind::Max, Some(input)) = (kind, input) {
                // An enum's order is not that of its labels, which is all a window compares.
                if !has_extremes(input.oid) {
                    return unsupported(what);
                }
                self.lowering.check_order(&what, node.oid("inputcollid")?)?;
            }
            return Ok(WindowKind::Aggregate(kind));
        }
        match (entry.schema.as_str(), window_kind(&entry.name)) {
            ("pg_catalog", Some(kind)) => Ok(kind),
            _ => unsupported(format!("window function {}", entry.name)),
        }
    }
}

impl ExprLowerer<'_, '_> {
    fn signature_in_window(&self, entry: &FunctionEntry) -> String {
        format!("aggregate {} as a window function", self.lowering.signature(entry))
    }

    fn has_no_order(&self, clause: usize) -> bool {
        let windows = self.frames.first().map_or(&[][..], |frame| &frame.level.query.windows);
        windows.iter().any(|window| window.reference == clause && window.order.is_empty())
    }
}

impl Lowering<'_> {
    /// Adds the window columns to `plan` and puts them into the select list.
    pub(super) fn windows(&mut self, plan: Plan, list: &mut SelectList, level: &Level<'_>) -> Result<Plan, LowerError> {
        let query = level.query;
        let mut functions = Vec::with_capacity(list.parts.windows.len());
        for part in std::mem::take(&mut list.parts.windows) {
            let clause = query.windows.iter().find(|clause| clause.reference == part.clause);
            let Some(clause) = clause else { return unsupported("a window that is not there") };
            let mut partition: Vec<Expr> = (0..level.carried_columns().len()).map(Expr::Column).collect();
            for item in &clause.partition {
                let index = query.targets.iter().position(|target| target.reference == item.target);
                let Some(target) = index.map(|i| &list.targets[i]) else {
                    return unsupported("PARTITION BY of a column that is not there");
                };
                self.check_equality("PARTITION BY", &target.kind, target.collation)?;
                partition.push(target.expr.clone());
            }
            let order = self.sort_keys("ORDER BY in a window", query, &clause.order, &list.targets, |i| {
                Some(list.targets[i].expr.clone())
            })?;
            // What ranks or looks at neighbours does not see the frame: all such functions share one pass.
            let frame = match part.kind {
                WindowKind::FirstValue | WindowKind::LastValue | WindowKind::NthValue | WindowKind::Aggregate(_) => {
                    self.frame(clause, &order, level)?
                }
                _ => Frame::default(),
            };
            let WindowPart { kind, args, filter, input, output, .. } = part;
            functions.push(WindowCall { kind, args, filter, partition, order, frame, input, output });
        }
        let width = plan.columns.len();
        for target in &mut list.targets {
            target.expr = target.expr.map_columns(&mut |column| match Reference::of(column) {
                Reference::Window(index) => width + index,
                _ => column,
            });
        }
        let columns = plan.columns.iter().chain(functions.iter().map(|f| &f.output)).cloned().collect();
        Ok(Plan { node: PlanNode::Window { input: Box::new(plan), functions }, columns })
    }

    fn frame(&mut self, clause: &WindowClause<'_>, order: &[SortKey], level: &Level<'_>) -> Result<Frame, LowerError> {
        let options = clause.node.int("frameOptions")?;
        let has = |option: i64| options & option != 0;
        let mode = match (has(option::ROWS), has(option::GROUPS)) {
            (true, _) => FrameMode::Rows,
            (_, true) => FrameMode::Groups,
            _ => FrameMode::Range,
        };
        let start = self.frame_offset(clause.node.optional("startOffset")?, mode, order, level)?;
        let end = self.frame_offset(clause.node.optional("endOffset")?, mode, order, level)?;
        let bound = |current_row: i64, preceding: i64, following: i64, offset: Option<Expr>| match offset {
            Some(offset) if has(preceding) => Bound::Preceding(offset),
            Some(offset) if has(following) => Bound::Following(offset),
            _ if has(current_row) => Bound::CurrentRow,
            _ => Bound::Unbounded,
        };
        Ok(Frame {
            mode,
            start: bound(option::START_CURRENT_ROW, option::START_PRECEDING, option::START_FOLLOWING, start),
            end: bound(option::END_CURRENT_ROW, option::END_PRECEDING, option::END_FOLLOWING, end),
            exclusion: if has(option::EXCLUDE_CURRENT_ROW) {
                Exclusion::CurrentRow
            } else if has(option::EXCLUDE_GROUP) {
                Exclusion::Group
            } else if has(option::EXCLUDE_TIES) {
                Exclusion::Ties
            } else {
                Exclusion::None
            },
        })
    }

    fn frame_offset(
        &mut self,
        node: Option<&Node>,
        mode: FrameMode,
        order: &[SortKey],
        level: &Level<'_>,
    ) -> Result<Option<Expr>, LowerError> {
        let Some(node) = node else { return Ok(None) };
        let columns = Columns::default();
        let mut lowerer = ExprLowerer::new(self, vec![ExprFrame { level, columns: &columns }]);
        let offset = lowerer.expr(node)?;
        if !lowerer.parts.scalars.is_empty() || !offset.expr.columns().is_empty() {
            return unsupported("subquery in a frame's offset");
        }
        if mode != FrameMode::Range {
            return Ok(Some(offset.expr));
        }
        let [key] = order else { return unsupported("RANGE with an offset over several keys") };
        use Representation::*;
        let (of, by) = (representation(key.kind.oid), representation(offset.kind.oid));
        match (of, by) {
            (Int2 | Int4 | Int8, Int2 | Int4 | Int8) | (Float4 | Float8, Float8) | (Numeric, Numeric) => {}
            (Date | Timestamp, Interval) => {}
            (TimestampTz, Interval) => self.uses.settings = self.uses.settings.union(SettingSet::TIME_ZONE),
            _ => {
                let (of, by) = (self.type_name(key.kind.oid), self.type_name(offset.kind.oid));
                return unsupported(format!("RANGE over {of} with an offset of {by}"));
            }
        }
        Ok(Some(offset.expr))
    }
}
