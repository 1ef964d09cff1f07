//! What the scheduler promises beside the cadence: failures heal, nobody waits for a stuck table, and what belongs together
//! is refreshed together.

use crate::rig::{Rig, run};
use weir_planner::Value;
use weir_proxy::registry::State;

const STATE: &str =
    "SELECT concat_ws(' ', status, consecutive_errors) FROM pgtrickle.pgt_stream_tables WHERE pgt_name = ";

/// Text search is Postgres' own; a row with id 0 makes the evaluation fail.
fn evaluated(name: &str, table: &str, schedule: &str) -> String {
    format!(
        "SELECT pgtrickle.create_stream_table('{name}', \
             'SELECT g, count(10 / id) AS n, length(to_tsvector(''simple'', min(g)::text)) AS words FROM {table} GROUP BY g', '{schedule}')"
    )
}

async fn state(rig: &Rig, name: &str) -> String {
    rig.scalar(&format!("{STATE}'{name}'")).await
}

#[test]
fn a_first_evaluation_that_fails_is_tried_again() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t VALUES (0, 1), (1, 1)").await;
        let failed = async |table: &str| {
            rig.until("its first evaluation has failed", async || state(&rig, table).await == "ERROR 1").await;
            rig.until("readers are told", async || {
                rig.state(table) == Some(State::Out { reason: "evaluation failed" })
            })
            .await;
        };
        rig.sql(&evaluated("by_hand", "t", "1h")).await;
        failed("by_hand").await;
        // Made while there is nothing to read: left to Postgres until there is.
        rig.sql("SELECT pgtrickle.create_stream_table('above', 'SELECT n FROM by_hand')").await;
        rig.sql("SELECT pgtrickle.refresh_stream_table('by_hand')").await;
        rig.until("asked for, it fails again", async || state(&rig, "by_hand").await == "ERROR 2").await;
        // Two more failures, ten seconds later, would suspend it.
        rig.sql(&evaluated("by_schedule", "t", "5s")).await;
        failed("by_schedule").await;
        rig.sql("DELETE FROM t WHERE id = 0").await;
        rig.until("its schedule has mended it", async || rig.state("by_schedule") == Some(State::Live)).await;
        rig.sql("SELECT pgtrickle.refresh_stream_table('by_hand')").await;
        rig.until("asked for, it is mended", async || rig.state("by_hand") == Some(State::Live)).await;
        rig.until("so is what reads it", async || rig.state("above") == Some(State::Live)).await;
        rig.verify(&["by_schedule", "by_hand", "above"]).await;
        for table in ["by_schedule", "by_hand"] {
            rig.until("its row says so", async || state(&rig, table).await == "ACTIVE 0").await;
        }
    });
}

#[test]
fn three_failures_suspend_a_table_that_never_had_rows() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t VALUES (0, 1)").await;
        rig.sql(&evaluated("inverse", "t", "100ms")).await;
        rig.until("it is suspended", async || state(&rig, "inverse").await == "SUSPENDED 3").await;
        rig.until("it is out of service", async || rig.state("inverse") == Some(State::Out { reason: "suspended" }))
            .await;
        let failures = "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE status = 'FAILED'";
        rig.until("the failures are in the history", async || rig.scalar(failures).await == "3").await;
        rig.sql("UPDATE t SET id = 1; SELECT pgtrickle.resume_stream_table('inverse')").await;
        rig.until("it is live", async || rig.state("inverse") == Some(State::Live)).await;
        rig.verify(&["inverse"]).await;
    });
}

#[test]
fn a_stuck_table_delays_no_other_and_its_evaluations_do_not_pile_up() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE bell (id int PRIMARY KEY, g int); CREATE TABLE closed (id int); CREATE TABLE t (id int PRIMARY KEY, g int)")
            .await;
        rig.sql(
            "SELECT pgtrickle.create_stream_table('stuck', 'SELECT count(*) AS n, (SELECT count(*) FROM closed) AS m, \
                 length(to_tsvector(''simple'', max(g)::text)) AS words FROM bell', '100ms')",
        )
        .await;
        rig.sql(&evaluated("free", "t", "100ms")).await;
        rig.sql("SELECT pgtrickle.create_stream_table('maintained', 'SELECT count(*) AS n FROM t', '100ms')").await;
        rig.settle().await;
        for table in ["stuck", "free", "maintained"] {
            rig.until("it is live", async || rig.state(table) == Some(State::Live)).await;
        }
        let other = rig.server.connect().await;
        other
            .batch_execute("BEGIN; LOCK TABLE closed IN ACCESS EXCLUSIVE MODE")
            .await
            .expect("nobody else has it locked");
        rig.sql("INSERT INTO bell VALUES (1, 1)").await;
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weir evaluation' AND wait_event_type = 'Lock'";
        rig.until("its evaluation waits for the lock", async || rig.scalar(waiting).await == "1").await;
        let refreshes = |name: &'static str| {
            let rig = &rig;
            async move {
                rig.scalar(&format!(
                    "SELECT count(*) FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) \
                     WHERE s.pgt_name = '{name}' AND h.initiated_by <> 'INITIAL' AND h.status = 'COMPLETED'"
                ))
                .await
                .parse::<u32>()
                .expect("a count")
            }
        };
        for turn in 1..=5_u32 {
            // Its own sources move on too: it is due again and again.
            rig.sql(&format!("INSERT INTO bell VALUES ({}, 1); INSERT INTO t VALUES ({turn}, {turn})", turn + 1)).await;
            for table in ["free", "maintained"] {
                rig.until("the others come round", async || refreshes(table).await >= turn).await;
            }
        }
        assert_eq!(rig.scalar(waiting).await, "1", "one evaluation of it at a time");
        assert_eq!(refreshes("stuck").await, 0);
        other.batch_execute("ROLLBACK").await.expect("the lock is given back");
        rig.until("it comes round too", async || rig.rows("stuck").await == Ok(1)).await;
        rig.until("with everything", async || {
            rig.scalar("SELECT n FROM stuck").await == "6" && refreshes("stuck").await >= 1
        })
        .await;
        rig.sql("SELECT pgtrickle.refresh_stream_table('stuck')").await;
        rig.settle().await;
        rig.verify(&["stuck", "free", "maintained"]).await;
    });
}

#[test]
fn a_diamond_is_refreshed_to_one_position() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY, g int, v int); INSERT INTO t SELECT i, i % 3, i FROM generate_series(1, 9) i")
            .await;
        // The branches have schedules of their own; the table where they meet follows the faster one.
        rig.sql("SELECT pgtrickle.create_stream_table('fast', 'SELECT g, sum(v) AS total FROM t GROUP BY g', '200ms')")
            .await;
        rig.sql("SELECT pgtrickle.create_stream_table('slow', 'SELECT g, count(*) AS n FROM t GROUP BY g', '1h')")
            .await;
        rig.sql("SELECT pgtrickle.create_stream_table('meet', 'SELECT g, total, n FROM fast JOIN slow USING (g)')")
            .await;
        rig.settle().await;
        assert_eq!(
            rig.scalar("SELECT string_agg(member_name, ' ' ORDER BY member_name) FROM pgtrickle.diamond_groups()")
                .await,
            "fast meet slow"
        );
        for turn in 1..=5 {
            rig.sql(&format!("INSERT INTO t VALUES ({}, 1, 5)", 100 + turn)).await;
            let refreshed = "SELECT count(*) FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) \
                 WHERE s.pgt_name = 'meet' AND h.initiated_by = 'SCHEDULER'";
            rig.until("the scheduler has come round", async || rig.scalar(refreshed).await == turn.to_string()).await;
            // What the round says of the two that it refreshed is of one position.
            let positions = "SELECT count(*) FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) \
                 WHERE s.pgt_name = 'meet' AND h.initiated_by = 'SCHEDULER' AND NOT EXISTS ( \
                     SELECT FROM pgtrickle.pgt_refresh_history f JOIN pgtrickle.pgt_stream_tables g USING (pgt_id) \
                     WHERE g.pgt_name = 'fast' AND f.tick_watermark_lsn = h.tick_watermark_lsn)";
            rig.until("the round is written", async || rig.scalar(positions).await == "0").await;
        }
        rig.verify(&["fast", "slow", "meet"]).await;
    });
}

#[test]
fn an_immediate_table_needs_no_schedule() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
        rig.sql("SELECT pgtrickle.create_stream_table('n', 'SELECT count(*) AS n FROM t', '1h', 'immediate')").await;
        rig.settle().await;
        let row = "SELECT concat_ws(' ', schedule IS NULL, requested_refresh_mode, effective_refresh_mode) FROM pgtrickle.pgt_stream_tables";
        rig.until("it is live", async || rig.scalar(row).await == "t IMMEDIATE IMMEDIATE").await;
        for id in 2..20 {
            rig.sql(&format!("INSERT INTO t VALUES ({id})")).await;
            // Nobody asks for a refresh: the snapshot moves with the commit.
            let published = || {
                let mut rows = Vec::new();
                if let Some(table) = rig.services.published.load().tables.get(&rig.id("n")) {
                    table.for_each(&mut |row, _| rows.push(row.to_vec()));
                }
                rows
            };
            rig.until("the commit is in it", async || published() == [[Value::Int8(id)]]).await;
        }
        rig.verify(&["n"]).await;
    });
}

/// VACUUM FULL of a system catalog, say: what is only tidied up after waits for the next reading, and maintenance goes on.
#[test]
fn a_locked_system_catalog_stops_nothing() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY); SELECT pgtrickle.create_stream_table('s', 'SELECT count(*) FROM t', '1s')")
            .await;
        rig.until("it is live", async || rig.state("s") == Some(State::Live)).await;
        let other = rig.server.connect().await;
        other.batch_execute("BEGIN; LOCK TABLE pg_publication_rel").await.expect("a superuser may");
        rig.sql("SELECT pgtrickle.mark('catalog')").await;
        rig.settle().await;
        assert_eq!(rig.state("s"), Some(State::Live));
        other.batch_execute("COMMIT").await.expect("nothing to undo");
    });
}
