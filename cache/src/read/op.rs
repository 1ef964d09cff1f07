//! The physical plan of a read: few operators, expressions folded into them, columns resolved to stored rows.
//!
//! Every operator yields tuples: one slice, or for joins two slices side by side without copying. What a logical plan
//! calls a column is an expression over such a tuple ([`Lazy::outputs`]), evaluated only where a value is needed.

use super::comparison::Comparison;
use super::proof::Proof;
use weir_planner::plan::{AggregateCall, JoinKind, SetCalls, SortKey, WindowCall};
use weir_planner::{Expr, RelationId};

/// An operator with the logical columns it stands for, as expressions over its tuples.
#[derive(Debug)]
pub(super) struct Lazy {
    pub(super) op: Op,
    pub(super) outputs: Vec<Expr>,
}

#[derive(Debug)]
pub(super) enum Op {
    Scan(Scan),
    Values(Vec<Vec<Expr>>),
    Filter {
        input: Box<Op>,
        predicate: Expr,
    },
    /// Materialises expressions over the input's tuple as one slice.
    Project {
        input: Box<Op>,
        exprs: Vec<Expr>,
        /// For every tuple, whatever conditions above say.
        is_whole: bool,
    },
    Join(Box<Join>),
    Aggregate {
        input: Box<Op>,
        keys: Vec<Expr>,
        aggregates: Vec<AggregateCall>,
    },
    /// The input yields single slices.
    Distinct {
        input: Box<Op>,
        width: usize,
    },
    /// The input yields single slices; function values follow its columns.
    Window {
        input: Box<Op>,
        width: usize,
        functions: Vec<WindowCall>,
    },
    Sort(Box<Sort>),
    /// The inputs yield single slices.
    Union(Vec<Op>),
    /// The input yields single slices of `width`; what the functions give for each follows it.
    ProjectSet {
        input: Box<Op>,
        width: usize,
        calls: SetCalls,
    },
    /// The input yields single slices, the last column of which is how often the row occurs.
    Repeat {
        input: Box<Op>,
        width: usize,
    },
}

/// Stored rows of a relation that pass all filters.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) relation: RelationId,
    /// Stored columns that may be looked at: tuples are cut to this width.
    pub(super) width: usize,
    /// Conjuncts over the stored row, in the order in which a row is asked them.
    pub(super) filters: Vec<Expr>,
    /// Those of them that an index can answer.
    pub(super) comparisons: Vec<Comparison>,
    /// The first so many of `comparisons` come before any filter that may fail: an index that answers these passes over rows
    /// that would not be asked it.
    pub(super) always: usize,
    /// The filters that may fail.
    pub(super) doubts: Proof,
}

impl Scan {
    pub(super) fn new(relation: RelationId, width: usize) -> Scan {
        let (filters, comparisons) = (Vec::new(), Vec::new());
        Scan { relation, width, filters, comparisons, always: 0, doubts: Proof::of([]) }
    }
}

/// Yields pairs (left slice, right slice), or left slices for Semi and Anti. Both inputs yield single slices.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) kind: JoinKind,
    pub(super) left: Op,
    pub(super) left_width: usize,
    pub(super) right: Op,
    pub(super) right_width: usize,
    pub(super) left_keys: Vec<Expr>,
    pub(super) right_keys: Vec<Expr>,
    /// Over the pair.
    pub(super) residual: Option<Expr>,
}

/// The first rows of the input in an order; yields the input's tuples as single slices of `outputs`.
#[derive(Debug)]
pub(super) struct Sort {
    pub(super) input: Op,
    /// Over the input's tuple.
    pub(super) keys: Vec<SortKey>,
    pub(super) outputs: Vec<Expr>,
    pub(super) limit: Option<Expr>,
    pub(super) offset: Option<Expr>,
    /// Of a scan: `outputs` that Postgres computes for rows beyond the limit, too, and that may fail.
    pub(super) unseen: Proof,
}
