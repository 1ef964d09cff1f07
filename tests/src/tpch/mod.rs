//! TPC-H: the eight tables with dbgen's data, the 22 queries with the specification's validation parameters as stream
//! tables, and the changes of a cycle.
//!
//! `data` fetches and loads the tables, `changes` writes the statements of RF1, RF2 and the updates; the SQL itself is in
//! `tests/tpch`.

mod changes;
mod data;

pub use changes::Changes;
pub use data::{fetch, load};

/// Every query and the name of its stream table.
pub const QUERIES: [(&str, &str); 22] = [
    ("q01", include_str!("../../tpch/q01.sql")),
    ("q02", include_str!("../../tpch/q02.sql")),
    ("q03", include_str!("../../tpch/q03.sql")),
    ("q04", include_str!("../../tpch/q04.sql")),
    ("q05", include_str!("../../tpch/q05.sql")),
    ("q06", include_str!("../../tpch/q06.sql")),
    ("q07", include_str!("../../tpch/q07.sql")),
    ("q08", include_str!("../../tpch/q08.sql")),
    ("q09", include_str!("../../tpch/q09.sql")),
    ("q10", include_str!("../../tpch/q10.sql")),
    ("q11", include_str!("../../tpch/q11.sql")),
    ("q12", include_str!("../../tpch/q12.sql")),
    ("q13", include_str!("../../tpch/q13.sql")),
    ("q14", include_str!("../../tpch/q14.sql")),
    ("q15", include_str!("../../tpch/q15.sql")),
    ("q16", include_str!("../../tpch/q16.sql")),
    ("q17", include_str!("../../tpch/q17.sql")),
    ("q18", include_str!("../../tpch/q18.sql")),
    ("q19", include_str!("../../tpch/q19.sql")),
    ("q20", include_str!("../../tpch/q20.sql")),
    ("q21", include_str!("../../tpch/q21.sql")),
    ("q22", include_str!("../../tpch/q22.sql")),
];

/// The text of a query at this scale factor: q11 asks for a fraction that depends on it.
pub fn text(query: &str, scale: Scale) -> String {
    query.replace("{fraction}", scale.fraction)
}

/// The call that makes a stream table of a query, maintained or refused.
pub fn create(name: &str, query: &str, scale: Scale) -> String {
    format!(
        "SELECT pgtrickle.create_stream_table(name => '{name}', query => $query${}$query$, schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
        text(query, scale)
    )
}

/// How much data: 1 is 1,500,000 orders with 6,000,000 line items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    pub factor: &'static str,
    /// `0.0001 / factor`, clause 2.4.11.3.
    fraction: &'static str,
}

/// 15,000 orders.
pub const HUNDREDTH: Scale = Scale { factor: "0.01", fraction: "0.01" };
/// 150,000 orders.
pub const TENTH: Scale = Scale { factor: "0.1", fraction: "0.001" };
