//! The incremental engine (plans and deltas in, deltas out), the published snapshot with its indexes, and one-shot
//! reads over it. Knows nothing of SQL text, sockets, tokio, Postgres or the wall clock: time comes in as a value.

pub mod aggregate;
pub mod clock;
pub mod delta;
pub mod engine;
pub(crate) mod key;
pub mod position;
pub mod read;
pub mod snapshot;
pub(crate) mod window;

pub use clock::ClockSpan;
pub use delta::Delta;
pub use engine::Engine;
pub use position::Position;
pub use snapshot::{Difference, Publisher, Snapshot, TableVersion};
