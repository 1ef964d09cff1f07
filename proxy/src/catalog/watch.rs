//! `weir unwatch`: undoes what watching did to the application's tables.

use tokio_postgres::Client;

/// One table taken out of watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    pub table: String,
}

/// Drops Weir's triggers, takes every table out of the publication, sets its replica identity back to the default and drops Weir's slots that
/// nobody uses. Stream tables stay as views; Postgres evaluates them. Waits at most 5 s for each table's lock.
pub async fn unwatch_all(client: &Client) -> Result<Vec<Unwatched>, tokio_postgres::Error> {
    client.batch_execute("SET lock_timeout = '5s'").await?;
    let tables = client
        .query(
            "SELECT r.prrelid::regclass::text, t.relid::regclass::text \
             FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid \
             CROSS JOIN LATERAL (SELECT r.prrelid AS relid WHERE NOT EXISTS (SELECT FROM pg_partition_tree(r.prrelid)) \
                 UNION SELECT f.relid FROM pg_partition_tree(r.prrelid) f WHERE f.isleaf) t \
             WHERE p.pubname = 'weir' ORDER BY 1, 2",
            &[],
        )
        .await?;
    let mut unwatched: Vec<Unwatched> = Vec::new();
    for row in tables {
        let (published, leaf): (String, String) = (row.get(0), row.get(1));
        // Out of the publication first: a published table without identity refuses UPDATE.
        if unwatched.last().is_none_or(|last| last.table != published) {
            client.batch_execute(&format!("ALTER PUBLICATION weir DROP TABLE {published}")).await?;
            unwatched.push(Unwatched { table: published });
        }
        client.batch_execute(&format!("ALTER TABLE ONLY {leaf} REPLICA IDENTITY DEFAULT")).await?;
    }
    let triggered = client
        .query(
            "SELECT DISTINCT t.tgrelid::regclass::text FROM pg_trigger t WHERE starts_with(t.tgname::text, 'weir_capture_') ORDER BY 1",
            &[],
        )
        .await?;
    for row in triggered {
        let table: String = row.get(0);
        let drop = "SELECT pgtrickle_changes.drop_triggers($1::text::regclass)";
        client.execute(drop, &[&table]).await?;
        unwatched.push(Unwatched { table });
    }
    let drop_slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
         WHERE slot_name LIKE 'weir%' AND database = current_database() AND NOT active AND NOT temporary";
    client.batch_execute(drop_slots).await?;
    Ok(unwatched)
}
