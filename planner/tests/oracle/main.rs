//! Values, functions and images against a real Postgres: generated cases, one server for the whole suite.
//!
//! Each test prints its seed; `WEIR_TEST_SEED=n` repeats it, `WEIR_LONG=1` runs many more cases.

mod aggregates;
mod equality;
mod expressions;
mod functions;
mod generate;
mod images;
mod input;
mod opaque;
mod patterns;
mod server;
mod templates;
mod text_format;
