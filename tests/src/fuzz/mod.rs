//! Random schemas, queries and changes, for the oracle that compares Weir with Postgres.
//!
//! `schema` makes tables and their changes, `query` makes queries as clauses that can be taken away one by one, `grammar`
//! fills those clauses (`subquery` those that hold further queries), `case` runs a schema with its queries and shrinks what fails.

pub mod case;
mod expression;
mod grammar;
mod query;
mod schema;
mod subquery;

pub use query::Query;
pub use schema::{Kind, Relation, Schema};
