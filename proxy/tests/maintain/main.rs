//! The maintenance against a real Postgres, without sessions: what the catalog says comes to be in the snapshot.
//!
//! `rig` starts a server and the services and compares the snapshot with the views; each other file is one concern.

mod changes;
mod explain;
mod full;
mod let_go;
mod lifecycle;
mod manage;
mod monitoring;
mod operation;
mod random;
mod rig;
mod schedule;
mod subscriptions;
mod surface;
