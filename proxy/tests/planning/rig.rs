//! A server, its catalogue as the planner reads it, and evaluation of plans over copies of the tables.

use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Client;
use weir_cache::{Position, Publisher, Snapshot, read};
use weir_planner::eval::EvalContext;
use weir_planner::parse::decode_text;
use weir_planner::render::Renderer;
use weir_planner::settings::Settings;
use weir_planner::{ColumnType, Plan, RelationId, Row, Value};
use weir_proxy::analysis::{CreatorSession, PlanError, PlannedView, plan_view};
use weir_proxy::catalog::rows::Pinned;
use weir_proxy::catalog::system::SystemCatalog;
use weir_proxy::control;
use weir_tests::postgres::TestServer;

pub struct Rig {
    pub server: TestServer,
    pub client: Client,
    pub catalog: SystemCatalog,
}

/// Stands in for the installed SQL: a stream table is a view.
const CREATE_STREAM_TABLE: &str = "
    CREATE SCHEMA pgtrickle;
    CREATE FUNCTION pgtrickle.create_stream_table(name text, query text, schedule text DEFAULT NULL,
        refresh_mode text DEFAULT NULL, sink text DEFAULT NULL, ducklake_sink_path text DEFAULT NULL,
        ducklake_sink_table_id bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE format('CREATE VIEW public.%I AS %s', name, query); END $$;
    SET search_path = public";

impl Rig {
    pub async fn start(schema: &str) -> Rig {
        let server = TestServer::start();
        let client = control::connect(&server.config().into(), "planning test").await.expect("a control connection");
        client.batch_execute(CREATE_STREAM_TABLE).await.expect("the stand-in is created");
        client.batch_execute(schema).await.expect("the schema is created");
        let catalog = SystemCatalog::load(&client).await.expect("the catalogue is read");
        Rig { server, client, catalog }
    }

    pub async fn id(&self, relation: &str) -> RelationId {
        let row = self.client.query_one("SELECT $1::text::regclass::oid", &[&relation]).await.expect("a relation");
        RelationId(row.get(0))
    }

    /// Creates a view and plans it.
    pub async fn plan(&mut self, sql: &str) -> Result<PlannedView, PlanError> {
        let create = format!("DROP VIEW IF EXISTS planned; CREATE VIEW planned AS {sql}");
        self.client.batch_execute(&create).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        self.plan_existing("planned").await
    }

    pub async fn plan_existing(&mut self, view: &str) -> Result<PlannedView, PlanError> {
        let id = self.id(view).await;
        let mut creator = CreatorSession::new(self.server.config(), Arc::default());
        plan_view(&self.client, &mut self.catalog, id, &Pinned::default(), &mut creator).await
    }

    /// The plan as text with relations by name.
    pub fn text(&self, plan: &Plan) -> String {
        plan.to_text(&|id| self.catalog.planner().relations[&id.0].name.clone())
    }

    /// The rows of a plan evaluated over copies of its relations, columns as text (None for NULL), in answer order.
    pub async fn evaluate(&self, plan: &Plan) -> Result<Vec<Vec<Option<String>>>, read::ReadError> {
        let snapshot = self.snapshot(plan).await;
        let rows = read::execute(plan, &snapshot, &EvalContext::default())?;
        Ok(rows.iter().map(|row| row.iter().zip(&plan.columns).map(|(v, kind)| rendered(v, kind)).collect()).collect())
    }

    async fn snapshot(&self, plan: &Plan) -> Arc<Snapshot> {
        let mut publisher = Publisher::new();
        for relation in plan.relations() {
            let entry = &self.catalog.planner().relations[&relation.0];
            let kinds: Vec<ColumnType> = entry
                .columns
                .iter()
                .map(|column| ColumnType { typmod: column.typmod, ..ColumnType::new(column.type_oid) })
                .collect();
            let columns: Vec<String> =
                entry.columns.iter().map(|column| format!("\"{}\"::text", column.name)).collect();
            let sql = format!("SELECT {} FROM \"{}\".\"{}\"", columns.join(", "), entry.schema, entry.name);
            let mut counts: HashMap<Row, i64> = HashMap::new();
            for row in self.client.query(&sql, &[]).await.expect("the relation is read") {
                let value = |(index, kind): (usize, &ColumnType)| match row.get::<_, Option<String>>(index) {
                    None => Value::Null,
                    Some(text) => decode_text(kind.oid, kind.typmod, &text, &Settings::default()).expect("a value"),
                };
                *counts.entry(kinds.iter().enumerate().map(value).collect()).or_insert(0) += 1;
            }
            publisher.add(relation, kinds);
            publisher.apply(relation, &counts.into_iter().collect());
            publisher.stamp(relation, Position(1));
        }
        publisher.publish(Position(1))
    }

    /// The same query by Postgres.
    pub async fn ask_postgres(
        &self,
        sql: &str,
        columns: usize,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.map(|row| (0..columns).map(|i| row.get(i).map(str::to_owned)).collect()).collect())
    }
}

fn rendered(value: &Value, kind: &ColumnType) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = Vec::new();
    Renderer::new(&Settings::default())
        .encode(value, kind, &mut out)
        .unwrap_or_else(|error| panic!("{value:?}: {error:?}"));
    Some(String::from_utf8(out).expect("text output is UTF-8"))
}
