//! docs/SQL.md says what is installed, and nothing else.

use crate::rig::{Rig, run};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/SQL.md");

#[test]
fn the_page_lists_what_is_installed() {
    run(async {
        let rig = Rig::start().await;
        let sql = "SELECT proname::text, pg_get_function_arguments(oid), pg_get_function_result(oid) FROM pg_proc \
                   WHERE pronamespace = 'pgtrickle'::regnamespace ORDER BY proname";
        let installed = rig.client.query(sql, &[]).await.expect("the catalogue");
        let (listed, internal) = PAGE.split_once("## Internal").expect("the page ends with the internal functions");
        let mut names = BTreeSet::new();
        for row in &installed {
            let (name, arguments, result): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let is_internal = internal.contains(&format!("`{name}`"));
            let line = format!("| `{name}({arguments})` | `{result}` |");
            assert!(is_internal || listed.contains(&line), "docs/SQL.md lacks: {line}");
            names.insert(name);
        }
        let (functions, _) = listed.split_once("## Tables").expect("functions come first");
        let mentioned =
            functions.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('(')).map(|(name, _)| name);
        for name in mentioned.chain(internal.split('`').skip(1).step_by(2)) {
            assert!(names.contains(name), "docs/SQL.md lists {name}, which is not installed");
        }
        let relations = "SELECT relname::text FROM pg_class WHERE relnamespace = 'pgtrickle'::regnamespace AND relkind IN ('r', 'v')";
        for row in rig.client.query(relations, &[]).await.expect("the catalogue") {
            let name: String = row.get(0);
            assert!(name.starts_with("weir_") || listed.contains(&format!("`{name}`")), "docs/SQL.md lacks {name}");
        }
    });
}
