-- How changes of base tables are captured, and the marks that travel with them.

CREATE SCHEMA IF NOT EXISTS pgtrickle_changes;
REVOKE ALL ON SCHEMA pgtrickle_changes FROM PUBLIC;

-- `method` is in force (written by Weir), `requested` what set_capture_mode asked for; NULL: Weir's own option decides.
CREATE TABLE IF NOT EXISTS pgtrickle.weir_capture (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    requested text CHECK (requested IN ('auto', 'wal', 'trigger')),
    method text NOT NULL DEFAULT 'wal' CHECK (method IN ('wal', 'trigger')),
    since timestamptz NOT NULL DEFAULT now()
);
INSERT INTO pgtrickle.weir_capture DEFAULT VALUES ON CONFLICT DO NOTHING;
GRANT SELECT ON pgtrickle.weir_capture TO PUBLIC;

CREATE OR REPLACE FUNCTION pgtrickle.capture_method() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT c.method FROM pgtrickle.weir_capture c
$body$;

-- What the triggers record. Unlogged: a crash ends Weir's connections too, whereupon it copies every table again. The
-- number of a statement is drawn after it has locked its rows: the order of statements that touch the same row. The
-- transaction is the top-level one, so what a savepoint undoes is never seen.
CREATE UNLOGGED TABLE IF NOT EXISTS pgtrickle_changes.changes (
    statement bigint NOT NULL,
    xid xid8 NOT NULL,
    relid oid NOT NULL,
    -- I(nsert), D(elete), T(runcate), L(ayout of the table changed), M(ark)
    action "char" NOT NULL,
    record bytea
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000, vacuum_truncate = off);
ALTER TABLE pgtrickle_changes.changes ALTER COLUMN record SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS changes_by_transaction ON pgtrickle_changes.changes (xid);
CREATE SEQUENCE IF NOT EXISTS pgtrickle_changes.statements;

-- Puts a mark where it is read together with the changes of this transaction: DDL, changes of the catalog, requests.
CREATE OR REPLACE FUNCTION pgtrickle.mark(content text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM pg_logical_emit_message(true, 'weir', content);
    -- As record_change: while nobody drains nothing is recorded, and a starting Weir waits for this transaction.
    IF pgtrickle.capture_method() <> 'trigger' OR pg_try_advisory_xact_lock_shared(2003134834, 3) THEN
        RETURN;
    END IF;
    INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
    VALUES (nextval('pgtrickle_changes.statements'), pg_current_xact_id(), 0, 'M', convert_to(content, 'UTF8'));
    IF NOT pg_try_advisory_xact_lock_shared(2003134834, 4) THEN
        PERFORM pg_notify('weir_changes', '');
    END IF;
END
$body$;
REVOKE ALL ON FUNCTION pgtrickle.mark(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgtrickle.mark(text) TO PUBLIC;

-- Switches between capture from the WAL and by triggers while Weir runs; NULL goes back to Weir's own option. Only for
-- the role that installed Weir's SQL, its members and superusers.
CREATE OR REPLACE FUNCTION pgtrickle.set_capture_mode(mode text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
    IF lower(mode) NOT IN ('auto', 'wal', 'trigger') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid capture mode "%s" (auto, wal or trigger)', mode);
    END IF;
    IF lower(mode) = 'wal' AND current_setting('wal_level') <> 'logical' THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'capture from the write-ahead log needs wal_level = logical',
            DETAIL = format('wal_level is %s.', current_setting('wal_level')),
            HINT = 'Run ALTER SYSTEM SET wal_level = logical; and restart Postgres.';
    END IF;
    UPDATE pgtrickle.weir_capture SET requested = lower(mode);
    PERFORM pgtrickle.mark('catalog');
END
$body$;
