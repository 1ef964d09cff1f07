//! A query as clauses, so that a failing one can lose them one by one.

use super::schema::Kind;
use std::fmt;

/// One SELECT, perhaps combined with another.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// `WITH name AS (…)`.
    pub with: Option<(String, Box<Query>)>,
    pub distinct: bool,
    /// `DISTINCT ON` these targets.
    pub distinct_on: usize,
    pub targets: Vec<(String, Kind)>,
    /// The first item, then joins as written.
    pub from: Vec<String>,
    pub conditions: Vec<String>,
    pub grouped: bool,
    /// Grouping expressions; ROLLUP and its kin as one text.
    pub group: Vec<String>,
    pub having: Vec<String>,
    pub order: Vec<String>,
    pub limit: Option<String>,
    /// UNION, INTERSECT or EXCEPT with another query.
    pub other: Option<(&'static str, Box<Query>)>,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, query)) = &self.with {
            write!(f, "WITH {name} AS ({query}) ")?;
        }
        if self.other.is_some() {
            f.write_str("(")?;
        }
        f.write_str("SELECT ")?;
        if self.distinct_on > 0 {
            let on: Vec<&str> = self.targets[..self.distinct_on].iter().map(|(sql, _)| sql.as_str()).collect();
            write!(f, "DISTINCT ON ({}) ", on.join(", "))?;
        } else if self.distinct {
            f.write_str("DISTINCT ")?;
        }
        let targets = self.targets.iter().enumerate().map(|(at, (sql, _))| format!("{sql} AS c{at}"));
        f.write_str(&targets.collect::<Vec<_>>().join(", "))?;
        if !self.from.is_empty() {
            write!(f, " FROM {}", self.from.join(" "))?;
        }
        if !self.conditions.is_empty() {
            write!(f, " WHERE {}", self.conditions.join(" AND "))?;
        }
        if !self.group.is_empty() {
            write!(f, " GROUP BY {}", self.group.join(", "))?;
        }
        if !self.having.is_empty() {
            write!(f, " HAVING {}", self.having.join(" AND "))?;
        }
        if let Some((operator, other)) = &self.other {
            write!(f, ") {operator} ({other})")?;
        }
        if !self.order.is_empty() {
            write!(f, " ORDER BY {}", self.order.join(", "))?;
        }
        match &self.limit {
            Some(limit) => write!(f, " {limit}"),
            None => Ok(()),
        }
    }
}

impl Query {
    /// Queries with one part less. Some may be no valid SQL.
    pub fn smaller(&self) -> Vec<Query> {
        let mut found = Vec::new();
        let mut offer = |change: &dyn Fn(&mut Query)| {
            let mut query = self.clone();
            change(&mut query);
            found.push(query);
        };
        if let Some((_, other)) = &self.other {
            offer(&|query| query.other = None);
            offer(&|query| *query = (**other).clone());
            for smaller in other.smaller() {
                offer(&|query| {
                    if let Some((_, other)) = &mut query.other {
                        **other = smaller.clone();
                    }
                });
            }
        }
        if self.limit.is_some() {
            offer(&|query| query.limit = None);
        }
        if self.distinct_on == 0 && self.limit.is_none() && !self.order.is_empty() {
            offer(&|query| query.order.clear());
        }
        if self.distinct || self.distinct_on > 0 {
            offer(&|query| (query.distinct, query.distinct_on) = (false, 0));
        }
        for at in 0..self.conditions.len() {
            offer(&|query| drop(query.conditions.remove(at)));
        }
        for at in 0..self.having.len() {
            offer(&|query| drop(query.having.remove(at)));
        }
        for at in (1..self.from.len()).rev() {
            offer(&|query| drop(query.from.remove(at)));
        }
        if self.targets.len() > 1 && self.distinct_on == 0 {
            for at in 0..self.targets.len() {
                offer(&|query| {
                    query.targets.remove(at);
                    if let Some((_, other)) = &mut query.other {
                        other.targets.remove(at.min(other.targets.len() - 1));
                    }
                });
            }
        }
        if self.group.len() > 1 {
            for at in 0..self.group.len() {
                offer(&|query| drop(query.group.remove(at)));
            }
        }
        found
    }
}
