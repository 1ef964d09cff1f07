//! Schedules, `calculated`, history rows, manual refresh.

use crate::rig::{Rig, run};
use std::time::Duration;

async fn history(rig: &Rig, name: &str) -> String {
    rig.scalar(&format!(
        "SELECT coalesce(string_agg(concat_ws(' ', action, initiated_by, rows_inserted, rows_deleted), ', ' ORDER BY refresh_id), '') \
         FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) WHERE s.pgt_name = '{name}'"
    ))
    .await
}

#[test]
fn history_has_a_row_per_cadence_in_which_something_changed() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(
            "CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 9) i",
        )
        .await;
        rig.sql("SELECT pgtrickle.create_stream_table('counts', 'SELECT g, count(*) AS n FROM t GROUP BY g', '1s')")
            .await;
        rig.sql("SELECT pgtrickle.create_stream_table('above', 'SELECT g FROM counts WHERE n > 3')").await;
        rig.sql("SELECT pgtrickle.create_stream_table('rarely', 'SELECT max(id) AS id FROM t', '1h')").await;
        rig.settle().await;
        rig.until("the first evaluation is in the history", async || !history(&rig, "rarely").await.is_empty()).await;
        // `rarely` is due once right after its creation; from then on not within this test.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(history(&rig, "counts").await, "FULL INITIAL 3 0");
        rig.sql("INSERT INTO t VALUES (10, 1), (11, 1)").await;
        rig.until("the refresh is in the history", async || history(&rig, "above").await.contains("SCHEDULER")).await;
        assert_eq!(history(&rig, "counts").await, "FULL INITIAL 3 0, DIFFERENTIAL SCHEDULER 1 1");
        assert_eq!(history(&rig, "above").await, "FULL INITIAL 0 0, DIFFERENTIAL SCHEDULER 1 0");
        // Its schedule has not come; what a reader sees is of the present all the same.
        assert_eq!(history(&rig, "rarely").await, "FULL INITIAL 1 0");
        rig.verify(&["rarely"]).await;
        rig.sql("SELECT pgtrickle.refresh_stream_table('rarely')").await;
        rig.settle().await;
        rig.until("the manual refresh is in the history", async || history(&rig, "rarely").await.contains("MANUAL"))
            .await;
        assert_eq!(history(&rig, "rarely").await, "FULL INITIAL 1 0, DIFFERENTIAL MANUAL 1 1");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(
            history(&rig, "counts").await,
            "FULL INITIAL 3 0, DIFFERENTIAL SCHEDULER 1 1",
            "nothing changed since"
        );
    });
}

#[test]
fn an_idle_weir_writes_almost_nothing() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY); SELECT pgtrickle.create_stream_table('n', 'SELECT count(*) AS n FROM t', '1s')").await;
        rig.settle().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = rig.now().await.0;
        tokio::time::sleep(Duration::from_secs(4)).await;
        // Freshness every 10 s, and what Postgres itself writes.
        let written = rig.now().await.0 - before;
        assert!(written < 20_000, "{written} bytes of WAL in 4 s of idleness");
    });
}
