//! Partitioned base tables, whatever is done to their partitions, and tables that inherit: `random` plays statements and DDL from
//! several sessions, the others say what must hold by name. Both ways of capturing: `WEIR_TEST_CAPTURE=trigger`.

mod cases;
mod family;
mod heirs;
mod random;
mod shape;
mod stage;
mod writes;
