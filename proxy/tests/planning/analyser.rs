//! The analyser: statements become plans, and nothing a client writes is ever run by analysing it.

use crate::rig::Rig;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_planner::settings::{SettingSet, Settings};
use weir_planner::types::oid;
use weir_proxy::analysis::{Analyser, AnalysisKey, Environment, Lookup, Prepared, Texts};
use weir_proxy::metrics::Metrics;
use weir_proxy::registry::{Registry, State, StreamTable, Tables};

const SCHEMA: &str = "
    CREATE TABLE base (id bigint PRIMARY KEY, name varchar(20), ts timestamptz, d date);
    CREATE VIEW st AS SELECT id, name, ts, d FROM base;
    CREATE VIEW over_st AS SELECT id FROM st WHERE id > 5;
    CREATE TABLE victim (id int);
    CREATE ROLE reader; GRANT SELECT ON st TO reader;
    CREATE SCHEMA one; CREATE SCHEMA two; CREATE VIEW one.k AS SELECT 1 AS x; CREATE VIEW two.k AS SELECT 2 AS x, 3 AS y;
    GRANT USAGE ON SCHEMA two TO reader;";

/// No analysis takes this long on a machine that is not stuck.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    rig: Rig,
    analyser: Analyser,
    registry: Arc<Registry>,
}

impl Bench {
    async fn start() -> Bench {
        let rig = Rig::start(SCHEMA).await;
        let registry = Arc::new(Registry::default());
        let analyser = Analyser::start(rig.server.config(), registry.clone(), Arc::new(Metrics::default()));
        let bench = Bench { rig, analyser, registry };
        bench.register(&["public.st", "one.k", "two.k"]).await;
        bench
    }

    async fn register(&self, names: &[&str]) {
        let mut by_id = HashMap::new();
        for (index, qualified) in names.iter().enumerate() {
            let id = self.rig.id(qualified).await;
            let (schema, name) = qualified.split_once('.').expect("a qualified name");
            let table = StreamTable {
                id,
                pgt_id: index as i64,
                schema: schema.into(),
                name: name.into(),
                state: State::Live,
                depends_on: SettingSet::NONE,
                pinned: Settings::default(),
                evaluated_by_postgres: false,
                determined: true,
                bodies: vec![],
                texts: Texts::default(),
            };
            by_id.insert(id, table);
        }
        self.registry.replace(Tables { by_id, names: HashSet::new() });
    }

    async fn lookup(&self, key: &AnalysisKey) -> Result<Arc<Prepared>, (String, String)> {
        let begun = Instant::now();
        loop {
            match self.analyser.lookup(key) {
                Lookup::Ready(prepared) => return Ok(prepared),
                Lookup::Unsupported { reason, detail } => return Err((reason.into(), detail.to_string())),
                Lookup::Pending => {}
            }
            assert!(begun.elapsed() < PATIENCE, "{} is still pending", key.sql);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ask(&self, sql: &str) -> Result<Arc<Prepared>, (String, String)> {
        self.lookup(&key(sql, &[], environment())).await
    }

    /// The reason of a refusal.
    async fn reason(&self, sql: &str) -> String {
        match self.ask(sql).await {
            Ok(prepared) => panic!("{sql} was planned:\n{:?}", prepared.plan),
            Err((reason, _)) => reason,
        }
    }
}

fn environment() -> Environment {
    Environment {
        role: "postgres".into(),
        schemas: vec!["pg_catalog".into(), "public".into()],
        settings: Settings::default(),
        parser_settings: ["on", "safe_encoding", "off", "on", "C", "pg_catalog.simple", "content"]
            .map(String::from)
            .to_vec(),
    }
}

fn key(sql: &str, declared: &[u32], environment: Environment) -> AnalysisKey {
    AnalysisKey { sql: sql.into(), declared_params: declared.to_vec(), environment: Arc::new(environment) }
}

#[tokio::test(flavor = "multi_thread")]
async fn describes_and_plans() {
    let bench = Bench::start().await;
    let prepared = bench.ask("SELECT id, name, id + $1 AS next FROM st WHERE id = $2 ORDER BY ts LIMIT $3").await;
    let prepared = prepared.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(prepared.params, [oid::INT8, oid::INT8, oid::INT8]);
    let st = bench.rig.id("st").await;
    assert_eq!(prepared.tables, [st]);
    let found: Vec<_> = prepared
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.table_oid, c.column_number, c.type_oid, c.type_length, c.typmod))
        .collect();
    let expected =
        [("id", st.0, 1, oid::INT8, 8, -1), ("name", st.0, 2, oid::VARCHAR, -1, 24), ("next", 0, 0, oid::INT8, 8, -1)];
    assert_eq!(found, expected);
    let text = prepared.plan.to_text(&|_| "st".into());
    let expected = "
Project #0, #1, #2
  Sort (#3) limit $3
    Project #0, #1, int8pl(#0, $1), #2
      Filter int8eq(#0, $2)
        Scan st [0 1 2]
";
    assert_eq!(text.trim(), expected.trim());
    // A view over stream tables only is as good as its text.
    assert_eq!(bench.ask("TABLE over_st").await.map(|prepared| prepared.tables.clone()), Ok(vec![st]));
}

/// Parsing a literal of such a domain runs the function, in a session that could be made Weir's own role again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_analysed_where_literals_run_code() {
    let bench = Bench::start().await;
    assert!(bench.ask("SELECT id FROM st").await.is_ok());
    let trap = "CREATE FUNCTION escape(text) RETURNS bool LANGUAGE plpgsql AS \
         'BEGIN RESET ROLE; RETURN true; END'; CREATE DOMAIN trap AS text CHECK (escape(VALUE))";
    bench.rig.client.batch_execute(trap).await.expect("the domain is made");
    bench.registry.advance_epoch();
    assert_eq!(bench.reason("SELECT id FROM st WHERE name = ANY ('{x}'::trap[])").await, "not analysed");
    bench.rig.client.batch_execute("DROP DOMAIN trap").await.expect("the domain is dropped");
    bench.registry.advance_epoch();
    assert!(bench.ask("SELECT id FROM st").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_types_are_the_servers() {
    let bench = Bench::start().await;
    let declared = key("SELECT id FROM st WHERE id = $1", &[oid::INT4], environment());
    assert_eq!(bench.lookup(&declared).await.map(|prepared| prepared.params.clone()), Ok(vec![oid::INT4]));
    let left_open = key("SELECT id FROM st WHERE id = $1 AND name = $2", &[0], environment());
    assert_eq!(bench.lookup(&left_open).await.map(|p| p.params.clone()), Ok(vec![oid::INT8, oid::TEXT]));
    assert_eq!(bench.reason("SELECT $1 IS NULL, id FROM st").await, "refused by Postgres");
    let many: Vec<String> = (1..=101).map(|n| format!("id <> ${n}")).collect();
    assert_eq!(bench.reason(&format!("SELECT id FROM st WHERE {}", many.join(" AND "))).await, "too many parameters");
}

#[tokio::test(flavor = "multi_thread")]
async fn injected_text_is_never_run() {
    let bench = Bench::start().await;
    let attacks = [
        "select 1 from st; end; drop table victim; --",
        "select 1 from st; end --",
        "select 1 from st; end; drop table victim",
        "select id from st; drop table victim",
        "drop table victim",
        "select id from st /*",
        "select id from st end; drop table victim; create function pg_temp.x() returns int begin atomic select 1",
        "delete from victim returning id",
        "with d as (delete from victim returning id) select d.id from d, st",
        "select * into stolen from st",
        "begin",
        "",
    ];
    for sql in attacks {
        let reason = bench.reason(sql).await;
        assert!(
            ["refused by Postgres", "not analysed"].contains(&reason.as_str())
                || reason == "reads a base table"
                || reason == "unsupported construct",
            "{sql}: {reason}"
        );
    }
    let tables = "SELECT count(*)::int FROM pg_class WHERE relname IN ('victim', 'stolen')";
    let row = bench.rig.client.query_one(tables, &[]).await.expect("a count");
    assert_eq!(row.get::<_, i32>(0), 1, "victim is there, stolen is not");
    let left = "SELECT count(*)::int FROM pg_proc WHERE proname = 'weir_analysis'";
    assert_eq!(bench.rig.client.query_one(left, &[]).await.expect("a count").get::<_, i32>(0), 0);
    // A comment at the end is harmless, and so is a semicolon.
    for sql in
        ["select id from st -- end", "select id from st; -- end", "select id from st;", "select id from st /* x */ ;"]
    {
        assert!(bench.ask(sql).await.is_ok(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_stream_tables() {
    let bench = Bench::start().await;
    assert_eq!(bench.reason("SELECT id FROM base").await, "reads a base table");
    assert_eq!(bench.reason("SELECT st.id FROM st JOIN base USING (id)").await, "reads a base table");
    assert_eq!(bench.reason("SELECT oid FROM pg_class, st").await, "reads a base table");
    assert_eq!(bench.reason("SELECT 1").await, "reads no stream table");
    assert_eq!(bench.reason("SELECT id FROM nothing").await, "refused by Postgres");
    assert_eq!(bench.reason("SELECT id FROM st FOR UPDATE").await, "unsupported construct");
    assert_eq!(bench.reason("SELECT current_user, id FROM st").await, "unsupported construct");
}

#[tokio::test(flavor = "multi_thread")]
async fn moments_are_not_frozen() {
    let bench = Bench::start().await;
    for sql in [
        "SELECT id FROM st WHERE ts >= 'today'",
        "SELECT id FROM st WHERE d = 'Yesterday'::date",
        "SELECT id FROM st WHERE d = ANY ('{2024-01-01,tomorrow}')",
        "SELECT id FROM st WHERE ts < E'n\\x6fw'",
        "SELECT id FROM st WHERE ts < U&'\\006eow'",
    ] {
        assert_eq!(bench.reason(sql).await, "moment literal", "{sql}");
    }
    assert!(bench.ask("SELECT id FROM st WHERE name = 'today'").await.is_ok());
    assert!(bench.ask("SELECT id FROM st WHERE ts < '2024-01-01'").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_shapes_the_tree() {
    let bench = Bench::start().await;
    let plan = async |change: &dyn Fn(&mut Environment), sql: &str| {
        let mut environment = environment();
        change(&mut environment);
        bench.lookup(&key(sql, &[], environment)).await.map(|prepared| prepared.plan.to_text(&|id| id.0.to_string()))
    };
    let sql = "SELECT id FROM st WHERE ts >= '2024-01-01' AND d > '01/02/2024'";
    let here = plan(&|_| {}, sql).await.expect("planned");
    let tokyo = plan(&|e| e.settings.time_zone = "Asia/Tokyo".into(), sql).await.expect("planned");
    let british = plan(&|e| e.settings.date_style = "ISO, DMY".into(), sql).await.expect("planned");
    assert!(here != tokyo && here != british && tokyo != british, "{here}{tokyo}{british}");
    // Name lookup goes by the role's rights: reader may not look into schema one.
    let schemas = |e: &mut Environment| e.schemas = vec!["one".into(), "two".into()];
    let (one, two) = (bench.rig.id("one.k").await, bench.rig.id("two.k").await);
    let as_owner = plan(&schemas, "SELECT x FROM k").await.expect("planned");
    let as_reader = plan(
        &|e| {
            schemas(e);
            e.role = "reader".into();
        },
        "SELECT x FROM k",
    )
    .await
    .expect("planned");
    assert!(as_owner.contains(&format!("Scan {}", one.0)), "{as_owner}");
    assert!(as_reader.contains(&format!("Scan {}", two.0)), "{as_reader}");
    let temporary = plan(&|e| e.schemas.insert(0, "pg_temp_3".into()), "SELECT x FROM one.k").await;
    assert_eq!(temporary.map_err(|(reason, _)| reason), Err("temporary objects".into()));
    let equals_null = plan(&|e| e.parser_settings[2] = "on".into(), "SELECT id FROM st WHERE id = NULL").await;
    assert!(equals_null.as_ref().is_ok_and(|text| text.contains("is null")), "{equals_null:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_is_analysed_anew_and_a_lost_session_reopened() {
    let bench = Bench::start().await;
    let sql = "SELECT id FROM over_st";
    let first = bench.ask(sql).await.expect("planned");
    assert_eq!(first.tables, [bench.rig.id("st").await]);
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir analysis'";
    bench.rig.client.query(kill, &[]).await.expect("the analysis session is killed");
    bench.register(&["public.st", "public.over_st"]).await;
    let second = bench.ask(sql).await.expect("planned again");
    assert_eq!(second.tables, [bench.rig.id("over_st").await]);
    assert!(second.epoch > first.epoch);
}
