//! What the scenarios promise, measured: a price tick through the finance chain, `risk_scores` beside a thousand inserts a
//! second, five hundred stream tables in one Weir, order, memory per row, Nexmark's streams of events, scans of a large table.
//!
//! Each part has a server and a Weir of its own; `report` writes them to one page each, so that one can be repeated alone.

pub mod finance;
pub mod many;
pub mod memory;
pub mod nexmark;
pub mod order;
mod report;
pub mod risk;
pub mod scans;

use weir_tests::weir::TestWeir;

/// Stream tables that `/status` calls live.
fn live(weir: &TestWeir) -> usize {
    crate::metrics::http(weir, "/status").matches("\"state\":\"live\"").count()
}
