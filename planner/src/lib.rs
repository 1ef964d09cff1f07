//! Postgres semantics without a server: values, types, exact functions, analysed query trees in, typed
//! plans out. Pure and total: no sockets, no clock, no storage; errors are values.

pub mod catalog;
pub mod cost;
pub mod datetime;
mod determined;
pub mod eval;
pub mod expand;
pub mod expr;
mod expr_walk;
pub mod functions;
pub mod lower;
pub mod optimize;
pub mod parse;
pub mod plan;
mod plan_text;
pub mod query;
pub mod render;
pub mod settings;
pub mod temporal;
pub mod tree;
pub mod types;
pub mod value;

pub use expr::Expr;
pub use plan::Plan;
pub use types::{Collation, ColumnType, RelationId};
pub use value::{EvalError, Numeric, Row, Value};
