//! Reading a `QUERY` node.

use super::{Cte, FromItem, GroupingSet, Query, RangeEntry, SortGroup, Target, WindowClause};
use crate::tree::{AccessError, Node, Tree};

/// `CMD_SELECT`.
const SELECT: i64 = 1;

/// `LIMIT_OPTION_WITH_TIES`.
const WITH_TIES: i64 = 1;

/// The one statement of a stored rule action or SQL function body, which is a list (of a list) of queries.
/// None when there is not exactly one.
pub fn statement(tree: &Tree) -> Option<&Node> {
    match tree {
        Tree::Node(node) if node.label == "QUERY" => Some(node),
        Tree::List(items) => match items.as_slice() {
            [single] => statement(single),
            _ => None,
        },
        _ => None,
    }
}

impl<'t> Query<'t> {
    pub fn read(node: &'t Node) -> Result<Query<'t>, AccessError> {
        if node.label != "QUERY" {
            return Err(AccessError { label: node.label.clone(), field: "QUERY".into(), problem: "not a query" });
        }
        let jointree = node.child("jointree")?;
        let group = sort_groups(node, "groupClause")?;
        let having = node.optional("havingQual")?;
        let sets = node.nodes("groupingSets")?.into_iter().map(GroupingSet::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Query {
            targets: node.nodes("targetList")?.into_iter().map(Target::read).collect::<Result<_, _>>()?,
            range: node.nodes("rtable")?.into_iter().map(RangeEntry::read).collect::<Result<_, _>>()?,
            from: jointree.list("fromlist")?.iter().map(FromItem::read).collect::<Result<_, _>>()?,
            quals: jointree.optional("quals")?,
            has_aggregates: node.bool("hasAggs")? || !group.is_empty() || !sets.is_empty() || having.is_some(),
            group,
            grouping_sets: sets,
            group_distinct: node.bool("groupDistinct")?,
            having,
            windows: node.nodes("windowClause")?.into_iter().map(WindowClause::read).collect::<Result<_, _>>()?,
            distinct: sort_groups(node, "distinctClause")?,
            distinct_on: node.bool("hasDistinctOn")?,
            sort: sort_groups(node, "sortClause")?,
            limit: node.optional("limitCount")?,
            offset: node.optional("limitOffset")?,
            with_ties: node.optional("limitCount")?.is_some() && node.int("limitOption")? == WITH_TIES,
            set_operation: node.optional("setOperations")?,
            ctes: node.nodes("cteList")?.into_iter().map(Cte::read).collect::<Result<_, _>>()?,
            has_windows: node.bool("hasWindowFuncs")?,
            has_target_sets: node.bool("hasTargetSRFs")?,
            unsupported: unsupported_clause(node)?,
        })
    }
}

fn unsupported_clause(node: &Node) -> Result<Option<&'static str>, AccessError> {
    Ok(if node.int("commandType")? != SELECT || node.optional("utilityStmt")?.is_some() {
        Some("a statement other than SELECT")
    } else if node.bool("hasModifyingCTE")? {
        Some("data-modifying WITH")
    } else if node.bool("hasRecursive")? {
        Some("WITH RECURSIVE")
    } else if !node.list("rowMarks")?.is_empty() || node.bool("hasForUpdate")? {
        Some("FOR UPDATE or FOR SHARE")
    } else if node.bool("hasRowSecurity")? {
        Some("row-level security")
    } else {
        None
    })
}

fn sort_groups(node: &Node, field: &str) -> Result<Vec<SortGroup>, AccessError> {
    node.nodes(field)?.into_iter().map(SortGroup::read).collect()
}

impl SortGroup {
    pub fn read(node: &Node) -> Result<SortGroup, AccessError> {
        Ok(SortGroup {
            target: node.index("tleSortGroupRef")?,
            equal_operator: node.oid("eqop")?,
            sort_operator: node.oid("sortop")?,
            nulls_first: node.bool("nulls_first")?,
        })
    }
}

impl<'t> Target<'t> {
    fn read(node: &'t Node) -> Result<Target<'t>, AccessError> {
        Ok(Target {
            expr: node.child("expr")?,
            name: node.word("resname")?,
            reference: node.index("ressortgroupref")?,
            junk: node.bool("resjunk")?,
        })
    }
}

impl<'t> WindowClause<'t> {
    fn read(node: &'t Node) -> Result<WindowClause<'t>, AccessError> {
        Ok(WindowClause {
            reference: node.index("winref")?,
            partition: sort_groups(node, "partitionClause")?,
            order: sort_groups(node, "orderClause")?,
            node,
        })
    }
}

impl<'t> Cte<'t> {
    fn read(node: &'t Node) -> Result<Cte<'t>, AccessError> {
        Ok(Cte {
            name: node.word("ctename")?.unwrap_or(""),
            query: node.child("ctequery")?,
            recursive: node.bool("cterecursive")?,
            // CTEMaterializeDefault, ‥Always, ‥Never (`SS_process_ctes`; one with volatile functions is not lowered).
            is_apart: match node.int("ctematerialized")? {
                0 => node.int("cterefcount")? > 1,
                materialized => materialized == 1,
            },
        })
    }
}
