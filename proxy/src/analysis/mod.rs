//! From a client's statement to a plan over stream tables, by Postgres' own analysis on a control session (never the
//! client's), cached by everything that shapes the tree.

mod analyser;
mod bodies;
mod creator;
pub mod literals;
mod session;
mod statement;
mod view;

pub use analyser::Analyser;
pub use bodies::{TextBody, Texts};
pub use creator::CreatorSession;
pub use statement::REFUSED;
pub use view::{PlanError, PlannedView, Sources, plan_view};

use std::collections::HashMap;
use std::sync::Arc;
use weir_planner::settings::{SettingSet, Settings};
use weir_planner::{Plan, RelationId};

/// Everything that shapes the tree besides the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnalysisKey {
    pub sql: Arc<str>,
    /// Parameter types as the client's Parse gave them; 0 where it left them to the server.
    pub declared_params: Vec<u32>,
    pub environment: Arc<Environment>,
}

/// The part of a session's state that analysis runs under; from the session's probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Environment {
    pub role: String,
    /// `current_schemas(true)`.
    pub schemas: Vec<String>,
    pub settings: Settings,
    /// Values of the other settings that change a tree (standard_conforming_strings, backslash_quote,
    /// transform_null_equals, array_nulls, lc_monetary, default_text_search_config, xmloption), in that order.
    pub parser_settings: Vec<String>,
}

/// A statement memory can answer.
#[derive(Debug)]
pub struct Prepared {
    pub plan: Plan,
    pub params: Vec<u32>,
    /// What values of those parameters may be whose type is an enum.
    pub labels: Labels,
    pub columns: Vec<ResultColumn>,
    /// Stream tables read.
    pub tables: Vec<RelationId>,
    /// Users' functions whose bodies stand in the plan.
    pub bodies: Vec<u32>,
    /// Settings the answer (not its rendering) depends on through the statement's own functions.
    pub settings: SettingSet,
    /// The registry epoch it was analysed at; stale when the registry has moved.
    pub epoch: u64,
}

/// Labels of enums by type.
pub type Labels = HashMap<u32, Vec<String>>;

/// A field of RowDescription, exactly as Postgres would send it (format aside).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub name: String,
    pub table_oid: u32,
    pub column_number: i16,
    pub type_oid: u32,
    pub type_length: i16,
    pub typmod: i32,
}

/// One text among many that differ in their literals only, which have been taken out as parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// The text as it came, without parameters.
    pub exact: Arc<str>,
    /// What its literals say, one per parameter.
    pub literals: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
pub enum Lookup {
    Ready(Arc<Prepared>),
    /// Memory cannot answer this text; the reason is one of the named ones, the detail is for people.
    Unsupported {
        reason: &'static str,
        detail: Arc<str>,
    },
    /// Analysis has been started; forward this time.
    Pending,
}
