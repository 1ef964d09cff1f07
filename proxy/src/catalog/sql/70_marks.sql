-- DDL marks: event triggers that put a message into the stream at the exact place of the change. Superusers only; where
-- Weir's role is none, the polled catalogue stamp takes their place, with a window of its interval.

CREATE OR REPLACE FUNCTION pgtrickle.ddl_mark() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
    leaf regclass;
BEGIN
    IF tg_event = 'table_rewrite' THEN
        PERFORM pgtrickle.mark('rewrite:' || pg_event_trigger_table_rewrite_oid()::bigint);
    ELSIF tg_event = 'sql_drop' THEN
        IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary) THEN
            PERFORM pgtrickle.mark('ddl:' || tg_tag);
        END IF;
    ELSIF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp') THEN
        -- A new leaf of a watched partitioned table does not inherit REPLICA IDENTITY FULL; without it its UPDATEs would fail.
        FOR leaf IN
            SELECT t.relid
            FROM pg_event_trigger_ddl_commands() d, pg_partition_tree(pg_partition_root(d.objid::regclass)) t, pg_class c
            WHERE d.classid = 'pg_class'::regclass AND t.isleaf AND c.oid = t.relid AND c.relkind = 'r' AND c.relreplident <> 'f'
                AND EXISTS (SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
                    WHERE p.pubname = 'weir' AND r.prrelid IN (SELECT a.relid FROM pg_partition_ancestors(t.relid) a))
        LOOP
            EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', leaf);
        END LOOP;
        PERFORM pgtrickle.mark('ddl:' || tg_tag);
    END IF;
END
$body$;

DROP EVENT TRIGGER IF EXISTS weir_ddl;
CREATE EVENT TRIGGER weir_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER AGGREGATE', 'ALTER COLLATION', 'ALTER DEFAULT PRIVILEGES', 'ALTER DOMAIN', 'ALTER FUNCTION', 'ALTER POLICY',
        'ALTER ROUTINE', 'ALTER RULE', 'ALTER SCHEMA', 'ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW', 'CREATE AGGREGATE', 'CREATE CAST',
        'CREATE DOMAIN', 'CREATE FUNCTION', 'CREATE OPERATOR', 'CREATE POLICY', 'CREATE RULE', 'CREATE SCHEMA', 'CREATE TABLE',
        'CREATE TABLE AS', 'CREATE TYPE', 'CREATE VIEW', 'GRANT', 'REVOKE', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'CREATE MATERIALIZED VIEW')
    EXECUTE FUNCTION pgtrickle.ddl_mark();
DROP EVENT TRIGGER IF EXISTS weir_drop;
CREATE EVENT TRIGGER weir_drop ON sql_drop EXECUTE FUNCTION pgtrickle.ddl_mark();
DROP EVENT TRIGGER IF EXISTS weir_rewrite;
CREATE EVENT TRIGGER weir_rewrite ON table_rewrite EXECUTE FUNCTION pgtrickle.ddl_mark();
ALTER EVENT TRIGGER weir_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER weir_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER weir_rewrite ENABLE ALWAYS;
