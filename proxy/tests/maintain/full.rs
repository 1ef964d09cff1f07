//! Tables that Postgres evaluates, and those that memory must not answer.

use crate::rig::{Rig, run};
use std::time::Duration;
use weir_cache::Position;
use weir_proxy::maintain::PullError;
use weir_proxy::registry::State;

/// Text search is Postgres' own.
const NAMES: &str = "SELECT pgtrickle.create_stream_table('names', \
     'SELECT g, string_agg(name, '','' ORDER BY id) AS names, length(to_tsvector(''simple'', min(name))) AS words FROM people GROUP BY g', '1h')";

async fn people(rig: &Rig) {
    rig.sql(
        "CREATE TABLE people (id int PRIMARY KEY, g int, name text); \
         INSERT INTO people SELECT i, i % 3, 'p' || i FROM generate_series(1, 9) i",
    )
    .await;
}

#[test]
fn what_cannot_be_maintained_is_evaluated_by_postgres() {
    run(async {
        let rig = Rig::start().await;
        people(&rig).await;
        rig.sql(NAMES).await;
        rig.settle().await;
        let table = rig.table("names").expect("just created");
        assert_eq!((table.state, table.evaluated_by_postgres), (State::Live, true));
        assert_eq!(rig.rows("names").await, Ok(3));
        rig.verify(&["names"]).await;
        // Its sources have moved: a reader who must see that is Postgres'.
        rig.sql("INSERT INTO people VALUES (10, 7, 'new')").await;
        assert_eq!(rig.rows("names").await, Err(PullError::NotLive));
        rig.sql("SELECT pgtrickle.refresh_stream_table('names')").await;
        rig.settle().await;
        assert_eq!(rig.rows("names").await, Ok(4));
        rig.verify(&["names"]).await;
        // Writes to other tables move nothing.
        rig.sql("CREATE TABLE other (id int); INSERT INTO other VALUES (1)").await;
        rig.settle().await;
        assert_eq!(rig.rows("names").await, Ok(4));
        let mode = "SELECT concat_ws(' ', status, refresh_mode, requested_refresh_mode, effective_refresh_mode) FROM pgtrickle.pgt_stream_tables";
        assert_eq!(rig.scalar(mode).await, "ACTIVE FULL AUTO FULL");
    });
}

#[test]
fn its_schedule_evaluates_it_again() {
    run(async {
        let rig = Rig::start().await;
        people(&rig).await;
        rig.sql(&NAMES.replace("1h", "1s")).await;
        rig.sql("SELECT pgtrickle.create_stream_table('above', 'SELECT g FROM names WHERE names LIKE ''%,%''')").await;
        rig.settle().await;
        assert!(rig.table("above").is_some_and(|table| table.evaluated_by_postgres), "it reads such a table");
        rig.sql("INSERT INTO people VALUES (10, 7, 'new'), (11, 7, 'newer')").await;
        rig.until("both are evaluated again", async || {
            rig.rows("names").await == Ok(4) && rig.rows("above").await == Ok(4)
        })
        .await;
    });
}

/// What came and went between two evaluations of one table may be all that another shows.
#[test]
fn a_table_is_not_right_between_two_evaluations_that_came_to_the_same() {
    run(async {
        let rig = Rig::start().await;
        people(&rig).await;
        rig.sql(&NAMES.replace("'names'", "'one'")).await;
        rig.sql(&NAMES.replace("'names'", "'other'")).await;
        rig.settle().await;
        let both = [rig.id("one"), rig.id("other")];
        let refresh = async |change: &str, table: &str| {
            rig.sql(change).await;
            rig.sql(&format!("SELECT pgtrickle.refresh_stream_table('{table}')")).await;
            rig.settle().await;
        };
        let read = async || {
            let snapshot = rig.services.maintenance.pull(&both, Position(0), Duration::from_millis(100)).await;
            snapshot.map(|snapshot| both.map(|table| snapshot.tables[&table].len()))
        };
        assert_eq!(read().await, Ok([3, 3]));
        refresh("INSERT INTO people VALUES (10, 7, 'new')", "other").await;
        refresh("DELETE FROM people WHERE id = 10", "one").await;
        let between = read().await;
        // Both as they were before the row came, where those versions are still held; never the row in one of them only.
        assert!(matches!(between, Err(_) | Ok([3, 3])), "{between:?}");
        refresh("", "other").await;
        assert_eq!(read().await, Ok([3, 3]));
    });
}

#[test]
fn a_supported_full_table_is_maintained_and_reported_as_full() {
    run(async {
        let rig = Rig::start().await;
        people(&rig).await;
        rig.sql("SELECT pgtrickle.create_stream_table('n', 'SELECT g, count(*) AS n FROM people GROUP BY g', refresh_mode => 'full')").await;
        rig.settle().await;
        let table = rig.table("n");
        let reason = rig.scalar("SELECT refresh_reason FROM pgtrickle.pgt_stream_tables").await;
        assert!(table.as_ref().is_some_and(|table| !table.evaluated_by_postgres), "{table:?} {reason}");
        rig.sql("INSERT INTO people VALUES (10, 7, 'new')").await;
        assert_eq!(rig.rows("n").await, Ok(4));
        assert_eq!(rig.scalar("SELECT effective_refresh_mode FROM pgtrickle.pgt_stream_tables").await, "FULL");
    });
}

#[test]
fn differential_refusals_come_before_the_commit() {
    run(async {
        let rig = Rig::start().await;
        people(&rig).await;
        rig.settle().await;
        rig.wait_until_connected().await;
        assert_eq!(rig.refused(&NAMES.replace("'1h'", "'1h', 'DIFFERENTIAL'")).await, "0A000");
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.pgt_stream_tables").await, "0");
        assert_eq!(rig.scalar("SELECT relreplident FROM pg_class WHERE relname = 'people'").await, "d");
        // Over a table of the same transaction it can only be known afterwards.
        rig.sql(&format!(
            "BEGIN; CREATE TABLE fresh (id int, g int, name text); {}; COMMIT",
            NAMES.replace("'1h'", "'1h', 'DIFFERENTIAL'").replace("people", "fresh")
        ))
        .await;
        rig.settle().await;
        assert_eq!(rig.state("names"), Some(State::Out { reason: "not maintainable" }));
        assert_eq!(
            rig.scalar("SELECT status || ' ' || last_error_code FROM pgtrickle.pgt_stream_tables").await,
            "ERROR 0A000"
        );
    });
}

#[test]
fn answers_that_depend_on_the_reader_stay_with_postgres() {
    run(async {
        let rig = Rig::start().await;
        people(&rig).await;
        rig.sql("SELECT pgtrickle.create_stream_table('mine', 'SELECT current_user AS me, id FROM people')").await;
        rig.sql("SELECT pgtrickle.create_stream_table('dice', 'SELECT random() AS r, id FROM people')").await;
        rig.sql("SELECT pgtrickle.create_stream_table('all_of_them', 'SELECT id, name FROM people')").await;
        rig.settle().await;
        assert_eq!(rig.state("mine"), Some(State::Out { reason: "depends on the reader" }));
        assert_eq!(rig.state("dice"), Some(State::Out { reason: "depends on the reader" }));
        assert_eq!(rig.state("all_of_them"), Some(State::Live));
        rig.sql("ALTER TABLE people ENABLE ROW LEVEL SECURITY").await;
        rig.settle().await;
        assert_eq!(rig.state("all_of_them"), Some(State::Out { reason: "row level security" }));
        rig.sql("ALTER TABLE people DISABLE ROW LEVEL SECURITY").await;
        rig.settle().await;
        assert_eq!(rig.state("all_of_them"), Some(State::Live));
    });
}
