//! The FROM clause as a tree of joins over range table entries.

use crate::tree::{AccessError, Node, Tree};

#[derive(Debug)]
pub enum FromItem<'t> {
    /// Index into the range table, from 1.
    Range(usize),
    Join {
        kind: JoinType,
        left: Box<FromItem<'t>>,
        right: Box<FromItem<'t>>,
        /// ON, also what USING and NATURAL became; None for CROSS JOIN.
        quals: Option<&'t Node>,
    },
}

/// `JoinType` of `src/include/nodes/nodes.h`, as far as SQL can write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinType {
    Inner,
    Left,
    Full,
    Right,
}

impl<'t> FromItem<'t> {
    pub fn read(item: &'t Tree) -> Result<FromItem<'t>, AccessError> {
        let unknown = |label: &str, problem| AccessError { label: label.into(), field: "fromlist".into(), problem };
        let node = item.as_node().ok_or_else(|| unknown("FROMEXPR", "holds something else"))?;
        match node.label.as_str() {
            "RANGETBLREF" => Ok(FromItem::Range(node.index("rtindex")?)),
            "JOINEXPR" => Ok(FromItem::Join {
                kind: match node.int("jointype")? {
                    0 => JoinType::Inner,
                    1 => JoinType::Left,
                    2 => JoinType::Full,
                    3 => JoinType::Right,
                    _ => return Err(unknown("JOINEXPR", "unknown join type")),
                },
                left: Box::new(FromItem::read(node.field("larg")?)?),
                right: Box::new(FromItem::read(node.field("rarg")?)?),
                quals: node.optional("quals")?,
            }),
            label => Err(unknown(label, "unknown item")),
        }
    }
}
