//! Node labels that changed between majors: a tree has the newer ones, whoever stored it.

/// Labels of Postgres 14 and what 15 made of them (`outfuncs.c`: the name of the node's structure).
const BEFORE_15: [(&str, &str); 9] = [
    ("RTE", "RANGETBLENTRY"),
    ("CASE", "CASEEXPR"),
    ("WHEN", "CASEWHEN"),
    ("COALESCE", "COALESCEEXPR"),
    ("MINMAX", "MINMAXEXPR"),
    ("ARRAY", "ARRAYEXPR"),
    ("ROW", "ROWEXPR"),
    ("ROWCOMPARE", "ROWCOMPAREEXPR"),
    ("COLLATE", "COLLATEEXPR"),
];

/// The label under which this node is known from 15 on.
pub(super) fn current(label: String) -> String {
    match BEFORE_15.iter().find(|(old, _)| *old == label) {
        Some((_, new)) => (*new).to_owned(),
        None => label,
    }
}
