//! The lists of docs/COMPAT.md that come from the registry are what the registry holds. `WEIR_WRITE_COMPAT=1` writes them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use weir_planner::functions::{Function, all, all_sets};
use weir_planner::lower::{has_equality, has_order};
use weir_planner::types::oid;
use weir_planner::value::array_type;

const BEGIN: &str = "<!-- from the registry: planner/tests/compat.rs -->";
const END: &str = "<!-- end -->";

/// What goes for all types that the table does not name.
const PASSED_ON: &str = "A column of any other type, and of any type marked no, is passed on as it is, in binary to clients that ask \
    for that. As text are shown: json, jsonpath, xml (without a declaration), refcursor, xid, cid, xid8, tid, pg_lsn, bit, bit \
    varying, \"char\", point, line, lseg, box, path, polygon, circle, tsvector and the built-in multiranges. A read that shows \
    another one (money, tsquery, a composite type) as text is forwarded.";

/// Types by their name in SQL.
const TYPES: &[(&str, u32)] = &[
    ("boolean", oid::BOOL),
    ("smallint", oid::INT2),
    ("integer", oid::INT4),
    ("bigint", oid::INT8),
    ("real", oid::FLOAT4),
    ("double precision", oid::FLOAT8),
    ("numeric", oid::NUMERIC),
    ("text", oid::TEXT),
    ("character varying", oid::VARCHAR),
    ("character", oid::BPCHAR),
    ("name", oid::NAME),
    ("bytea", oid::BYTEA),
    ("date", oid::DATE),
    ("time", oid::TIME),
    ("timestamp", oid::TIMESTAMP),
    ("timestamptz", oid::TIMESTAMPTZ),
    ("interval", oid::INTERVAL),
    ("uuid", oid::UUID),
    ("oid", oid::OID),
    ("json", 114),
    ("jsonb", 3802),
    ("inet", oid::INET),
    ("cidr", oid::CIDR),
    ("money", 790),
    ("int4range", oid::INT4RANGE),
    ("int8range", oid::INT8RANGE),
    ("numrange", oid::NUMRANGE),
    ("daterange", oid::DATERANGE),
    ("tsrange", oid::TSRANGE),
    ("tstzrange", oid::TSTZRANGE),
    ("multiranges", 4451),
    ("arrays of those", 1007),
    ("timetz", oid::TIMETZ),
    ("macaddr", oid::MACADDR),
    ("macaddr8", oid::MACADDR8),
];

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

fn symbols(functions: impl Iterator<Item = &'static Function>) -> String {
    let sorted: BTreeSet<String> = functions.map(|function| format!("`{}`", function.symbol)).collect();
    sorted.into_iter().collect::<Vec<_>>().join(", ")
}

fn lists() -> String {
    let mut lines = vec![
        BEGIN.to_owned(),
        String::new(),
        "| type | grouped, joined and compared by equality | ordered | in arrays |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for (name, oid) in TYPES {
        let (equality, order, array) = (has_equality(*oid), has_order(*oid), array_type(*oid).is_some());
        lines.push(format!("| {name} | {} | {} | {} |", yes(equality), yes(order), yes(array)));
    }
    lines.push(String::new());
    lines.push(PASSED_ON.to_owned());
    lines.push(String::new());
    lines.push(format!("Functions that return one value ({}): {}.", all().count(), symbols(all())));
    lines.push(String::new());
    lines.push(format!("Functions that return sets ({}): {}.", all_sets().count(), symbols(all_sets())));
    lines.push(String::new());
    lines.push(END.to_owned());
    lines.join("\n")
}

#[test]
fn the_lists_are_those_of_the_registry() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COMPAT.md"));
    let text = std::fs::read_to_string(&path).expect("docs/COMPAT.md is read");
    let (before, rest) = text.split_once(BEGIN).expect("docs/COMPAT.md marks where the lists begin");
    let (written, after) = rest.split_once(END).expect("docs/COMPAT.md marks where the lists end");
    let lists = lists();
    if std::env::var("WEIR_WRITE_COMPAT").is_ok() {
        std::fs::write(&path, format!("{before}{lists}{after}")).expect("docs/COMPAT.md is written");
        return;
    }
    assert!(
        format!("{BEGIN}{written}{END}") == lists,
        "docs/COMPAT.md is stale: WEIR_WRITE_COMPAT=1 cargo test -p weir-planner --test compat writes it"
    );
}
