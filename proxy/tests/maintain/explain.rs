//! What the installed SQL tells of a definition, and operations on several tables.

use crate::rig::{Rig, run};
use weir_tests::weir::by_triggers;

const SHOP: &str = "CREATE TABLE product (id int PRIMARY KEY, name text, category text); \
     CREATE TABLE sale (id int PRIMARY KEY, product_id int, old int, amount numeric); ALTER TABLE sale DROP COLUMN old; \
     INSERT INTO product VALUES (1, 'lamp', 'home'), (2, 'pen', 'office'); INSERT INTO sale VALUES (1, 1, 20), (2, 2, 3), (3, 2, 4); \
     SELECT pgtrickle.create_stream_table('by_category', \
         'SELECT p.category, count(*) AS n, sum(s.amount) AS total, max(s.amount * s.id) FILTER (WHERE p.name > ''l'') AS most \
          FROM sale s JOIN product p ON p.id = s.product_id GROUP BY p.category', '1s'); \
     SELECT pgtrickle.create_stream_table('top', 'SELECT category, total, rank() OVER (ORDER BY total DESC) AS place FROM by_category')";

async fn shop() -> Rig {
    let rig = Rig::start().await;
    rig.sql(SHOP).await;
    rig.settle().await;
    rig.wait_until_connected().await;
    rig
}

#[test]
fn lineage_names_the_columns_a_value_comes_from() {
    run(async {
        let rig = shop().await;
        let lineage = |name: &str| {
            format!(
                "SELECT string_agg(concat_ws(' ', output_col, '<-', source_table, source_col), ', ') FROM pgtrickle.stream_table_lineage('{name}')"
            )
        };
        assert_eq!(
            rig.scalar(&lineage("by_category")).await,
            "category <- public.product category, n <-, total <- public.sale amount, most <- public.product name, \
             most <- public.sale amount, most <- public.sale id"
        );
        assert_eq!(
            rig.scalar(&lineage("top")).await,
            "category <- public.by_category category, total <- public.by_category total, place <- public.by_category total"
        );
        rig.sql("SELECT pgtrickle.create_stream_table('names', 'SELECT to_tsvector(''simple'', name)::text AS words FROM product', '1h')").await;
        rig.settle().await;
        assert_eq!(rig.refused("SELECT * FROM pgtrickle.stream_table_lineage('names')").await, "55000");
        assert_eq!(rig.refused("SELECT * FROM pgtrickle.stream_table_lineage('nothing')").await, "42P01");
        let why = rig.scalar("SELECT pgtrickle.explain_stream_table('names')").await;
        assert!(why.starts_with("FULL: evaluated by Postgres; "), "{why}");
    });
}

#[test]
fn a_table_is_explained() {
    run(async {
        let rig = shop().await;
        let properties = "SELECT string_agg(property, ' ') FROM pgtrickle.explain_st('top', true)";
        rig.until("the population is in the history", async || {
            rig.scalar(properties).await
                == "pgt_name defining_query refresh_mode effective_refresh_mode schedule refresh_tier status is_populated \
                    dvm_supported operator_tree output_columns source_oids frontier refresh_timing_stats dependency_graph_dot analyze"
        })
        .await;
        let value = |property: &str| format!("SELECT pgtrickle.explain_json('top') ->> '{property}'");
        assert_eq!(rig.scalar(&value("output_columns")).await, "category text, total numeric, place bigint");
        assert_eq!(rig.scalar(&value("dvm_supported")).await, "true");
        let tree = rig.scalar(&value("operator_tree")).await;
        assert!(tree.contains("Window") && tree.trim_end().ends_with("Scan public.by_category [0 2]"), "{tree}");
        let drawn = rig.scalar("SELECT pgtrickle.explain_dag('dot')").await;
        let expected = "digraph stream_tables {\n  \"public.by_category\" -> \"public.top\";\n  \"public.product\" -> \"public.by_category\";\n  \
                        \"public.sale\" -> \"public.by_category\";\n}";
        assert_eq!(drawn, expected);
        let mermaid = rig.scalar("SELECT pgtrickle.explain_dag()").await;
        assert!(mermaid.starts_with("graph LR\n") && mermaid.lines().count() == 4, "{mermaid}");
        assert_eq!(rig.refused("SELECT pgtrickle.explain_dag('svg')").await, "22023");
    });
}

#[test]
fn an_alteration_is_foreseen() {
    run(async {
        let rig = shop().await;
        let foreseen = |query: &str| {
            format!(
                "SELECT concat_ws(' ', e ->> 'change', e ->> 'added', e ->> 'removed', e ->> 'recreates') FROM pgtrickle.explain_alter('by_category', $q${query}$q$) e"
            )
        };
        let present =
            rig.scalar("SELECT original_query FROM pgtrickle.pgt_stream_tables WHERE pgt_name = 'by_category'").await;
        assert_eq!(rig.scalar(&foreseen(&present)).await, "same [] [] []");
        let longer = present.replace(" FROM sale", ", min(s.id) AS lowest FROM sale");
        assert_eq!(rig.scalar(&foreseen(&longer)).await, "compatible [\"lowest integer\"] [] []");
        let other = present.replace("count(*) AS n", "count(*) AS sales");
        assert_eq!(rig.scalar(&foreseen(&other)).await, "incompatible [\"sales bigint\"] [\"n bigint\"] [\"top\"]");
        assert_eq!(rig.refused(&foreseen("SELECT nothing")).await, "42703");
        assert_eq!(rig.scalar("SELECT count(*) FROM pg_class WHERE relname LIKE 'weir_explained%'").await, "0");
        // What is foreseen is what happens.
        rig.sql(&format!("SELECT pgtrickle.alter_stream_table('by_category', $q${longer}$q$)")).await;
        rig.settle().await;
        rig.verify(&["by_category", "top"]).await;
    });
}

#[test]
fn several_tables_at_once() {
    run(async {
        let rig = shop().await;
        let specs =
            "SELECT jsonb_agg(pgtrickle.stream_table_spec(pgt_name) ORDER BY pgt_id) FROM pgtrickle.pgt_stream_tables";
        let kept = rig.scalar(specs).await;
        assert_eq!(
            rig.scalar(
                "SELECT pgtrickle.bulk_alter_stream_tables(ARRAY['top', 'by_category'], '{\"tier\": \"warm\"}')"
            )
            .await,
            "2"
        );
        assert_eq!(
            rig.scalar("SELECT string_agg(DISTINCT refresh_tier, ' ') FROM pgtrickle.pgt_stream_tables").await,
            "warm"
        );
        assert_eq!(
            rig.refused("SELECT pgtrickle.bulk_alter_stream_tables(ARRAY['top'], '{\"teir\": \"warm\"}')").await,
            "22023"
        );
        rig.sql("SELECT pgtrickle.set_stream_table_sla('top', '1 minute')").await;
        assert_eq!(
            rig.scalar("SELECT refresh_tier FROM pgtrickle.pgt_stream_tables WHERE pgt_name = 'top'").await,
            "cold"
        );
        assert_eq!(rig.scalar("SELECT pgtrickle.pause_all()").await, "2");
        rig.settle().await;
        assert_eq!(rig.scalar("SELECT pgtrickle.resume_all()").await, "2");
        rig.settle().await;
        rig.verify(&["by_category", "top"]).await;
        rig.sql("SELECT pgtrickle.write_and_refresh('INSERT INTO sale VALUES (4, 1, 100)', 'by_category')").await;
        rig.settle().await;
        rig.verify(&["by_category", "top"]).await;
        // Somebody breaks the capture of a table; repairing mends it.
        let (broken, told) = match by_triggers() {
            false => ("ALTER TABLE sale REPLICA IDENTITY DEFAULT", "REPLICA IDENTITY FULL is missing"),
            true => ("ALTER TABLE sale DISABLE TRIGGER weir_capture_update", "triggers are missing or disabled"),
        };
        rig.sql(broken).await;
        rig.settle().await;
        let alert = "SELECT alert FROM pgtrickle.check_cdc_health() WHERE source_table = 'public.sale'";
        assert!(rig.scalar(alert).await.contains(told));
        assert_eq!(
            rig.scalar("SELECT pgtrickle.repair_stream_table('by_category')").await,
            "watched: product, sale; populated again"
        );
        assert_eq!(rig.scalar(alert).await, "");
        rig.settle().await;
        rig.until("both are live", async || rig.scalar("SELECT count(*) FROM pgtrickle.pgt_status() WHERE effective_refresh_mode = 'DIFFERENTIAL' AND status = 'ACTIVE'").await == "2").await;
        rig.sql("UPDATE sale SET amount = amount + 1").await;
        rig.verify(&["by_category", "top"]).await;
        assert_eq!(rig.scalar("SELECT pgtrickle.bulk_drop_stream_tables(ARRAY['top', 'by_category'])").await, "2");
        assert_eq!(rig.scalar("SELECT count(*) FROM pg_class WHERE relname IN ('top', 'by_category')").await, "0");
        // The specification makes the same again.
        rig.sql(&format!("SELECT pgtrickle.bulk_create($j${kept}$j$)")).await;
        assert_eq!(rig.scalar(specs).await, kept);
        assert_eq!(rig.scalar("SELECT pgtrickle.version()").await, env!("CARGO_PKG_VERSION"));
        let slots = "SELECT concat_ws(' ', count(*), coalesce(bool_and(active), false)) FROM pgtrickle.slot_health()";
        let expected = if by_triggers() { "0 f" } else { "1 t" };
        rig.until("the slot is active", async || rig.scalar(slots).await == expected).await;
    });
}
