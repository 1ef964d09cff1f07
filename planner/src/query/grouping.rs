//! GROUPING SETS, ROLLUP and CUBE.

use crate::tree::{AccessError, Node};

/// `GroupingSetKind` of `src/include/nodes/parsenodes.h`. Numbers are [`super::Target::reference`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupingSet {
    Empty,
    Simple(Vec<usize>),
    Rollup(Vec<GroupingSet>),
    Cube(Vec<GroupingSet>),
    Sets(Vec<GroupingSet>),
}

impl GroupingSet {
    pub fn read(node: &Node) -> Result<GroupingSet, AccessError> {
        let nested = || node.nodes("content")?.into_iter().map(GroupingSet::read).collect::<Result<Vec<_>, _>>();
        Ok(match node.int("kind")? {
            0 => GroupingSet::Empty,
            1 => {
                GroupingSet::Simple(node.numbers("content")?.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect())
            }
            2 => GroupingSet::Rollup(nested()?),
            3 => GroupingSet::Cube(nested()?),
            4 => GroupingSet::Sets(nested()?),
            _ => {
                return Err(AccessError {
                    label: node.label.clone(),
                    field: "kind".into(),
                    problem: "unknown kind of grouping set",
                });
            }
        })
    }

    /// The grouping sets this stands for, each as references in the order written (`expand_groupingset_node` of
    /// parse_agg.c). None for more than `most`.
    fn expand(&self, most: usize) -> Option<Vec<Vec<usize>>> {
        let sets = match self {
            GroupingSet::Empty => vec![vec![]],
            GroupingSet::Simple(references) => vec![references.clone()],
            GroupingSet::Rollup(items) => {
                let items = simple(items)?;
                (0..=items.len()).rev().map(|length| items[..length].concat()).collect()
            }
            GroupingSet::Cube(items) => {
                let items = simple(items)?;
                if items.len() > most.ilog2() as usize {
                    return None;
                }
                let subset = |mask: usize| {
                    let chosen = items.iter().enumerate().filter(move |(at, _)| mask & (1 << at) != 0);
                    chosen.flat_map(|(_, item)| item.iter().copied()).collect()
                };
                (0..1usize << items.len()).map(subset).collect()
            }
            GroupingSet::Sets(items) => {
                let mut all = Vec::new();
                for item in items {
                    all.extend(item.expand(most)?);
                }
                all
            }
        };
        (sets.len() <= most).then_some(sets)
    }
}

fn simple(items: &[GroupingSet]) -> Option<Vec<Vec<usize>>> {
    items
        .iter()
        .map(|item| match item {
            GroupingSet::Simple(references) => Some(references.clone()),
            _ => None,
        })
        .collect()
}

/// All grouping sets of a GROUP BY: every combination of one of each item. A column twice in one set counts once. None
/// for more than `most`.
pub fn expand(items: &[GroupingSet], distinct: bool, most: usize) -> Option<Vec<Vec<usize>>> {
    let mut sets: Vec<Vec<usize>> = vec![vec![]];
    for item in items {
        let own = item.expand(most)?;
        if sets.len().saturating_mul(own.len()) > most {
            return None;
        }
        sets = sets.iter().flat_map(|set| own.iter().map(move |more| [set.as_slice(), more].concat())).collect();
    }
    for set in &mut sets {
        set.sort_unstable();
        set.dedup();
    }
    if distinct {
        sets.sort();
        sets.dedup();
    }
    Some(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion() {
        let one = |n| GroupingSet::Simple(vec![n]);
        let rollup = GroupingSet::Rollup(vec![one(1), one(2)]);
        assert_eq!(expand(std::slice::from_ref(&rollup), false, 64), Some(vec![vec![1, 2], vec![1], vec![]]));
        let cube = GroupingSet::Cube(vec![one(1), one(2)]);
        assert_eq!(expand(&[cube], false, 64).map(|sets| sets.len()), Some(4));
        let product = [one(3), GroupingSet::Sets(vec![rollup, GroupingSet::Empty])];
        let expected = vec![vec![1, 2, 3], vec![1, 3], vec![3], vec![3]];
        assert_eq!(expand(&product, false, 64), Some(expected.clone()));
        assert_eq!(expand(&product, true, 64).map(|sets| sets.len()), Some(3));
        assert_eq!(expand(&product, false, 3), None);
    }
}
