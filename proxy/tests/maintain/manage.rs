//! Conveniences over create, alter and refresh.

use crate::rig::{Rig, run};

const SALES: &str = "CREATE TABLE sales (id int PRIMARY KEY, shop int, amount numeric); \
     INSERT INTO sales SELECT i, i % 5, i * 1.5 FROM generate_series(1, 100) i";

#[test]
fn replacing_changes_only_what_differs() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        let make = |query: &str, schedule: &str| {
            format!(
                "SELECT pgtrickle.create_or_replace_stream_table('by_shop', '{query}', '{schedule}', 'DIFFERENTIAL')"
            )
        };
        let row = "SELECT concat_ws(' ', pgt_id, xmin, pgt_relid) FROM pgtrickle.pgt_stream_tables";
        let query = "SELECT shop, count(*) AS n FROM sales GROUP BY shop";
        rig.sql(&make(query, "1m")).await;
        rig.settle().await;
        let created = rig
            .scalar("SELECT concat_ws(' ', pgt_id, pgt_relid, defining_query) FROM pgtrickle.pgt_stream_tables")
            .await;
        // The row itself is written by the maintenance, so it is its definition that must stay as it is.
        rig.sql(&make("SELECT  shop,  count(*)  n  FROM sales  GROUP BY 1", "1m")).await;
        assert_eq!(
            rig.scalar("SELECT concat_ws(' ', pgt_id, pgt_relid, defining_query) FROM pgtrickle.pgt_stream_tables")
                .await,
            created
        );
        assert_eq!(rig.scalar("SELECT original_query FROM pgtrickle.pgt_stream_tables").await, query);
        let before = rig.scalar(row).await;
        rig.sql(&make(query, "2m")).await;
        assert_ne!(rig.scalar(row).await, before);
        assert_eq!(rig.scalar("SELECT schedule FROM pgtrickle.pgt_stream_tables").await, "2m");
        rig.sql(&make("SELECT shop, sum(amount) AS total FROM sales GROUP BY shop", "2m")).await;
        rig.settle().await;
        rig.verify(&["by_shop"]).await;
        assert_eq!(rig.scalar("SELECT sum(total) FROM by_shop").await, "7575.0");
    });
}

/// What Weir writes of a suspension it has read must not undo a resumption it has not.
#[test]
fn paused_and_resumed_at_once_is_resumed() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql("SELECT pgtrickle.create_stream_table('n', 'SELECT count(*) AS n FROM sales', '1s')").await;
        rig.settle().await;
        for _ in 0..20 {
            rig.sql("SELECT pgtrickle.pause_stream_table('n')").await;
            rig.sql("SELECT pgtrickle.resume_stream_table('n')").await;
        }
        rig.until("it is live", async || rig.scalar("SELECT status FROM pgtrickle.pgt_status()").await == "ACTIVE")
            .await;
        rig.verify(&["n"]).await;
    });
}

#[test]
fn many_at_once_are_all_or_none() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        let definitions = r#"[{"name": "one", "query": "SELECT shop, count(*) AS n FROM sales GROUP BY shop", "schedule": "1s"},
            {"name": "two", "query": "SELECT max(n) AS most FROM one", "refresh_mode": "DIFFERENTIAL", "initialize": true}]"#;
        let broken = definitions.replace("max(n)", "max(nothing)");
        assert_eq!(rig.refused(&format!("SELECT pgtrickle.bulk_create('{broken}')")).await, "42703");
        let unknown = definitions.replace("initialize", "initialise");
        assert_eq!(rig.refused(&format!("SELECT pgtrickle.bulk_create('{unknown}')")).await, "22023");
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.pgt_stream_tables").await, "0");
        let created = rig
            .scalar(&format!("SELECT jsonb_path_query_array(pgtrickle.bulk_create('{definitions}'), '$[*].name')"))
            .await;
        assert_eq!(created, r#"["public.one", "public.two"]"#);
        rig.sql("SELECT pgtrickle.create_stream_table_realtime('three', 'SELECT count(*) AS n FROM sales')").await;
        rig.settle().await;
        rig.verify(&["one", "two", "three"]).await;
        // What is exported makes the same again.
        let exported = rig.scalar("SELECT pgtrickle.export_definition('two')").await;
        let kept = rig.scalar("SELECT concat_ws(' ', schedule, refresh_mode, defining_query) FROM pgtrickle.pgt_stream_tables WHERE pgt_name = 'two'").await;
        rig.sql("SELECT pgtrickle.drop_stream_table('two')").await;
        rig.sql(&exported).await;
        assert_eq!(
            rig.scalar("SELECT concat_ws(' ', schedule, refresh_mode, defining_query) FROM pgtrickle.pgt_stream_tables WHERE pgt_name = 'two'").await,
            kept
        );
    });
}

#[test]
fn a_query_is_validated_without_being_created() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.wait_until_connected().await;
        let verdict = |query: &str| {
            format!(
                "SELECT string_agg(check_name || ' ' || severity || ' ' || result, ', ') FROM pgtrickle.validate_query('{query}')"
            )
        };
        assert_eq!(
            rig.scalar(&verdict("SELECT shop, count(*) FROM sales GROUP BY shop")).await,
            "query INFO accepted by Postgres, base_tables INFO sales, differential INFO every construct is maintained, \
             resolved_refresh_mode INFO DIFFERENTIAL"
        );
        let volatile = rig.scalar(&verdict("SELECT shop, random() FROM sales")).await;
        assert!(
            volatile.ends_with("differential WARNING function random() is volatile, resolved_refresh_mode INFO FULL"),
            "{volatile}"
        );
        let wrong = rig.scalar(&verdict("SELECT nothing FROM sales")).await;
        assert_eq!(wrong, "query ERROR column \"nothing\" does not exist (42703)");
        let hidden = rig.scalar(&verdict("SELECT 1; DROP TABLE sales")).await;
        assert_eq!(hidden, "query ERROR the defining query must be exactly one SELECT (42601)");
        let preview =
            "SELECT string_agg(property, ' ') FROM pgtrickle.preview_stream_table('SELECT shop FROM sales', '5m')";
        assert_eq!(
            rig.scalar(preview).await,
            "defining_query schedule requested_refresh_mode base_tables differential resolved_refresh_mode"
        );
        assert_eq!(rig.scalar("SELECT count(*) FROM pg_class WHERE relname LIKE 'weir%quer%'").await, "0");
    });
}

#[test]
fn a_snapshot_keeps_what_a_stream_table_showed() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql("SELECT pgtrickle.create_stream_table('\"by shop\"', 'SELECT shop, sum(amount) AS total FROM sales GROUP BY shop')")
            .await;
        rig.settle().await;
        let named = rig.scalar("SELECT pgtrickle.snapshot_stream_table('\"by shop\"', 'Kept')").await;
        assert_eq!(named, "public.kept", "names are folded as identifiers are");
        let dated = rig.scalar("SELECT pgtrickle.snapshot_stream_table('\"by shop\"')").await;
        rig.sql("DELETE FROM sales WHERE shop = 0").await;
        assert_eq!(rig.scalar("SELECT count(*) FROM \"by shop\"").await, "4");
        assert_eq!(rig.scalar("SELECT sum(total) FROM kept").await, "7575.0");
        assert_eq!(rig.scalar(&format!("SELECT count(*) FROM {dated}")).await, "5");
        let listed = "SELECT string_agg(concat_ws(' ', snapshot_table, stream_table, row_count), '|') FROM pgtrickle.list_snapshots()";
        assert_eq!(rig.scalar(listed).await, format!("{dated} public.by shop 5|public.kept public.by shop 5"));
        assert_eq!(rig.refused("SELECT pgtrickle.snapshot_stream_table('\"by shop\"', 'kept')").await, "42P07");
        assert_eq!(rig.refused("SELECT pgtrickle.drop_snapshot('sales')").await, "42P01");
        // Another table's oid, as after a restore.
        rig.sql("UPDATE pgtrickle.pgt_snapshots SET snapshot_relid = 'sales'::regclass WHERE snapshot_name = 'kept'")
            .await;
        assert_eq!(rig.refused("SELECT pgtrickle.drop_snapshot('sales')").await, "42P01");
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.list_snapshots()").await, "1");
        rig.sql("UPDATE pgtrickle.pgt_snapshots SET snapshot_relid = 'kept'::regclass WHERE snapshot_name = 'kept'")
            .await;
        rig.sql("SELECT pgtrickle.drop_snapshot('kept')").await;
        rig.sql(&format!("DROP TABLE {dated}")).await;
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.list_snapshots()").await, "0");
        assert_eq!(rig.refused("TABLE kept").await, "42P01");
    });
}

#[test]
fn a_canary_is_compared_and_promoted() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql("SELECT pgtrickle.create_stream_table('by_shop', 'SELECT shop, sum(amount) AS total FROM sales GROUP BY shop', '1s', 'DIFFERENTIAL')")
            .await;
        let begin = "SELECT pgtrickle.canary_begin('by_shop', 'SELECT shop, sum(amount) AS total FROM sales WHERE id > 5 GROUP BY shop')";
        assert_eq!(rig.scalar(begin).await, "public.by_shop__canary");
        assert_eq!(rig.refused(begin).await, "42P07");
        rig.settle().await;
        rig.verify(&["by_shop", "by_shop__canary"]).await;
        let diff = "SELECT string_agg(concat_ws('=', property, value), ' ') FROM pgtrickle.canary_diff('by_shop') WHERE property LIKE 'rows%'";
        assert_eq!(rig.scalar(diff).await, "rows_current=5 rows_only_in_current=5 rows_canary=5 rows_only_in_canary=5");
        rig.sql("SELECT pgtrickle.canary_promote('by_shop')").await;
        rig.settle().await;
        rig.verify(&["by_shop"]).await;
        assert_eq!(rig.scalar("SELECT sum(total) FROM by_shop").await, "7552.5");
        assert_eq!(rig.refused("SELECT pgtrickle.canary_diff('by_shop')").await, "42P01");
    });
}
