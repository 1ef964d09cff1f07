//! Typed relational plans: what the engine maintains and what a one-shot read evaluates.
//!
//! A plan is a bag expression: its rows have multiplicities. Order matters only inside [`Node::Sort`].

use crate::expr::Expr;
use crate::functions::Function;
use crate::settings::SettingSet;
use crate::types::{ColumnType, RelationId};
use crate::value::Spread;

/// A node with the types of the columns it yields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    pub node: Node,
    pub columns: Vec<ColumnType>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// Columns of a base table or stream table, by position in its stored row.
    Scan {
        relation: RelationId,
        columns: Vec<usize>,
    },
    /// A constant bag.
    Values {
        rows: Vec<Vec<Expr>>,
    },
    Filter {
        input: Box<Plan>,
        predicate: Expr,
    },
    Project {
        input: Box<Plan>,
        exprs: Vec<Expr>,
    },
    Join(Box<Join>),
    /// Output: the keys, then the aggregates. Without keys: exactly one row.
    Aggregate {
        input: Box<Plan>,
        keys: Vec<Expr>,
        aggregates: Vec<AggregateCall>,
    },
    /// SELECT DISTINCT over whole rows, by SQL equality; which image represents the class is Postgres' choice too.
    Distinct {
        input: Box<Plan>,
    },
    /// Output: the input's columns, then one per function.
    Window {
        input: Box<Plan>,
        functions: Vec<WindowCall>,
    },
    /// ORDER BY with optional LIMIT and OFFSET (bigint expressions without columns; NULL means none).
    /// As the root of a read it orders the answer; inside a maintained plan only the limit matters.
    Sort {
        input: Box<Plan>,
        keys: Vec<SortKey>,
        limit: Option<Expr>,
        offset: Option<Expr>,
    },
    UnionAll {
        inputs: Vec<Plan>,
    },
    /// Each input row beside the rows that set-returning functions give for it (`ROWS FROM`, the select list).
    ProjectSet(Box<ProjectSet>),
    /// The input's rows without their last column, each as many times over as that bigint says (none below one).
    Repeat {
        input: Box<Plan>,
    },
    /// The input's rows, each computed whole whatever becomes of it: a query that Postgres evaluates by itself, because it
    /// materialises it (WITH) or because it is ordered.
    Fence {
        input: Box<Plan>,
    },
}

/// Output: the input's columns, one per call, then the number of the row from 1 where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProjectSet {
    pub input: Plan,
    pub calls: SetCalls,
}

/// What is put beside a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SetCalls {
    /// Side by side: as many rows as the longest has, NULL where another has ended. None gives no row.
    pub calls: Vec<SetCall>,
    /// `WITH ORDINALITY`.
    pub ordinality: bool,
    /// `LEFT JOIN … ON` this, over the output's columns: an input row of which no row passes stays, with NULLs.
    pub left: Option<Expr>,
}

impl SetCalls {
    /// Columns put beside a row.
    pub fn width(&self) -> usize {
        self.calls.len() + usize::from(self.ordinality)
    }

    /// Everything that is evaluated over a row.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.calls.iter().flat_map(|call| &call.args).chain(&self.left)
    }

    /// A copy with every expression replaced by what `f` makes of it.
    pub fn map(&self, mut f: impl FnMut(&Expr) -> Expr) -> SetCalls {
        let mut copy = self.clone();
        copy.exprs_mut().for_each(|expr| *expr = f(expr));
        copy
    }

    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.calls.iter_mut().flat_map(|call| &mut call.args).chain(&mut self.left)
    }
}

/// A set-returning function; its value over a row is an array of what it returns there, or NULL for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SetCall {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    pub output: ColumnType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    pub kind: JoinKind,
    pub left: Plan,
    pub right: Plan,
    /// Pairs (over the left row, over the right row) that must be equal in SQL's sense; NULL equals nothing.
    /// Both sides have the same type after the tree's own casts.
    pub equal: Vec<(Expr, Expr)>,
    /// Over left columns then right columns; evaluated for pairs that pass `equal`. Part of the ON clause.
    pub residual: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with a match; yields left columns only.
    Semi,
    /// Left rows without a match; yields left columns only.
    Anti,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AggregateCall {
    pub kind: AggregateKind,
    /// Empty for `count(*)`.
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub filter: Option<Expr>,
    /// In which order rows are taken, for [`AggregateKind::is_listed`] and ordered-set aggregates; empty for all others.
    /// With `distinct` every argument is among the keys, or an image of one.
    pub order: Vec<SortKey>,
    /// Type of the first argument, where there is one.
    pub input: Option<ColumnType>,
    pub output: ColumnType,
}

impl AggregateCall {
    /// Everything that is evaluated over a row.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.args.iter().chain(&self.filter).chain(self.order.iter().map(|key| &key.expr))
    }

    /// A copy with every expression replaced by what `f` makes of it.
    pub fn map(&self, mut f: impl FnMut(&Expr) -> Expr) -> AggregateCall {
        let mut call = self.clone();
        call.exprs_mut(&mut |expr| *expr = f(expr));
        call
    }

    /// As [`AggregateCall::exprs`], to be changed.
    pub fn all_exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let keys = self.order.iter_mut().map(|key| &mut key.expr);
        self.args.iter_mut().chain(&mut self.filter).chain(keys)
    }

    pub fn exprs_mut(&mut self, f: &mut impl FnMut(&mut Expr)) {
        self.args.iter_mut().chain(&mut self.filter).for_each(&mut *f);
        self.order.iter_mut().for_each(|key| f(&mut key.expr));
    }
}

/// Aggregates by what they compute; named after the transition semantics in `pg_aggregate.dat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// `count(*)`.
    CountRows,
    /// `count(x)`; `regr_count(y, x)` of what is NULL where either is.
    Count,
    /// `sum(int2|int4)` → int8.
    SumInt,
    /// `sum(int8)` → numeric.
    SumInt8,
    /// `sum(numeric)`.
    SumNumeric,
    /// `sum(float4|float8)`.
    SumFloat,
    /// `avg(int2|int4|int8)` → numeric.
    AvgInt,
    /// `avg(numeric)`.
    AvgNumeric,
    /// `avg(float4|float8)`.
    AvgFloat,
    Min,
    Max,
    BoolAnd,
    BoolOr,
    /// `bit_and`, `bit_or`, `bit_xor` of an integer type.
    BitAnd,
    BitOr,
    BitXor,
    /// `var_pop`, `var_samp`, `stddev_pop`, `stddev_samp` and their other names, of an integer type or numeric.
    Spread(Spread),
    /// The same of float4 or float8.
    FloatSpread(Spread),
    /// `covar_…`, `corr`, `regr_…` of two float8, the dependent variable (y) first.
    FloatPairs(PairStatistic),
    /// `string_agg` of text or bytea.
    StringAgg,
    /// `array_agg` of an element type whose arrays are known.
    ArrayAgg,
    /// `json_agg`, `jsonb_agg`, whose argument is an image from [`crate::functions::json_image`].
    JsonAgg,
    JsonbAgg,
    /// `json_object_agg`, `jsonb_object_agg`, whose arguments are such a key and such a value.
    JsonObjectAgg,
    JsonbObjectAgg,
    /// `percentile_cont`, `percentile_disc`, of the first argument by the one sort key; the second is the fraction,
    /// without columns.
    PercentileCont,
    PercentileDisc,
    /// `mode`, by the one sort key.
    Mode,
    /// The value of the only row, NULL without rows, error 21000 with more: a scalar subquery. Not SQL's own.
    Single,
}

/// Statistics of pairs (`float8_covar_pop` and those behind it in float.c). S is a sum of products of differences from the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairStatistic {
    CovarPop,
    CovarSamp,
    Corr,
    AvgX,
    AvgY,
    Sxx,
    Syy,
    Sxy,
    Slope,
    Intercept,
    R2,
}

impl AggregateKind {
    /// The value is a list of what came, in an order.
    pub fn is_listed(self) -> bool {
        use AggregateKind::*;
        matches!(self, StringAgg | ArrayAgg | JsonAgg | JsonbAgg | JsonObjectAgg | JsonbObjectAgg)
    }

    /// Rows whose first argument is NULL count for something.
    pub fn takes_nulls(self) -> bool {
        use AggregateKind::*;
        matches!(self, CountRows | Single | ArrayAgg | JsonAgg | JsonbAgg | JsonObjectAgg | JsonbObjectAgg)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SortKey {
    pub expr: Expr,
    pub kind: ColumnType,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowCall {
    pub kind: WindowKind,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    pub partition: Vec<Expr>,
    pub order: Vec<SortKey>,
    pub frame: Frame,
    /// Type of the first argument, where there is one.
    pub input: Option<ColumnType>,
    pub output: ColumnType,
}

/// Window functions (`src/backend/utils/adt/windowfuncs.c`), and aggregates over a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowKind {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    /// The number of buckets is the same for all rows.
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    Aggregate(AggregateKind),
}

impl WindowKind {
    /// Numbers rows by their place in the order alone.
    pub fn is_ranking(self) -> bool {
        matches!(self, WindowKind::RowNumber | WindowKind::Rank | WindowKind::DenseRank)
    }
}

/// Which rows of the partition a row's function sees (`frameOptions` of `WindowClause`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    pub mode: FrameMode,
    pub start: Bound,
    pub end: Bound,
    pub exclusion: Exclusion,
}

impl Default for Frame {
    /// `RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`.
    fn default() -> Frame {
        Frame { mode: FrameMode::Range, start: Bound::Unbounded, end: Bound::CurrentRow, exclusion: Exclusion::None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameMode {
    Rows,
    Range,
    Groups,
}

/// One end of a frame; offsets are expressions without columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// To the partition's start as a frame's start, to its end as a frame's end.
    Unbounded,
    CurrentRow,
    Preceding(Expr),
    Following(Expr),
}

impl Bound {
    pub fn offset(&self) -> Option<&Expr> {
        match self {
            Bound::Unbounded | Bound::CurrentRow => None,
            Bound::Preceding(offset) | Bound::Following(offset) => Some(offset),
        }
    }

    pub fn offset_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Bound::Unbounded | Bound::CurrentRow => None,
            Bound::Preceding(offset) | Bound::Following(offset) => Some(offset),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exclusion {
    None,
    CurrentRow,
    Group,
    Ties,
}

impl WindowCall {
    /// A function without arguments and with the default frame.
    pub fn plain(kind: WindowKind, partition: Vec<Expr>, order: Vec<SortKey>, output: ColumnType) -> WindowCall {
        let (args, filter, frame, input) = (vec![], None, Frame::default(), None);
        WindowCall { kind, args, filter, partition, order, frame, input, output }
    }

    /// Everything that is evaluated over a row, or once for all.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let offsets = self.frame.start.offset().into_iter().chain(self.frame.end.offset());
        let keys = self.order.iter().map(|key| &key.expr);
        self.args.iter().chain(&self.filter).chain(&self.partition).chain(keys).chain(offsets)
    }

    /// A copy with every expression replaced by what `f` makes of it.
    pub fn map(&self, mut f: impl FnMut(&Expr) -> Expr) -> WindowCall {
        let mut call = self.clone();
        call.exprs_mut(&mut |expr| *expr = f(expr));
        call
    }

    fn exprs_mut(&mut self, f: &mut impl FnMut(&mut Expr)) {
        self.args.iter_mut().chain(&mut self.filter).chain(&mut self.partition).for_each(&mut *f);
        self.order.iter_mut().for_each(|key| f(&mut key.expr));
        self.frame.start.offset_mut().into_iter().chain(self.frame.end.offset_mut()).for_each(f);
    }
}

impl Plan {
    /// Relations this plan reads, each once, in order of first appearance.
    pub fn relations(&self) -> Vec<RelationId> {
        let mut found = Vec::new();
        self.visit(&mut |plan| {
            if let Node::Scan { relation, .. } = &plan.node
                && !found.contains(relation)
            {
                found.push(*relation);
            }
        });
        found
    }

    /// Calls `f` on this plan and every plan below it, parents first.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Plan)) {
        f(self);
        for input in self.inputs() {
            input.visit(f);
        }
    }

    /// Calls `f` on every expression of this node (not of its inputs), whole.
    pub fn own_exprs_mut(&mut self, f: &mut impl FnMut(&mut Expr)) {
        match &mut self.node {
            Node::Scan { .. }
            | Node::Distinct { .. }
            | Node::UnionAll { .. }
            | Node::Repeat { .. }
            | Node::Fence { .. } => {}
            Node::Values { rows } => rows.iter_mut().flatten().for_each(f),
            Node::ProjectSet(set) => set.calls.exprs_mut().for_each(f),
            Node::Filter { predicate, .. } => f(predicate),
            Node::Project { exprs, .. } => exprs.iter_mut().for_each(f),
            Node::Join(join) => {
                for (left, right) in &mut join.equal {
                    f(left);
                    f(right);
                }
                join.residual.iter_mut().for_each(f);
            }
            Node::Aggregate { keys, aggregates, .. } => {
                keys.iter_mut().for_each(&mut *f);
                aggregates.iter_mut().for_each(|call| call.exprs_mut(f));
            }
            Node::Window { functions, .. } => {
                functions.iter_mut().for_each(|function| function.exprs_mut(f));
            }
            Node::Sort { keys, limit, offset, .. } => {
                keys.iter_mut().for_each(|key| f(&mut key.expr));
                limit.iter_mut().chain(offset).for_each(f);
            }
        }
    }

    /// Calls `f` on every expression of this plan and the plans below it, whole.
    pub fn exprs_mut(&mut self, f: &mut impl FnMut(&mut Expr)) {
        self.own_exprs_mut(f);
        self.inputs_mut().into_iter().for_each(|input| input.exprs_mut(f));
    }

    /// The direct inputs, left to right.
    pub fn inputs_mut(&mut self) -> Vec<&mut Plan> {
        match &mut self.node {
            Node::Scan { .. } | Node::Values { .. } => vec![],
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Distinct { input }
            | Node::Repeat { input }
            | Node::Fence { input }
            | Node::Window { input, .. }
            | Node::Sort { input, .. } => vec![input],
            Node::Join(join) => vec![&mut join.left, &mut join.right],
            Node::ProjectSet(set) => vec![&mut set.input],
            Node::UnionAll { inputs } => inputs.iter_mut().collect(),
        }
    }

    /// The direct inputs, left to right.
    pub fn inputs(&self) -> Vec<&Plan> {
        match &self.node {
            Node::Scan { .. } | Node::Values { .. } => vec![],
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Distinct { input }
            | Node::Repeat { input }
            | Node::Fence { input }
            | Node::Window { input, .. }
            | Node::Sort { input, .. } => vec![input],
            Node::Join(join) => vec![&join.left, &join.right],
            Node::ProjectSet(set) => vec![&set.input],
            Node::UnionAll { inputs } => inputs.iter().collect(),
        }
    }
}

/// The functions and settings a plan uses, for the catalog row and for the rule of who may be answered.
#[derive(Clone, Debug, Default)]
pub struct PlanUses {
    pub functions: Vec<&'static Function>,
    pub settings: SettingSet,
    /// Users' functions whose bodies stand in the plan (`pg_proc.oid`): whoever reads it must be allowed to execute them.
    pub bodies: Vec<u32>,
}
