//! A typed view of Postgres' analysed `Query` (`src/include/nodes/parsenodes.h`): clauses, range table, targets.
//! Scalar expressions stay tree nodes; [`crate::lower`] reads them. Differences between server majors that are not
//! already absorbed by access through field names are resolved here and nowhere else.

mod from;
mod grouping;
mod modifier;
mod range;
mod read;

pub use from::{FromItem, JoinType};
pub use grouping::{GroupingSet, expand as expand_grouping_sets};
pub use modifier::modifiers_may_change;
pub use range::{RangeEntry, RangeKind};
pub use read::statement;

use crate::tree::Node;

/// One SELECT (or VALUES, or set operation) at one level.
#[derive(Debug)]
pub struct Query<'t> {
    pub targets: Vec<Target<'t>>,
    /// The range table; `varno` counts from 1.
    pub range: Vec<RangeEntry<'t>>,
    pub from: Vec<FromItem<'t>>,
    /// WHERE.
    pub quals: Option<&'t Node>,
    pub group: Vec<SortGroup>,
    /// Items of GROUP BY when it holds GROUPING SETS, ROLLUP or CUBE.
    pub grouping_sets: Vec<GroupingSet>,
    /// GROUP BY DISTINCT.
    pub group_distinct: bool,
    pub having: Option<&'t Node>,
    pub windows: Vec<WindowClause<'t>>,
    pub distinct: Vec<SortGroup>,
    /// DISTINCT ON: `distinct` are its expressions.
    pub distinct_on: bool,
    pub sort: Vec<SortGroup>,
    pub limit: Option<&'t Node>,
    /// FETCH FIRST … WITH TIES.
    pub with_ties: bool,
    pub offset: Option<&'t Node>,
    /// Root of the tree of UNION, INTERSECT, EXCEPT, if this is one.
    pub set_operation: Option<&'t Node>,
    pub ctes: Vec<Cte<'t>>,
    /// Aggregates, GROUP BY or HAVING: one output row per group.
    pub has_aggregates: bool,
    pub has_windows: bool,
    /// Set-returning functions in the select list.
    pub has_target_sets: bool,
    /// Set where the query uses a clause that no plan node stands for; in SQL words.
    pub unsupported: Option<&'static str>,
}

#[derive(Debug)]
pub struct Target<'t> {
    pub expr: &'t Node,
    pub name: Option<&'t str>,
    /// What [`SortGroup::target`] refers to; 0 for none.
    pub reference: usize,
    /// Computed for sorting or grouping only, not part of the result.
    pub junk: bool,
}

/// An item of GROUP BY, ORDER BY, DISTINCT or of a window's clauses.
#[derive(Clone, Copy, Debug)]
pub struct SortGroup {
    pub target: usize,
    pub equal_operator: u32,
    /// 0 when the type has no order.
    pub sort_operator: u32,
    pub nulls_first: bool,
}

#[derive(Debug)]
pub struct WindowClause<'t> {
    pub reference: usize,
    pub partition: Vec<SortGroup>,
    pub order: Vec<SortGroup>,
    pub node: &'t Node,
}

#[derive(Debug)]
pub struct Cte<'t> {
    pub name: &'t str,
    pub query: &'t Node,
    pub recursive: bool,
    /// Postgres evaluates it by itself, and does not merge it with the query that names it.
    pub is_apart: bool,
}

impl<'t> Query<'t> {
    /// The target a sort or group item refers to.
    pub fn target(&self, reference: usize) -> Option<&Target<'t>> {
        self.targets.iter().find(|target| target.reference == reference && reference != 0)
    }
}
