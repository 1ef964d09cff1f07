//! `weir unwatch`: undoes what watching did to the application's tables.

use tokio_postgres::Client;

/// One table taken out of watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    pub table: String,
}

/// Drops Weir's triggers, takes every table out of the publication, gives tables the replica identity they had before (also
/// those that have been detached since from a table that was watched) and drops Weir's slots that nobody uses. Stream tables stay as views; Postgres evaluates them. Waits at most 5 s for each table's lock.
pub async fn unwatch_all(client: &Client) -> Result<Vec<Unwatched>, tokio_postgres::Error> {
    client.batch_execute("SET lock_timeout = '5s'").await?;
    let tables = client
        .query(
            "SELECT r.prrelid::regclass::text FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid \
             WHERE p.pubname = 'weir' ORDER BY 1",
            &[],
        )
        .await?;
    let mut unwatched: Vec<Unwatched> = Vec::new();
    for row in tables {
        let table: String = row.get(0);
        client.batch_execute(&format!("ALTER PUBLICATION weir DROP TABLE ONLY {table}")).await?;
        unwatched.push(Unwatched { table });
    }
    // Out of the publication first: a published table without identity refuses UPDATE.
    for row in client.query("SELECT relid FROM pgtrickle.weir_identities ORDER BY relid", &[]).await? {
        let table: u32 = row.get(0);
        client.execute("SELECT pgtrickle_changes.restore_identity($1)", &[&table]).await?;
    }
    let triggered = client.query("SELECT t::text FROM pgtrickle.triggered_tables() t ORDER BY 1", &[]).await?;
    for row in triggered {
        let table: String = row.get(0);
        let drop = "SELECT pgtrickle_changes.drop_triggers($1::text::regclass)";
        client.execute(drop, &[&table]).await?;
        if !unwatched.iter().any(|known| known.table == table) {
            unwatched.push(Unwatched { table });
        }
    }
    let drop_slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
         WHERE slot_name LIKE 'weir%' AND database = current_database() AND NOT active AND NOT temporary";
    client.batch_execute(drop_slots).await?;
    Ok(unwatched)
}
