//! The catalog of stream tables as the maintenance needs it: definitions, what they read, and a fingerprint of everything a
//! plan is made of.

use super::VALUE_TYPE;
use super::schedule::Schedule;
use crate::capture::TableSpec;
use tokio_postgres::Client;
use weir_planner::RelationId;
use weir_planner::catalog::ColumnEntry;
use weir_planner::settings::Settings;
use weir_sinks::{Definition, DefinitionError};

/// One row of `pgtrickle.pgt_stream_tables` whose view exists.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamTableRow {
    pub pgt_id: i64,
    /// The view of that name now; the recorded OID may be of another life (dump and restore).
    pub id: RelationId,
    pub schema: String,
    pub name: String,
    pub schedule: Schedule,
    /// AUTO, FULL, DIFFERENTIAL or IMMEDIATE.
    pub requested_mode: String,
    pub suspended: bool,
    /// Created or resumed, and not yet said to be in memory or not.
    pub initializing: bool,
    /// False: not to be populated before the first manual refresh.
    pub initialize: bool,
    /// It was populated before, in this or another life of Weir.
    pub populated: bool,
    pub pinned: Pinned,
    /// Stream tables and tables it reads, through ordinary views.
    pub sources: Vec<RelationId>,
    /// Changes whenever something does that the plan or the content is made of.
    pub fingerprint: String,
    /// Changes with the labels of enums, where what it reads may hold one.
    pub labels: Option<String>,
    /// A relation below has row-level security.
    pub row_security: bool,
    /// Channels on which its changes are told.
    pub channels: Vec<String>,
    /// Where its deltas are to go, or why that cannot be.
    pub sink: Result<Option<Definition>, DefinitionError>,
}

/// Rows whose view is gone are dropped stream tables; rows whose view has another OID are corrected.
const REPAIR: &str = "WITH present AS ( \
         SELECT s.pgt_id, c.oid FROM pgtrickle.pgt_stream_tables s \
         LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind = 'v') \
             ON n.nspname = s.pgt_schema AND c.relname = s.pgt_name), \
     gone AS (DELETE FROM pgtrickle.pgt_stream_tables s USING present p \
         WHERE p.pgt_id = s.pgt_id AND p.oid IS NULL \
           AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.pgt_relid AND c.relkind = 'v') RETURNING 1) \
     SELECT count(*) FROM gone";
/// A stream table renamed or moved by ALTER VIEW keeps its row; a restored one gets its view's OID. Two joins instead of one
/// with an OR, which would compare every view with every stream table.
const REIDENTIFY: &str = "UPDATE pgtrickle.pgt_stream_tables t SET pgt_relid = f.oid, pgt_schema = f.nspname, pgt_name = f.relname \
     FROM ( \
         SELECT s.pgt_id, c.oid, n.nspname, c.relname FROM pgtrickle.pgt_stream_tables s \
         JOIN pg_namespace n ON n.nspname = s.pgt_schema \
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.pgt_name AND c.relkind = 'v' \
         WHERE c.oid <> s.pgt_relid \
         UNION ALL \
         SELECT s.pgt_id, c.oid, n.nspname, c.relname FROM pgtrickle.pgt_stream_tables s \
         JOIN pg_class c ON c.oid = s.pgt_relid AND c.relkind = 'v' JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE (n.nspname <> s.pgt_schema OR c.relname <> s.pgt_name) \
            AND NOT EXISTS (SELECT FROM pg_class o JOIN pg_namespace m ON m.oid = o.relnamespace \
                WHERE m.nspname = s.pgt_schema AND o.relname = s.pgt_name)) f \
     WHERE t.pgt_id = f.pgt_id";

/// Aggregated once for all tables: a subquery per table would walk everything below all of them each time.
const LOAD: &str = "WITH RECURSIVE functions AS MATERIALIZED (SELECT function, relid FROM pgtrickle.function_reads), \
     below (pgt_id, relid) AS ( \
         SELECT s.pgt_id, s.pgt_relid FROM pgtrickle.pgt_stream_tables s \
         UNION \
         SELECT b.pgt_id, coalesce(f.relid, d.refobjid) FROM below b \
         JOIN pg_rewrite r ON r.ev_class = b.relid AND r.rulename = '_RETURN' \
         JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refobjid <> r.ev_class \
         LEFT JOIN functions f ON d.refclassid = 'pg_proc'::regclass AND f.function = d.refobjid \
         WHERE d.refclassid = 'pg_class'::regclass OR f.relid IS NOT NULL), \
     parts (root, relid) AS ( \
         SELECT DISTINCT b.relid, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.relid AND NOT i.inhdetachpending \
         UNION \
         SELECT p.root, i.inhrelid FROM parts p JOIN pg_inherits i ON i.inhparent = p.relid AND NOT i.inhdetachpending), \
     whole (pgt_id, relid) AS ( \
         SELECT pgt_id, relid FROM below UNION SELECT b.pgt_id, p.relid FROM below b JOIN parts p ON p.root = b.relid), \
     enums (print) AS MATERIALIZED (SELECT md5(string_agg(concat_ws(':', oid, enumtypid, enumsortorder, enumlabel), ',' ORDER BY oid)) \
         FROM pg_enum), \
     domains (print) AS MATERIALIZED (SELECT md5(string_agg(concat_ws(':', t.oid, t.typnotnull, k.conname, k.conbin::text), ',' ORDER BY t.oid, k.oid)) \
         FROM pg_type t LEFT JOIN pg_constraint k ON k.contypid = t.oid WHERE t.typtype = 'd' AND t.oid >= 16384), \
     bodies (print) AS MATERIALIZED (SELECT md5(string_agg(concat_ws(':', oid, proname, prorettype, proargtypes, proisstrict, \
             provolatile, prosecdef, proconfig, prosqlbody), ',' ORDER BY oid)) \
         FROM pg_proc WHERE prosqlbody IS NOT NULL AND oid >= 16384), \
     prints (relid, print, secured, labelled) AS MATERIALIZED ( \
         SELECT c.oid, concat_ws('|', c.oid, c.relkind, c.relpersistence, c.relrowsecurity, \
             CASE WHEN c.relkind <> 'v' THEN c.relnatts END, CASE WHEN c.relispartition THEN pgtrickle.membership(c.oid) \
                 ELSE (SELECT string_agg(i.inhparent::text, ' ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid) END, \
             (SELECT md5(r.ev_action::text) FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN'), \
             (SELECT string_agg(concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, \
                     a.attcollation, CASE WHEN c.relkind = 'v' THEN NULL ELSE a.xmin END), ',' ORDER BY a.attnum) \
              FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
             (SELECT string_agg(concat_ws(':', i.indkey, i.indimmediate, i.indpred IS NULL), ',' ORDER BY i.indexrelid) \
              FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid), \
             (SELECT string_agg(concat_ws(':', p.oid, p.xmin), ',' ORDER BY p.oid) FROM pg_rewrite r \
              JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass \
              JOIN pg_proc p ON p.oid = d.refobjid WHERE r.ev_class = c.oid), \
             CASE WHEN EXISTS (SELECT FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
                     AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.refobjid >= 16384 \
                         OR d.refclassid = 'pg_type'::regclass) \
                     WHERE r.ev_class = c.oid) \
                 THEN concat_ws(':', (SELECT print FROM bodies), (SELECT print FROM domains)) END), \
             c.relrowsecurity, \
             EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384) \
                 OR EXISTS (SELECT FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
                     AND d.refclassid = 'pg_type'::regclass WHERE r.ev_class = c.oid) \
         FROM pg_class c WHERE c.oid IN (SELECT relid FROM whole)), \
     made_of (pgt_id, print, secured, labels) AS MATERIALIZED ( \
         SELECT b.pgt_id, string_agg(p.print, E'\\n' ORDER BY p.relid), bool_or(p.secured), \
             CASE WHEN bool_or(p.labelled) THEN (SELECT print FROM enums) END \
         FROM whole b JOIN prints p ON p.relid = b.relid GROUP BY b.pgt_id), \
     reads (pgt_id, sources) AS MATERIALIZED ( \
         SELECT d.pgt_id, array_agg(d.source_relid ORDER BY d.source_relid) FROM pgtrickle.pgt_dependencies d GROUP BY d.pgt_id), \
     told (pgt_id, channels) AS MATERIALIZED ( \
         SELECT u.pgt_id, array_agg(u.channel::text ORDER BY u.channel) FROM pgtrickle.pgt_subscriptions u GROUP BY u.pgt_id) \
     SELECT s.pgt_id, s.pgt_relid, s.pgt_schema, s.pgt_name, \
         s.schedule, \
         s.requested_refresh_mode, s.status = 'SUSPENDED', s.initialize, s.last_refresh_at IS NOT NULL, s.pinned_settings::text, \
         coalesce(r.sources, '{}'::oid[]), md5(concat_ws('|', s.requested_refresh_mode, s.pinned_settings, m.print, m.labels)), \
         coalesce(m.secured, false), \
         s.sink, s.ducklake_sink_path, s.ducklake_sink_table_id, s.status = 'INITIALIZING', \
         CASE WHEN s.schedule IS NULL THEN NULL ELSE pgtrickle.schedule_milliseconds(s.schedule) END, \
         pgtrickle.tier_factor(s.refresh_tier), coalesce(t.channels, '{}'::text[]), m.labels \
     FROM pgtrickle.pgt_stream_tables s JOIN pg_class c ON c.oid = s.pgt_relid AND c.relkind = 'v' \
     LEFT JOIN made_of m USING (pgt_id) LEFT JOIN reads r USING (pgt_id) LEFT JOIN told t USING (pgt_id) ORDER BY s.pgt_id";

/// Reads all stream tables after correcting rows whose view was dropped, renamed or restored.
pub async fn load(client: &Client) -> Result<Vec<StreamTableRow>, tokio_postgres::Error> {
    client.query(REPAIR, &[]).await?;
    client.execute(REIDENTIFY, &[]).await?;
    let rows = client.query(LOAD, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| StreamTableRow {
            pgt_id: row.get(0),
            id: RelationId(row.get(1)),
            schema: row.get(2),
            name: row.get(3),
            schedule: Schedule::from_catalog(row.get(4), row.get(17), row.get(18)),
            requested_mode: row.get(5),
            suspended: row.get(6),
            initializing: row.get(16),
            initialize: row.get(7),
            populated: row.get(8),
            pinned: pinned(row.get(9)),
            sources: row.get::<_, Vec<u32>>(10).into_iter().map(RelationId).collect(),
            fingerprint: row.get(11),
            labels: row.get(20),
            row_security: row.get(12),
            channels: row.get(19),
            sink: Definition::from_catalog(row.get(13), row.get(14), row.get(15)),
        })
        .collect())
}

/// What a definition's meaning depends on, as its creator had it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pinned {
    pub settings: Settings,
    /// As `SHOW search_path` has it. None, here and for the role: as it is in a new session.
    pub search_path: Option<String>,
    pub role: Option<String>,
}

/// What `pgtrickle.current_pinned_settings` said; settings that an older row does not name have Postgres' defaults.
pub fn pinned(json: &str) -> Pinned {
    let values: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let mut settings = Settings::default();
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    settings.time_zone = text("TimeZone").unwrap_or(settings.time_zone);
    settings.date_style = text("DateStyle").unwrap_or(settings.date_style);
    settings.interval_style = text("IntervalStyle").unwrap_or(settings.interval_style);
    settings.bytea_output = text("bytea_output").unwrap_or(settings.bytea_output);
    if let Some(digits) = text("extra_float_digits").and_then(|digits| digits.parse().ok()) {
        settings.extra_float_digits = digits;
    }
    Pinned { settings, search_path: text("search_path"), role: text("role") }
}

/// A base table as it is to be captured.
#[derive(Clone, Debug)]
pub struct BaseTable {
    pub spec: TableSpec,
    /// Since when it is a partition of what; another one whenever it was detached meanwhile, and written unseen.
    pub membership: Option<String>,
    /// It has no rows of its own; its leaves are base tables in its place.
    pub is_partitioned: bool,
    /// Positions of the primary key's columns.
    pub key: Option<Vec<usize>>,
    /// All its changes are captured, the way that is in force.
    pub watched: bool,
}

impl BaseTable {
    /// Nothing has happened to its definition in between.
    pub fn is_same(&self, other: &BaseTable) -> bool {
        self.spec.columns == other.spec.columns
            && self.spec.attributes == other.spec.attributes
            && self.membership == other.membership
    }
}

/// Base tables with these OIDs, those that exist.
pub async fn base_tables(client: &Client, ids: &[RelationId]) -> Result<Vec<BaseTable>, tokio_postgres::Error> {
    let oids: Vec<u32> = ids.iter().map(|id| id.0).collect();
    let tables = client
        .query(
            "SELECT c.oid, n.nspname::text, c.relname::text, \
                 (SELECT i.indkey::int2[] FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid), \
                 pgtrickle.watch_obstacle(c.oid) IS NULL AND pgtrickle.is_watched(c.oid), c.relnatts, c.relkind = 'p', \
                 pgtrickle.membership(c.oid) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid = ANY ($1) AND c.relkind IN ('r', 'p')",
            &[&oids],
        )
        .await?;
    let mut found = Vec::with_capacity(tables.len());
    for row in tables {
        let id: u32 = row.get(0);
        let columns = columns(client, id).await?;
        let position = |number: &i16| columns.iter().position(|column| column.number == *number);
        let key: Option<Vec<i16>> = row.get(3);
        let key = key.and_then(|key| key.iter().map(position).collect());
        let (schema, name, attributes) = (row.get(1), row.get(2), row.get(5));
        let spec = TableSpec { id: RelationId(id), life: 0, schema, name, attributes, columns };
        found.push(BaseTable { spec, is_partitioned: row.get(6), membership: row.get(7), key, watched: row.get(4) });
    }
    Ok(found)
}

/// The tables whose rows these relations show: leaves in the place of a partitioned table, heirs beside a table.
pub async fn tables_shown(client: &Client, ids: &[RelationId]) -> Result<Vec<RelationId>, tokio_postgres::Error> {
    let oids: Vec<u32> = ids.iter().map(|id| id.0).collect();
    let shown =
        "SELECT DISTINCT s::oid FROM unnest($1::oid[]) AS t CROSS JOIN LATERAL pgtrickle.tables_shown(t::regclass) s";
    Ok(client.query(shown, &[&oids]).await?.iter().map(|row| RelationId(row.get(0))).collect())
}

/// Live columns by attribute number.
pub async fn columns(client: &Client, relation: u32) -> Result<Vec<ColumnEntry>, tokio_postgres::Error> {
    let rows = client
        .query(
            &format!(
                "SELECT attname::text, attnum, atttypid, atttypmod, attcollation, attnotnull, attgenerated, {VALUE_TYPE} \
                 FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ),
            &[&relation],
        )
        .await?;
    let generated = |byte: i8| if byte == 0 { ' ' } else { byte as u8 as char };
    Ok(rows
        .iter()
        .map(|row| ColumnEntry {
            name: row.get(0),
            number: row.get(1),
            type_oid: row.get(2),
            value_oid: row.get(7),
            typmod: row.get(3),
            collation: row.get(4),
            not_null: row.get(5),
            generated: generated(row.get(6)),
        })
        .collect())
}
