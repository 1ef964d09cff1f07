//! What the installed SQL says of the stream tables, and what Weir counted.

use super::reader::Reader;
use crate::view::Counters;
use serde_json::{Map, Value as Json, json};

/// Statements by their key in the answer.
const QUESTIONS: [(&str, &str); 9] = [
    (
        "status",
        "SELECT pgt_name AS name, status, refresh_mode, COALESCE(schedule, 'calculated') AS schedule, is_populated, \
                ROUND(EXTRACT(EPOCH FROM staleness)::numeric, 2) AS staleness_s, last_error_message AS error \
         FROM pgtrickle.pgt_status() ORDER BY pgt_id",
    ),
    (
        "refreshes",
        "SELECT DISTINCT ON (s.pgt_id) s.pgt_name AS name, h.start_time, ROUND(h.duration_ms::numeric, 2) AS duration_ms, \
                h.rows_inserted + h.rows_deleted AS rows_changed \
         FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = h.pgt_id \
         WHERE h.status = 'COMPLETED' ORDER BY s.pgt_id, h.refresh_id DESC",
    ),
    ("tree", "SELECT tree_line FROM pgtrickle.dependency_tree()"),
    (
        "edges",
        "SELECT s.pgt_name AS reader, c.relname AS source, d.source_type <> 'STREAM_TABLE' AS is_base \
         FROM pgtrickle.pgt_dependencies d JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = d.pgt_id \
         JOIN pg_class c ON c.oid = d.source_relid ORDER BY s.pgt_id, c.relname",
    ),
    (
        "definitions",
        "SELECT pgt_name AS name, original_query AS query FROM pgtrickle.pgt_stream_tables ORDER BY pgt_id",
    ),
    (
        "history",
        "SELECT h.start_time, s.pgt_name AS name, h.action, h.status, ROUND(h.duration_ms::numeric, 2) AS duration_ms, \
                h.rows_inserted AS inserted, h.rows_deleted AS deleted, h.was_full_fallback, h.error_message AS error \
         FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = h.pgt_id \
         WHERE h.status IN ('COMPLETED', 'FAILED') AND h.action <> 'NO_DATA' ORDER BY h.refresh_id DESC LIMIT 40",
    ),
    (
        "efficiency",
        "SELECT pgt_name AS name, total_refreshes AS total, diff_count AS diff, full_count AS full, \
                ROUND(avg_diff_ms::numeric, 3) AS avg_diff_ms, ROUND(avg_full_ms::numeric, 3) AS avg_full_ms, diff_speedup AS speedup, \
                ROUND(avg_change_ratio::numeric, 3) AS avg_change_ratio FROM pgtrickle.refresh_efficiency() ORDER BY pgt_name",
    ),
    (
        "advice",
        "SELECT pgt_name AS name, current_mode, effective_mode, recommended_mode, confidence, reason \
         FROM pgtrickle.recommend_refresh_mode() ORDER BY pgt_name",
    ),
    ("health", "SELECT check_name AS \"check\", severity, detail FROM pgtrickle.health_check()"),
];

pub fn read(reader: &mut Reader, counters: &str) -> Result<Json, String> {
    let mut answer = Map::new();
    for (key, sql) in QUESTIONS {
        answer.insert(key.to_owned(), reader.objects(sql)?);
    }
    let weir = match Counters::fetch(counters) {
        Ok(counters) => counters.to_json(),
        Err(error) => json!({ "error": error.to_string() }),
    };
    answer.insert("weir".to_owned(), weir);
    answer.insert(
        "reads".to_owned(),
        json!({ "from_memory": reader.from_memory.to_json(), "forwarded": reader.forwarded.to_json() }),
    );
    Ok(Json::Object(answer))
}
