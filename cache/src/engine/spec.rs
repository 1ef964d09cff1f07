//! What makes two nodes the same: their operator's parameters, their inputs and the settings they evaluate under.

use super::graph::NodeId;
use super::star::StarSpec;
use super::window::Numbering;
use crate::key::KeySpec;
use weir_planner::Expr;
use weir_planner::plan::{AggregateCall, SetCalls, SortKey, WindowCall};
use weir_planner::settings::Settings;
use weir_planner::temporal::TimeBound;

/// Identity of a node for sharing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeSpec {
    pub operator: OperatorSpec,
    pub inputs: Vec<NodeId>,
    pub settings: Settings,
}

/// An operator's parameters. Expressions are over the input nodes' rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OperatorSpec {
    Values {
        rows: Vec<Vec<Expr>>,
        width: usize,
    },
    Filter(Expr),
    /// All rows; those with an error in one of these columns are counted.
    Raised(Vec<usize>),
    /// With a width: all rows, cut to it, and whether each passes beside them.
    Temporal {
        bound: TimeBound,
        mark: Option<usize>,
    },
    Map(Vec<Expr>),
    Union,
    Join(JoinSpec),
    Star(StarSpec),
    Aggregate {
        keys: KeySpec,
        calls: Vec<AggregateCall>,
        many_images: bool,
    },
    Distinct {
        width: usize,
        many_images: bool,
    },
    Repeat {
        width: usize,
    },
    ProjectSet {
        calls: SetCalls,
        width: usize,
    },
    TopK {
        order: OrderSpec,
        offset: u64,
        limit: u64,
    },
    Frames {
        partition: KeySpec,
        order: OrderSpec,
        calls: Vec<WindowCall>,
        read: Vec<usize>,
        width: usize,
    },
    Window(Numbering),
}

/// Joins that remain after RIGHT has become LEFT with its sides swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Matching {
    Inner,
    Left,
    Full,
    Semi,
    Anti,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct JoinSpec {
    pub matching: Matching,
    pub left_key: KeySpec,
    pub right_key: KeySpec,
    /// Over the left row, then the right row.
    pub residual: Option<Expr>,
    /// Output columns, over the left row then the right row; empty and unused for semi and anti joins.
    pub output: Vec<Expr>,
    pub left_width: usize,
    pub right_width: usize,
}

/// An order over columns of a row; expressions have been projected to columns before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OrderSpec {
    pub columns: Vec<OrderColumn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OrderColumn {
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

impl OrderColumn {
    pub fn new(column: usize, key: &SortKey) -> OrderColumn {
        OrderColumn { column, descending: key.descending, nulls_first: key.nulls_first }
    }
}
