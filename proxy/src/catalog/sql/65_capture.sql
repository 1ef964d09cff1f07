-- How the changes of base tables reach Weir: its replication slot or the change table, the watched tables, the installed version.

-- Weir's slot and those of its table copies. One slot serves all tables: source_relid is NULL.
CREATE OR REPLACE FUNCTION pgtrickle.slot_health() RETURNS TABLE (
    slot_name text, source_relid bigint, active boolean, retained_wal_bytes bigint, wal_status text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT r.slot_name::text, NULL::bigint, r.active,
        pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, r.restart_lsn)::bigint, r.wal_status
    FROM pg_replication_slots r
    WHERE r.database = current_database() AND starts_with(r.slot_name, 'weir')
    ORDER BY r.slot_name
$body$;

-- One row per base table under watch.
CREATE OR REPLACE FUNCTION pgtrickle.check_cdc_health() RETURNS TABLE (
    source_relid bigint, source_table text, cdc_mode text, slot_name text, lag_bytes bigint, confirmed_lsn text, alert text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT DISTINCT ON (n.nspname, c.relname) c.oid::bigint, n.nspname || '.' || c.relname, upper(pgtrickle.capture_method()), s.slot_name::text,
        pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint, s.confirmed_flush_lsn::text,
        CASE WHEN pgtrickle.watch_obstacle(c.oid) IS NOT NULL THEN pgtrickle.watch_obstacle(c.oid)
             WHEN pgtrickle.capture_method() = 'trigger' THEN
                 CASE WHEN NOT pgtrickle.has_triggers(c.oid) THEN 'Weir''s triggers are missing or disabled'
                      WHEN NOT pgtrickle.weir_is_connected() THEN 'no Weir follows the change table' END
             WHEN EXISTS (SELECT FROM pgtrickle.unwatched_leaves(c.oid)) THEN 'old rows are not in the stream: REPLICA IDENTITY FULL is missing'
             WHEN s.slot_name IS NULL THEN 'Weir has no active replication slot' END
    FROM pgtrickle.pgt_dependencies d JOIN pg_class c ON c.oid = d.source_relid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_replication_slots s ON s.database = current_database() AND starts_with(s.slot_name, 'weir') AND s.active
        AND pgtrickle.capture_method() = 'wal'
    WHERE d.source_type = 'TABLE'
    ORDER BY n.nspname, c.relname, s.confirmed_flush_lsn
$body$;

-- Weir's triggers on base tables, of partitioned ones on their leaves.
CREATE OR REPLACE FUNCTION pgtrickle.trigger_inventory() RETURNS TABLE (
    source_table text, source_oid bigint, trigger_name text, trigger_type text, present boolean, enabled boolean
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT n.nspname || '.' || c.relname, c.oid::bigint, w.name, upper(e.event), t.oid IS NOT NULL, coalesce(t.tgenabled = 'A', false)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('insert'), ('update'), ('delete'), ('truncate')) e (event)
    CROSS JOIN LATERAL (SELECT CASE WHEN c.relispartition AND e.event <> 'truncate'
        THEN 'weir_partition_' || e.event || '_' || pg_partition_root(c.oid)::oid ELSE 'weir_capture_' || e.event END) w (name)
    LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = w.name
    WHERE pgtrickle.capture_method() = 'trigger'
        AND c.oid IN (SELECT l FROM pgtrickle.pgt_dependencies d CROSS JOIN LATERAL pgtrickle.leaves(d.source_relid) l WHERE d.source_type = 'TABLE')
    ORDER BY n.nspname, c.relname, e.event
$body$;

CREATE OR REPLACE VIEW pgtrickle.pgt_cdc_status AS SELECT * FROM pgtrickle.check_cdc_health();
GRANT SELECT ON pgtrickle.pgt_cdc_status TO PUBLIC;

-- Version of the installed SQL.
CREATE OR REPLACE FUNCTION pgtrickle.version() RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
BEGIN
    RETURN (SELECT split_part(i.version, ' ', 1) FROM pgtrickle.weir_installation i);
END
$body$;
