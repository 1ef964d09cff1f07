-- Capture by triggers: statement triggers with transition tables, one per event, that write whole rows into
-- pgtrickle_changes.changes in the writer's transaction.

-- SECURITY DEFINER: whoever may write the table need know nothing of this. `record_send` is the row's binary image under
-- whatever columns the table has at that moment, so that no DDL makes it fail; a table with other columns than when it
-- was watched (their number only grows, dropped ones included) says just that. Nothing in it can be mistaken for a column
-- of the table: `n.*` is the row even where a column is called n, and variables win over columns.
CREATE OR REPLACE FUNCTION pgtrickle_changes.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
DECLARE
    recorded bigint;
BEGIN
    -- Nobody drains: nothing is recorded, and a starting Weir waits until the share of this lock is gone.
    IF pg_try_advisory_xact_lock_shared(2003134834, 3) THEN
        RETURN NULL;
    END IF;
    IF tg_op = 'TRUNCATE' THEN
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action)
        VALUES (nextval('pgtrickle_changes.statements'), pg_current_xact_id(), tg_relid, 'T');
    ELSIF (SELECT c.relispartition OR c.relnatts <> tg_argv[0]::int2 FROM pg_class c WHERE c.oid = tg_relid) THEN
        -- A partition has row triggers (16_row_triggers.sql): this table has been attached since.
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action)
        VALUES (nextval('pgtrickle_changes.statements'), pg_current_xact_id(), tg_relid, 'L');
    ELSIF tg_op = 'INSERT' THEN
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
        SELECT s.number, pg_current_xact_id(), tg_relid, 'I', record_send(n.*)
        FROM (SELECT nextval('pgtrickle_changes.statements') OFFSET 0) s (number), new_rows n;
    ELSIF tg_op = 'DELETE' THEN
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
        SELECT s.number, pg_current_xact_id(), tg_relid, 'D', record_send(o.*)
        FROM (SELECT nextval('pgtrickle_changes.statements') OFFSET 0) s (number), old_rows o;
    ELSE
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
        SELECT s.number, pg_current_xact_id(), tg_relid, r.action, r.record
        FROM (SELECT nextval('pgtrickle_changes.statements') OFFSET 0) s (number),
            (SELECT 'D'::"char", record_send(o.*) FROM old_rows o
             UNION ALL SELECT 'I'::"char", record_send(n.*) FROM new_rows n) r (action, record);
    END IF;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    -- Weir sleeps. (It never does where transactions may be prepared: NOTIFY would make PREPARE TRANSACTION fail.)
    IF recorded > 0 AND NOT pg_try_advisory_xact_lock_shared(2003134834, 4) THEN
        PERFORM pg_notify('weir_changes', '');
    END IF;
    RETURN NULL;
END
$body$;
REVOKE ALL ON FUNCTION pgtrickle_changes.record_change() FROM PUBLIC;

-- Why triggers would not see every change of this table, or would break its writers; NULL when neither.
CREATE OR REPLACE FUNCTION pgtrickle.trigger_obstacle(relation regclass) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
DECLARE
    rel pg_class;
    unsendable text;
BEGIN
    SELECT * INTO rel FROM pg_class WHERE oid = relation;
    IF NOT rel.relispartition AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = relation) THEN
        RETURN 'it inherits from another table: what is written through that one does not fire its statement triggers';
    END IF;
    IF EXISTS (SELECT FROM pg_subscription_rel s
            WHERE s.srrelid = relation OR s.srrelid IN (SELECT a.relid FROM pg_partition_ancestors(relation) a)) THEN
        RETURN 'a subscription writes it, which fires no statement triggers';
    END IF;
    -- record_send would fail, and the writer with it.
    WITH RECURSIVE used (typid) AS (
        SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT below.typid FROM used u JOIN pg_type t ON t.oid = u.typid
        CROSS JOIN LATERAL (
            SELECT t.typelem WHERE t.typelem <> 0
            UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0
            UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
            UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        ) below (typid)
    )
    SELECT format_type(t.oid, NULL) INTO unsendable FROM used u JOIN pg_type t ON t.oid = u.typid WHERE t.typsend = 0 LIMIT 1;
    IF unsendable IS NOT NULL THEN
        RETURN format('type %s has no binary form', unsendable);
    END IF;
    RETURN NULL;
END
$body$;

-- All four triggers are there, fire in every session, and know the table's present columns. Of a partitioned table: on all leaves.
CREATE OR REPLACE FUNCTION pgtrickle.has_triggers(relation regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT CASE WHEN c.relkind = 'p' THEN pgtrickle.has_row_triggers(pg_partition_root(relation))
            AND NOT EXISTS (SELECT FROM pgtrickle.leaves(relation) l WHERE NOT pgtrickle.leaf_has_triggers(l))
        WHEN c.relispartition THEN pgtrickle.leaf_has_triggers(relation)
        ELSE (SELECT count(*) = 4 FROM pg_trigger t
            WHERE t.tgrelid = relation AND starts_with(t.tgname::text, 'weir_capture_') AND t.tgenabled = 'A'
                AND t.tgargs = convert_to(c.relnatts::text, 'UTF8') || '\x00'::bytea) END
    FROM pg_class c WHERE c.oid = relation
$body$;

-- For pgtrickle.watch, which has checked that the caller may.
CREATE OR REPLACE FUNCTION pgtrickle_changes.create_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    event record;
    columns int2 := (SELECT c.relnatts FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF pg_partition_root(relation) IS NOT NULL THEN
        PERFORM pgtrickle_changes.create_partition_triggers(pg_partition_root(relation));
        RETURN;
    END IF;
    FOR event IN SELECT * FROM (VALUES
        ('insert', 'REFERENCING NEW TABLE AS new_rows'),
        ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
        ('delete', 'REFERENCING OLD TABLE AS old_rows'),
        ('truncate', '')) e (name, transition)
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER weir_capture_%s AFTER %s ON %s %s FOR EACH STATEMENT
                            EXECUTE FUNCTION pgtrickle_changes.record_change(%s)',
            event.name, event.name, relation, event.transition, columns);
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER weir_capture_%s', relation, event.name);
    END LOOP;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle_changes.drop_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    trigger_name name;
BEGIN
    -- A clone goes with the trigger of the partitioned table.
    FOR trigger_name IN SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgparentid = 0
        AND (starts_with(t.tgname::text, 'weir_capture_') OR starts_with(t.tgname::text, 'weir_partition_')) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, relation);
    END LOOP;
    DELETE FROM pgtrickle.weir_layouts l WHERE l.relid IN (SELECT f FROM pgtrickle.leaves(relation) f);
END
$body$;

-- Tables on which triggers of Weir were made; the clones on partitions go with those of their root.
CREATE OR REPLACE FUNCTION pgtrickle.triggered_tables() RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT DISTINCT t.tgrelid::regclass FROM pg_trigger t
    WHERE t.tgparentid = 0 AND (starts_with(t.tgname::text, 'weir_capture_') OR starts_with(t.tgname::text, 'weir_partition_'))
$body$;

-- What the method that is not in force has left on tables. Waits briefly for each table's lock; what cannot be locked is
-- left for the next call. Returns how many tables are done with.
CREATE OR REPLACE FUNCTION pgtrickle_changes.release_other_method() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $body$
DECLARE
    relation regclass;
    done int := 0;
BEGIN
    IF pgtrickle.capture_method() = 'wal' THEN
        FOR relation IN SELECT r FROM pgtrickle.triggered_tables() r LOOP
            BEGIN
                PERFORM pgtrickle_changes.drop_triggers(relation);
                done := done + 1;
            EXCEPTION WHEN lock_not_available OR insufficient_privilege OR object_in_use THEN NULL;
            END;
        END LOOP;
    ELSE
        FOR relation IN SELECT r.prrelid::regclass FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
            WHERE p.pubname = 'weir' LOOP
            BEGIN
                EXECUTE format('ALTER PUBLICATION weir DROP TABLE ONLY %s', relation);
                done := done + 1;
            EXCEPTION WHEN lock_not_available OR insufficient_privilege OR object_in_use THEN NULL;
            END;
        END LOOP;
        -- Out of the publication first: a published table without identity refuses UPDATE.
        FOR relation IN SELECT w.relid::regclass FROM pgtrickle.weir_identities w WHERE NOT pgtrickle.is_published(w.relid) LOOP
            BEGIN
                PERFORM pgtrickle_changes.restore_identity(relation);
            EXCEPTION WHEN lock_not_available OR insufficient_privilege OR object_in_use THEN NULL;
            END;
        END LOOP;
    END IF;
    RETURN done;
END
$body$;
