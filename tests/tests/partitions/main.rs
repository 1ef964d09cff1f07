//! Partitioned base tables, whatever is done to their partitions: `random` plays statements and DDL from several sessions,
//! `cases` and `writes` what must hold by name. Both ways of capturing: `WEIR_TEST_CAPTURE=trigger`.

mod cases;
mod random;
mod shape;
mod stage;
mod writes;
