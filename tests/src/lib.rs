//! What black-box tests stand on: private Postgres servers, a spawned `weir`, a client that shows the raw messages, and
//! the oracle that compares an answer given through Weir with the one Postgres gives directly.
//!
//! Nothing here knows Weir's internals. A server, a Weir or a client that cannot be had is a panic that says why: a test
//! cannot go on without it.

pub mod copies;
pub mod documents;
pub mod drivers;
pub mod fuzz;
pub mod grafana;
pub mod guard;
pub mod hostile;
pub mod nexmark;
pub mod oracle;
pub mod pair;
pub mod postgres;
pub mod protocol;
pub mod reads;
pub mod regress;
pub mod rng;
pub mod scenario;
pub mod tls;
pub mod tpch;
pub mod weir;
pub mod wire;
pub mod workload;
