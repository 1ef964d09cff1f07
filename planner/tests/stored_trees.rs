//! Trees as Postgres 15 and 18 stored them for the same views: the majors' differences vanish in the plan, and no
//! damage to a tree is more than an error.

use std::collections::HashMap;
use weir_planner::catalog::*;
use weir_planner::lower::{LowerError, lower_view};

/// `SELECT country, count(*) AS n FROM users WHERE name <> 'x' GROUP BY country HAVING count(*) > 1
/// ORDER BY n DESC, country LIMIT 5`: on 15 with OLD and NEW in the range table, on 18 with a `*GROUP*` entry.
const GROUPED: [(&str, u32); 2] =
    [(include_str!("trees/grouped_15.tree"), 16389), (include_str!("trees/grouped_18.tree"), 16385)];

/// A FULL JOIN with a WITH query, both forms of CASE, casts, IS DISTINCT FROM, constants of several types.
const JOINED: &str = include_str!("trees/joined_15.tree");

fn function(name: &str, prosrc: &str, kind: char) -> FunctionEntry {
    FunctionEntry {
        schema: "pg_catalog".into(),
        name: name.into(),
        language: "internal".into(),
        prosrc: prosrc.into(),
        argument_types: vec![],
        return_type: 0,
        strict: kind == 'f',
        returns_set: false,
        volatility: 'i',
        kind,
        shielded: false,
        cost: 2,
        columns: vec![],
        body: None,
    }
}

fn operator(name: &str, function: u32) -> OperatorEntry {
    OperatorEntry {
        name: name.into(),
        function,
        left_type: 0,
        right_type: 0,
        commutator: 0,
        negator: 0,
        is_equality: false,
    }
}

/// What these trees name, under the OIDs of `pg_proc.dat` and `pg_operator.dat`; `users` under its own.
fn catalog(users: u32) -> Catalog {
    let column = |number, name: &str, type_oid, collation, not_null| ColumnEntry {
        name: name.into(),
        number,
        type_oid,
        value_oid: type_oid,
        typmod: -1,
        collation,
        not_null,
        generated: ' ',
    };
    let entry = RelationEntry {
        schema: "public".into(),
        name: "users".into(),
        kind: RelationKind::Table,
        columns: vec![
            column(1, "id", 20, 0, true),
            column(2, "name", 25, 100, true),
            column(3, "country", 25, 100, true),
        ],
        unique_keys: vec![vec![0]],
        generated: vec![],
    };
    Catalog {
        functions: HashMap::from([
            (2803, function("count", "aggregate_dummy", 'a')),
            (157, function("textne", "textne", 'f')),
            (477, function("int84gt", "int84gt", 'f')),
            (481, function("int8", "int48", 'f')),
            (470, function("int8gt", "int8gt", 'f')),
            (740, function("text_lt", "text_lt", 'f')),
            (467, function("int8eq", "int8eq", 'f')),
            (474, function("int84eq", "int84eq", 'f')),
            (482, function("float8", "i8tod", 'f')),
        ]),
        operators: HashMap::from([(413, operator(">", 470)), (664, operator("<", 740)), (412, operator("<", 469))]),
        relations: HashMap::from([(users, entry)]),
        default_collation_is_bytewise: true,
        ..Catalog::default()
    }
}

#[test]
fn the_same_view_gives_the_same_plan_on_15_and_18() {
    let expected = "
Sort (#1 desc, #0) limit 5
  Filter int84gt(#1, 1)
    Aggregate by (#1): CountRows()
      Filter textne(#0, 'x')
        Scan users [1 2]
";
    for (tree, users) in GROUPED {
        let lowered = lower_view(tree.trim(), &catalog(users)).expect("the tree is lowered");
        let text = lowered.plan.to_text(&|_| "users".into());
        assert_eq!(text.trim(), expected.trim(), "\n{text}");
        let names: Vec<&str> = lowered.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["country", "n"]);
    }
}

/// Deterministic damage: at every 7th place one character is dropped, doubled, or replaced by another of the format's.
#[test]
fn a_damaged_tree_is_an_error_or_another_plan_never_a_panic() {
    let mut outcomes = [0usize; 3];
    for (tree, users) in GROUPED.into_iter().chain([(JOINED, 16389)]) {
        let catalog = catalog(users);
        let tree = tree.trim();
        for at in (0..tree.len()).step_by(7).filter(|at| tree.is_char_boundary(*at) && tree.is_char_boundary(at + 1)) {
            let (before, here, after) = (&tree[..at], &tree[at..at + 1], &tree[at + 1..]);
            for damage in ["", &here.repeat(2), "0", "9", "-", "(", "}", " "] {
                match lower_view(&format!("{before}{damage}{after}"), &catalog) {
                    Ok(_) => outcomes[0] += 1,
                    Err(LowerError::Parse(_)) => outcomes[1] += 1,
                    Err(_) => outcomes[2] += 1,
                }
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 100), "every outcome is met: {outcomes:?}");
}
