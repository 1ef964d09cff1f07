-- DDL marks: event triggers that put a message into the stream at the exact place of the change. Superusers only; where
-- Weir's role is none, the polled catalogue stamp takes their place, with a window of its interval.

CREATE OR REPLACE FUNCTION pgtrickle.ddl_mark() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '2s' AS $body$
DECLARE
    leaf regclass;
BEGIN
    -- DETACH CONCURRENTLY takes the leaf's rows away when its first transaction ends, and waits for others before its second.
    IF tg_event = 'ddl_command_start' THEN
        IF current_query() ~* 'concurrently' THEN
            PERFORM pgtrickle.mark('ddl:' || tg_tag);
        END IF;
    ELSIF tg_event = 'table_rewrite' THEN
        PERFORM pgtrickle.mark('rewrite:' || pg_event_trigger_table_rewrite_oid()::bigint);
    ELSIF tg_event = 'sql_drop' THEN
        IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary) THEN
            PERFORM pgtrickle.mark('ddl:' || tg_tag);
        END IF;
    -- (A temporary table may inherit from one that is not.)
    ELSIF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() d WHERE d.schema_name IS DISTINCT FROM 'pg_temp'
            OR d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = d.objid)) THEN
        -- A new leaf of a watched partitioned table does not inherit REPLICA IDENTITY FULL; without it its UPDATEs would fail.
        -- (What cannot be done must not make the command fail: Weir finds out, and gives the table up.)
        FOR leaf IN
            SELECT DISTINCT l
            FROM pg_event_trigger_ddl_commands() d JOIN pg_class o ON d.classid = 'pg_class'::regclass AND o.oid = d.objid
            CROSS JOIN LATERAL pgtrickle.leaves(o.oid) l JOIN pg_class c ON c.oid = l
            WHERE (o.relkind = 'p' OR o.relispartition) AND c.relkind = 'r'
                AND CASE WHEN pgtrickle.capture_method() = 'wal' THEN pgtrickle.is_published(l) AND c.relreplident <> 'f'
                    ELSE pgtrickle.is_half_triggered(l) END
        LOOP
            BEGIN
                PERFORM pgtrickle.note_leaf(leaf);
                IF pgtrickle.capture_method() = 'wal' THEN
                    EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', leaf);
                END IF;
            EXCEPTION WHEN insufficient_privilege OR lock_not_available OR object_in_use THEN NULL;
            END;
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
DROP EVENT TRIGGER IF EXISTS weir_detach;
CREATE EVENT TRIGGER weir_detach ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION pgtrickle.ddl_mark();
DROP EVENT TRIGGER IF EXISTS weir_drop;
CREATE EVENT TRIGGER weir_drop ON sql_drop EXECUTE FUNCTION pgtrickle.ddl_mark();
DROP EVENT TRIGGER IF EXISTS weir_rewrite;
CREATE EVENT TRIGGER weir_rewrite ON table_rewrite EXECUTE FUNCTION pgtrickle.ddl_mark();
ALTER EVENT TRIGGER weir_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER weir_detach ENABLE ALWAYS;
ALTER EVENT TRIGGER weir_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER weir_rewrite ENABLE ALWAYS;
