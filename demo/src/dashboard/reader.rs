//! One session through Weir. Notes where each answer came from and how long it took.

use super::latency::Histogram;
use crate::target::Target;
use serde_json::{Value as Json, json};
use std::time::Instant;
use weir_tests::wire::{RawClient, Table};

pub struct Reader {
    target: Target,
    session: Option<RawClient>,
    /// Times of the panels' reads, as this client saw them.
    pub from_memory: Histogram,
    pub forwarded: Histogram,
}

/// An answer and how it came about.
pub struct Answer {
    pub table: Table,
    /// As `SHOW weir.last_route` says.
    pub route: String,
    pub micros: u64,
}

impl Reader {
    pub fn new(target: Target) -> Reader {
        Reader { target, session: None, from_memory: Histogram::default(), forwarded: Histogram::default() }
    }

    /// Runs a statement of a panel. A lost connection is opened again at the next one.
    pub fn read(&mut self, sql: &str) -> Result<Answer, String> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.target.connect("dashboard").map_err(|error| error.to_string())?,
        };
        let started = Instant::now();
        let table = session.try_query(sql).map_err(|error| error.to_string())?;
        let took = started.elapsed();
        let route = session.last_route();
        self.session = Some(session);
        if let Some(error) = &table.error {
            return Err(format!("{error:?}: {sql}"));
        }
        let histogram = if route.starts_with("memory") { &mut self.from_memory } else { &mut self.forwarded };
        histogram.record(took);
        Ok(Answer { table, route, micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX) })
    }

    /// As objects, one per row: for what is not a panel.
    pub fn objects(&mut self, sql: &str) -> Result<Json, String> {
        let answer = self.read(sql)?;
        let names: Vec<String> = answer.table.columns.iter().map(|column| column.name.clone()).collect();
        let row = |row: Vec<Json>| Json::Object(names.iter().cloned().zip(row).collect());
        Ok(Json::Array(rows(&answer.table).into_iter().map(row).collect()))
    }
}

impl Answer {
    /// `{"columns": […], "rows": [[…]], "route": "memory", "micros": 14}`
    pub fn to_json(&self) -> Json {
        let columns: Vec<&str> = self.table.columns.iter().map(|column| column.name.as_str()).collect();
        json!({ "columns": columns, "rows": rows(&self.table), "route": self.route, "micros": self.micros })
    }
}

/// Numbers become JSON numbers, NULL null, everything else the server's text.
fn rows(table: &Table) -> Vec<Vec<Json>> {
    /// int8, int2, int4, float4, float8, numeric (`pg_type.dat`).
    const NUMBERS: [u32; 6] = [20, 21, 23, 700, 701, 1700];
    const BOOL: u32 = 16;
    let cell = |at: usize, value: &Option<bytes::Bytes>| {
        let Some(bytes) = value else { return Json::Null };
        let text = String::from_utf8_lossy(bytes);
        match table.columns[at].type_oid {
            BOOL => Json::Bool(text == "t"),
            oid if NUMBERS.contains(&oid) => serde_json::from_str(&text).unwrap_or_else(|_| Json::String(text.into())),
            _ => Json::String(text.into()),
        }
    };
    table.rows.iter().map(|row| row.iter().enumerate().map(|(at, value)| cell(at, value)).collect()).collect()
}
