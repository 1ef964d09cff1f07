//! One case: a schema with its first rows, stream tables, then changes with a comparison after each. What fails is run
//! again with ever less of it.

use super::query::Query;
use super::schema::{DOMAINS, FUNCTIONS, MOOD, RUN, Relation, Schema};
use crate::oracle::{Order, compare_tables};
use crate::wire::{RawClient, Table};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// How long an analysis, or a population, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows of a stream table; beyond, comparing takes longer than it finds.
const MOST_ROWS: usize = 400;
/// Milliseconds that Postgres may take for a random query.
const TIMEOUT_MS: u32 = 1000;
/// `query_canceled`: by the timeout.
const QUERY_CANCELED: &str = "57014";
/// Class of the errors that values raise.
const EVALUATION_ERRORS: &str = "22";
/// Runs that shrinking may take.
const SHRINKING_RUNS: usize = 60;

/// The two sides of the comparison.
pub struct Sides {
    pub weir: RawClient,
    pub direct: RawClient,
    runs: usize,
    pub counts: Counts,
}

/// What a series of cases has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub views: usize,
    pub reads: usize,
    /// Reads, of stream tables whole and others, and how many of them memory answered.
    pub comparisons: usize,
    pub from_memory: usize,
    /// Of those, reads that fail in Postgres over rows which the stream tables do not have ([`Sides::over_the_rows`]), or that
    /// it answers wrongly by the plan it has chosen ([`Sides::without_stale_groups`]).
    pub failing_by_plan: usize,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub schema: Schema,
    pub setup: Vec<String>,
    /// Stream tables by name.
    pub views: Vec<(String, Query)>,
    pub steps: Vec<Step>,
}

/// A change, and the reads after it.
#[derive(Clone, Debug)]
pub struct Step {
    pub change: String,
    pub reads: Vec<Query>,
}

/// Of a case, small.
pub struct Failure {
    pub case: Case,
    pub difference: String,
}

impl Case {
    pub fn random(seed: u64, views: usize, steps: usize, reads: usize) -> Case {
        use rand::Rng;
        let rng = &mut StdRng::seed_from_u64(seed);
        let schema = Schema::random(rng);
        let setup = schema.create(rng);
        let mut named: Vec<(String, Query)> = Vec::new();
        let mut relations = schema.tables.clone();
        for at in 0..views {
            // Mostly over base tables: what reads a view that Postgres evaluates is evaluated there too.
            let known = if rng.random_bool(0.3) { relations.len() } else { schema.tables.len() };
            let query = Query::random(&relations[..known], rng.random_range(0..3), rng);
            let name = format!("v{at}{RUN}");
            let columns = query.targets.iter().enumerate().map(|(at, (_, kind))| (format!("c{at}"), *kind)).collect();
            relations.push(Relation { name: name.clone(), columns });
            named.push((name, query));
        }
        let published = &relations[schema.tables.len()..];
        let steps = (0..steps)
            .map(|_| Step {
                change: schema.change(rng),
                reads: (0..reads).map(|_| Query::random(published, rng.random_range(0..3), rng)).collect(),
            })
            .collect();
        Case { schema, setup, views: named, steps }
    }

    /// The statements as they were sent, for people.
    pub fn to_sql(&self) -> String {
        let mut lines: Vec<String> = self.setup.iter().map(|sql| format!("{sql};")).collect();
        lines.extend(self.views.iter().map(|(name, query)| format!("-- stream table {name}\n{query};")));
        for step in &self.steps {
            lines.push(format!("{};", step.change));
            lines.extend(step.reads.iter().map(|read| format!("-- read\n{read};")));
        }
        lines.join("\n").replace(RUN, "")
    }
}

/// The query with sub-selects in FROM that no condition is moved into: they end in OFFSET 0.
fn fenced(sql: &str) -> String {
    let mut out = sql.to_owned();
    let starts: Vec<usize> = sql.match_indices("(SELECT").map(|(at, _)| at).collect();
    // From the end, so that the places before stay what they are.
    for start in starts.into_iter().rev() {
        let (mut depth, mut is_text) = (0, false);
        let end = out[start..].char_indices().find_map(|(at, c)| {
            is_text ^= c == '\'';
            match c {
                '(' if !is_text => depth += 1,
                ')' if !is_text => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(start + at)
        });
        let Some(end) = end else { continue };
        let is_source =
            out[end..].strip_prefix(") q").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_source && out[..end].rsplit(' ').nth(1) != Some("OFFSET") {
            out.insert_str(end, " OFFSET 0");
        }
    }
    out
}

impl Sides {
    pub fn new(weir: RawClient, direct: RawClient) -> Sides {
        let mut sides = Sides { weir, direct, runs: 0, counts: Counts::default() };
        sides.direct.execute(MOOD);
        sides.direct.execute(DOMAINS);
        sides.direct.execute(FUNCTIONS);
        sides.weir.execute("SET weir.consistency = 'latest'");
        sides.direct.execute(&format!("SET statement_timeout = {TIMEOUT_MS}"));
        sides
    }

    /// Runs a case; a failing one is shrunk.
    pub fn check(&mut self, case: &Case) -> Result<(), Box<Failure>> {
        match self.run(case) {
            Ok(()) => Ok(()),
            Err(difference) => {
                // Shrinking may take long, or be cut short.
                eprintln!("found, to be shrunk: {difference}");
                Err(Box::new(self.shrink(case.clone(), difference)))
            }
        }
    }

    /// The first difference. Statements that Postgres refuses are passed over.
    fn run(&mut self, case: &Case) -> Result<(), String> {
        self.runs += 1;
        let run = format!("_{}", self.runs);
        let named = |sql: &str| sql.replace(RUN, &run);
        for statement in &case.setup {
            self.direct.execute(&named(statement));
        }
        // With their definitions.
        let mut views: Vec<(String, String)> = Vec::new();
        for (name, query) in &case.views {
            let create = format!(
                "SELECT pgtrickle.create_stream_table(name => '{}', query => $view$ {} $view$, schedule => '1s')",
                named(name),
                named(&query.to_string())
            );
            let size = format!("SELECT count(*) FROM ({}) q", named(&query.to_string()));
            if !self.is_small(&size) {
                continue;
            }
            if self.weir.query(&create).error.is_none() {
                views.push((named(name), named(&query.to_string())));
                self.counts.views += 1;
            }
        }
        let result = self.compare_all(case, &views, &named);
        for (view, _) in views.iter().rev() {
            self.weir.query(&format!("SELECT pgtrickle.drop_stream_table('{view}', true)"));
        }
        for table in &case.schema.tables {
            self.direct.query(&format!("DROP TABLE IF EXISTS {} CASCADE", named(&table.name)));
        }
        result
    }

    fn compare_all(
        &mut self,
        case: &Case,
        views: &[(String, String)],
        named: &dyn Fn(&str) -> String,
    ) -> Result<(), String> {
        let compare_views = |sides: &mut Sides| {
            views
                .iter()
                .try_for_each(|(view, definition)| sides.compare(&format!("SELECT * FROM {view}"), definition, views))
        };
        compare_views(self)?;
        for step in &case.steps {
            self.direct.query(&named(&step.change));
            compare_views(self)?;
            for read in &step.reads {
                self.counts.reads += 1;
                let sql = named(&read.to_string());
                self.compare(&sql, &sql, views)?;
            }
        }
        Ok(())
    }

    /// The query is valid, quick and yields few rows; a random join can be anything else.
    fn is_small(&mut self, count: &str) -> bool {
        let answer = self.direct.query(count);
        answer.error.is_none() && answer.scalar().parse::<usize>().is_ok_and(|rows| rows <= MOST_ROWS)
    }

    /// The read over stream tables that Postgres has evaluated before it looks at the conditions of the read, or of another's
    /// definition, and over sub-selects likewise. Else it may evaluate a condition for rows that a definition or a sub-select
    /// drops, and raise their errors, or not, by the plan it chooses.
    fn over_the_rows(&mut self, query: &str, views: &[(String, String)], format: i16) -> Table {
        let evaluated = |sql: &str| {
            let rows_of =
                |sql: String, (view, _): &(String, String)| sql.replace(view.as_str(), &format!("{view}_rows"));
            views.iter().fold(fenced(sql), rows_of)
        };
        let part =
            |(view, definition): &(String, String)| format!("{view}_rows AS MATERIALIZED ({})", evaluated(definition));
        let parts: Vec<String> = views.iter().map(part).collect();
        let read = evaluated(query);
        let rest = read.strip_prefix("WITH ").map_or_else(|| format!(" {read}"), |rest| format!(", {rest}"));
        let mut table = Table::read(&self.direct.extended(&format!("WITH {}{rest}", parts.join(", ")), &[], format));
        table.columns.iter_mut().for_each(|column| column.table = (0, 0));
        table
    }

    /// What Postgres 15 answers when it groups by sorting, if the plan it has chosen may answer wrongly: a run condition of a window
    /// that depends on the outer query does not make the grouping above it begin anew (right in 18).
    fn without_stale_groups(&mut self, sql: &str, format: i16) -> Option<Table> {
        let major = self.direct.query("SHOW server_version_num").scalar();
        let plan = self.direct.query(&format!("EXPLAIN {sql}"));
        if !major.starts_with("15") || !format!("{plan:?}").contains("Run Condition") {
            return None;
        }
        self.direct.execute("SET enable_hashagg = off");
        let right = Table::read(&self.direct.extended(sql, &[], format));
        self.direct.execute("RESET enable_hashagg");
        Some(right)
    }

    /// Compares one statement in text and in binary, once its analysis is over. `query`: what it comes down to, where it is the
    /// read of a whole stream table. `views`: the stream tables that this may read.
    fn compare(&mut self, sql: &str, query: &str, views: &[(String, String)]) -> Result<(), String> {
        for format in [0, 1] {
            let started = Instant::now();
            loop {
                let theirs = Table::read(&self.direct.extended(sql, &[], format));
                if theirs.error.as_ref().is_some_and(|error| error.code == QUERY_CANCELED) {
                    return Ok(());
                }
                let ours = Table::read(&self.weir.extended(sql, &[], format));
                let route = self.weir.last_route();
                if let Err(found) = compare_tables(&ours, &theirs, Order::Any) {
                    let failed = theirs.error.as_ref().is_some_and(|error| error.code.starts_with(EVALUATION_ERRORS));
                    let by_plan = failed && views.iter().any(|(view, _)| query.contains(view.as_str())) && {
                        let mut ours = ours.clone();
                        ours.columns.iter_mut().for_each(|column| column.table = (0, 0));
                        compare_tables(&ours, &self.over_the_rows(query, views, format), Order::Any).is_ok()
                    };
                    let by_defect = self.without_stale_groups(sql, format);
                    let by_defect = by_defect.is_some_and(|right| compare_tables(&ours, &right, Order::Any).is_ok());
                    if !by_plan && !by_defect {
                        return Err(format!("{sql}\nin format {format}, {route}: {found}"));
                    }
                    self.counts.failing_by_plan += 1;
                }
                let waits = ["analysis", "populating", "behind"].iter().any(|word| route.contains(word));
                if !waits || started.elapsed() > PATIENCE {
                    if std::env::var("WEIR_FUZZ_ROUTES").is_ok() {
                        let error = theirs.error.as_ref().map_or("", |error| error.code.as_str());
                        eprintln!("{route} {error}: {sql}");
                    }
                    self.counts.comparisons += 1;
                    self.counts.from_memory += usize::from(route.starts_with("memory"));
                    break;
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        Ok(())
    }

    /// Runs a smaller case; when it fails too it takes the place of the failure's.
    fn attempt(&mut self, failure: &mut Failure, left: &mut usize, smaller: Case) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let counts = self.counts;
        let result = self.run(&smaller);
        self.counts = counts;
        match result {
            Err(difference) => {
                *failure = Failure { case: smaller, difference };
                true
            }
            Ok(()) => false,
        }
    }

    fn shrink(&mut self, case: Case, difference: String) -> Failure {
        let mut left = SHRINKING_RUNS;
        let mut failure = Failure { case, difference };
        loop {
            let mut progress = false;
            // Steps from the end, then views, rows, and parts of queries.
            for at in (0..failure.case.steps.len()).rev() {
                let mut smaller = failure.case.clone();
                smaller.steps.remove(at);
                progress |= self.attempt(&mut failure, &mut left, smaller);
            }
            for at in 0..failure.case.steps.len() {
                while let Some(read) = failure.case.steps[at].reads.len().checked_sub(1) {
                    let mut smaller = failure.case.clone();
                    smaller.steps[at].reads.remove(read);
                    if !self.attempt(&mut failure, &mut left, smaller) {
                        break;
                    }
                    progress = true;
                }
            }
            for at in (0..failure.case.views.len()).rev() {
                let mut smaller = failure.case.clone();
                smaller.views.remove(at);
                progress |= self.attempt(&mut failure, &mut left, smaller);
            }
            let tables = failure.case.schema.tables.len();
            let mut chunk = (failure.case.setup.len() - tables).div_ceil(2);
            while chunk > 0 {
                let mut at = tables;
                while at < failure.case.setup.len() {
                    let mut smaller = failure.case.clone();
                    smaller.setup.drain(at..(at + chunk).min(failure.case.setup.len()));
                    if self.attempt(&mut failure, &mut left, smaller) {
                        progress = true;
                    } else {
                        at += chunk;
                    }
                }
                chunk /= 2;
            }
            for at in 0..failure.case.views.len() {
                for query in failure.case.views[at].1.smaller() {
                    let mut smaller = failure.case.clone();
                    smaller.views[at].1 = query;
                    if self.attempt(&mut failure, &mut left, smaller) {
                        progress = true;
                        break;
                    }
                }
            }
            for at in 0..failure.case.steps.len() {
                for read in 0..failure.case.steps[at].reads.len() {
                    for query in failure.case.steps[at].reads[read].smaller() {
                        let mut smaller = failure.case.clone();
                        smaller.steps[at].reads[read] = query;
                        if self.attempt(&mut failure, &mut left, smaller) {
                            progress = true;
                            break;
                        }
                    }
                }
            }
            if !progress || left == 0 {
                return failure;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fenced;

    #[test]
    fn sources_are_fenced_and_values_are_not() {
        assert_eq!(
            fenced("SELECT (SELECT 1) AS c0 FROM (SELECT ')' AS c0 FROM (SELECT 2) q1) q0 WHERE c0 IN (SELECT 3)"),
            "SELECT (SELECT 1) AS c0 FROM (SELECT ')' AS c0 FROM (SELECT 2 OFFSET 0) q1 OFFSET 0) q0 WHERE c0 IN (SELECT 3)"
        );
    }
}
