//! What readers see: immutable versions of all stream tables, swapped atomically by their owner.
//!
//! Here live the row store, its indexes and the publisher that prepares versions on one thread. Versions share all
//! they can: a publish costs by what changed, a reader takes no lock and touches no counter per row. Nothing here
//! evaluates expressions (`read` does) or knows why rows changed (`engine` does).

mod chunk;
mod columns;
mod demand;
mod difference;
mod directory;
mod id_map;
mod identity;
mod index;
mod indexes;
mod order_key;
mod publisher;
mod soundness;
mod space;
mod store;
mod table;
mod tree;
mod version;

pub(crate) use chunk::{CHUNK_ROWS, Chunk, Mask, offsets};
pub(crate) use columns::{Codes, Column, Kind, MAX_CODES, Numbers};
pub use demand::{DEMANDS_TO_BUILD, INDEX_MIN_ROWS};
pub use difference::Difference;
pub(crate) use directory::RowId;
pub(crate) use index::Index;
pub use index::IndexSpec;
pub use indexes::MAX_INDEXES;
pub use order_key::OrderedColumn;
pub(crate) use order_key::compare_rows;
pub use publisher::{BUILD_ROWS_PER_PUBLISH, Publisher};
pub(crate) use soundness::Sound;
pub use version::{Snapshot, TableVersion};
