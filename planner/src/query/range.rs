//! Range table entries.

use crate::tree::{AccessError, Node, Tree};

#[derive(Debug)]
pub struct RangeEntry<'t> {
    /// Alias or name as the query knows it, for messages.
    pub name: &'t str,
    /// What its columns are called there; of a relation also those that are dropped, by an empty name.
    pub columns: &'t [Tree],
    pub kind: RangeKind<'t>,
    pub lateral: bool,
}

#[derive(Debug)]
pub enum RangeKind<'t> {
    Relation {
        oid: u32,
        /// False for `FROM ONLY t`.
        with_children: bool,
        sampled: bool,
    },
    Subquery(&'t Node),
    /// Columns of a join are expressions over its inputs (`joinaliasvars`); null for a dropped column.
    Join {
        columns: &'t [Tree],
    },
    /// Set-returning functions side by side: their calls, and how many columns each has.
    Functions {
        calls: Vec<(&'t Node, usize)>,
        ordinality: bool,
    },
    Values {
        rows: &'t [Tree],
    },
    Cte {
        name: &'t str,
        levels_up: usize,
        recursive: bool,
    },
    /// From 18 on grouped expressions are columns of an entry of their own (`RTE_GROUP`).
    Group {
        columns: &'t [Tree],
    },
    /// Known to Postgres, not to us; in SQL words.
    Other(&'static str),
}

impl<'t> RangeEntry<'t> {
    pub fn read(node: &'t Node) -> Result<RangeEntry<'t>, AccessError> {
        // RTEKind of src/include/nodes/parsenodes.h, 15 to 18.
        let kind = match node.int("rtekind")? {
            0 => RangeKind::Relation {
                oid: node.oid("relid")?,
                with_children: node.bool("inh")?,
                sampled: node.optional("tablesample")?.is_some(),
            },
            1 => RangeKind::Subquery(node.child("subquery")?),
            2 => RangeKind::Join { columns: node.list("joinaliasvars")? },
            3 => {
                let functions = node.nodes("functions")?;
                let call = |function: &'t Node| Ok((function.child("funcexpr")?, function.index("funccolcount")?));
                RangeKind::Functions {
                    calls: functions.into_iter().map(call).collect::<Result<_, AccessError>>()?,
                    ordinality: node.bool("funcordinality")?,
                }
            }
            4 => RangeKind::Other("XMLTABLE or JSON_TABLE"),
            5 => RangeKind::Values { rows: node.list("values_lists")? },
            6 => RangeKind::Cte {
                name: node.word("ctename")?.unwrap_or(""),
                levels_up: node.index("ctelevelsup")?,
                recursive: node.bool("self_reference")?,
            },
            7 => RangeKind::Other("transition table"),
            9 => RangeKind::Group { columns: node.list("groupexprs")? },
            _ => RangeKind::Other("unknown range table entry"),
        };
        let alias = node.optional("eref")?;
        let name = alias.map(|alias| alias.word("aliasname")).transpose()?.flatten().unwrap_or("");
        let columns = alias.map(|alias| alias.list("colnames")).transpose()?.unwrap_or_default();
        Ok(RangeEntry { name, columns, kind, lateral: node.bool("lateral")? })
    }
}
