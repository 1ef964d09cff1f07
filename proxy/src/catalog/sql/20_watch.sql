-- Watching base tables: the publication, and the replica identity that puts old rows into the stream.

DO $body$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir') THEN
        -- Without this option Postgres 18 refuses UPDATE and DELETE on a FULL table that has stored generated columns.
        EXECUTE 'CREATE PUBLICATION weir'
            || CASE WHEN current_setting('server_version_num')::int >= 180000 THEN ' WITH (publish_generated_columns = stored)' ELSE '' END;
    END IF;
END
$body$;

-- A relation, and everything its views read, through views of any kind and through functions.
CREATE OR REPLACE FUNCTION pgtrickle.relations_below(relation regclass) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH RECURSIVE functions AS MATERIALIZED (SELECT function, relid FROM pgtrickle.function_reads),
    below (relid) AS (
        SELECT relation::oid
        UNION
        SELECT coalesce(f.relid, d.refobjid)
        FROM below b
        JOIN pg_rewrite r ON r.ev_class = b.relid AND r.rulename = '_RETURN'
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refobjid <> r.ev_class
        JOIN pg_class v ON v.oid = b.relid AND v.relkind = 'v'
        LEFT JOIN functions f ON d.refclassid = 'pg_proc'::regclass AND f.function = d.refobjid
        WHERE d.refclassid = 'pg_class'::regclass OR f.relid IS NOT NULL
    )
    SELECT relid FROM below
$body$;

-- Tables that must be watched for `relation` to be maintained; partitioned ones as such, heirs by themselves.
CREATE OR REPLACE FUNCTION pgtrickle.base_tables(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT c.oid::regclass FROM pgtrickle.relations_below(relation) b JOIN pg_class c ON c.oid = b WHERE c.relkind <> 'v'
    UNION
    SELECT t FROM pgtrickle.relations_below(relation) b JOIN pg_class c ON c.oid = b
    CROSS JOIN LATERAL pgtrickle.tables_shown(c.oid) t WHERE c.relkind NOT IN ('v', 'p') AND c.relhassubclass
$body$;

-- A leaf to come of this partitioned table, published with it, would refuse UPDATE and DELETE.
CREATE OR REPLACE FUNCTION pgtrickle.endangers_leaves(relation regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'weir_ddl' AND evtenabled = 'A')
        AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisprimary AND i.indisvalid)
$body$;

-- Takes partitioned tables out of the publication that have come to refuse UPDATE and DELETE on a leaf, or would on one to come: the
-- primary key or the event triggers are gone, or a leaf's identity could not be set. Returns their names.
CREATE OR REPLACE FUNCTION pgtrickle_changes.release_endangered() RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $body$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid
        WHERE p.pubname = 'weir' AND c.relkind = 'p' AND (pgtrickle.endangers_leaves(c.oid)
            OR EXISTS (SELECT FROM pgtrickle.unwatched_leaves(c.oid) u JOIN pg_class l ON l.oid = u.relid
                WHERE l.relreplident = 'n' OR l.relreplident = 'd'
                    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = l.oid AND i.indisprimary AND i.indisvalid)))
    LOOP
        BEGIN
            EXECUTE format('ALTER PUBLICATION weir DROP TABLE ONLY %s', relation);
            RETURN NEXT relation::text;
        EXCEPTION WHEN lock_not_available OR insufficient_privilege OR object_in_use THEN NULL;
        END;
    END LOOP;
END
$body$;

-- Why watching this relation would be impossible or would break the application's own writes; NULL when neither.
CREATE OR REPLACE FUNCTION pgtrickle.watch_obstacle(relation regclass) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
DECLARE
    rel pg_class;
    version int := current_setting('server_version_num')::int;
    by_trigger boolean := pgtrickle.capture_method() = 'trigger';
    blocked boolean;
    other text;
    leaf regclass;
BEGIN
    SELECT * INTO rel FROM pg_class WHERE oid = relation;
    IF rel.relkind = 'f' THEN RETURN 'it is a foreign table'; END IF;
    IF rel.relkind = 'm' THEN RETURN 'it is a materialized view'; END IF;
    IF rel.relkind NOT IN ('r', 'p') THEN RETURN 'it is not a table'; END IF;
    IF rel.relpersistence = 'u' AND NOT by_trigger THEN RETURN 'it is unlogged (ALTER TABLE … SET LOGGED mends it)'; END IF;
    IF rel.relpersistence = 't' THEN RETURN 'it is temporary'; END IF;
    IF rel.relnamespace = 'pg_catalog'::regnamespace OR rel.relnamespace = 'information_schema'::regnamespace THEN
        RETURN 'it is a system table';
    END IF;
    IF rel.relrowsecurity THEN RETURN 'it has row-level security'; END IF;
    IF rel.relkind = 'r' THEN
        other := pgtrickle.heirs_obstacle(relation);
        IF other IS NOT NULL THEN RETURN other; END IF;
    END IF;
    IF rel.relkind = 'p' THEN
        FOR leaf IN SELECT l FROM pgtrickle.leaves(relation) l LOOP
            other := pgtrickle.watch_obstacle(leaf);
            IF other IS NOT NULL THEN
                RETURN format('partition %s: %s', leaf, other);
            END IF;
        END LOOP;
    END IF;
    IF by_trigger THEN
        RETURN pgtrickle.trigger_obstacle(relation);
    END IF;
    IF rel.relkind = 'p' AND pgtrickle.endangers_leaves(relation) THEN
        RETURN 'it is partitioned without a primary key, and Weir may not install event triggers here (a new partition would refuse UPDATE)';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attgenerated = 'v' AND NOT a.attisdropped) THEN
        RETURN 'it has virtual generated columns, with which REPLICA IDENTITY FULL would make UPDATE fail';
    END IF;
    IF version >= 180000 AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attgenerated = 's' AND NOT a.attisdropped) THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
                     WHERE (r.prrelid = $1 OR r.prrelid IN (SELECT a.relid FROM pg_partition_ancestors($1) a)) AND p.pubgencols <> ''s'') OR EXISTS (SELECT FROM pg_publication WHERE pubname = ''weir'' AND pubgencols <> ''s'')
                     OR EXISTS (SELECT FROM pg_publication WHERE puballtables AND pubgencols <> ''s'')'
            INTO blocked USING relation;
        IF blocked THEN
            RETURN 'it has stored generated columns and is in a publication without publish_generated_columns, where REPLICA IDENTITY FULL would make UPDATE fail (ALTER PUBLICATION … SET (publish_generated_columns = stored) mends it)';
        END IF;
    END IF;
    IF version >= 150000 AND rel.relreplident <> 'f' THEN
        EXECUTE 'SELECT p.pubname FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
                 WHERE (r.prrelid = $1 OR r.prrelid IN (SELECT a.relid FROM pg_partition_ancestors($1) a)) AND r.prattrs IS NOT NULL LIMIT 1' INTO other USING relation;
        IF other IS NOT NULL THEN
            RETURN format('it is in publication "%s" with a column list, with which REPLICA IDENTITY FULL would make UPDATE fail', other);
        END IF;
    END IF;
    RETURN NULL;
END
$body$;

-- Can changes be captured the way that is in force at all? (Another encoding can only come here where its characters allow it.)
CREATE OR REPLACE FUNCTION pgtrickle.check_capture() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'stream tables need a database in UTF8',
            DETAIL = format('The database''s encoding is %s.', current_setting('server_encoding')),
            HINT = 'Dump it and restore it into a database made with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
    IF pgtrickle.capture_method() = 'wal' AND current_setting('wal_level') <> 'logical' THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'stream tables need wal_level = logical, or capture by triggers',
            DETAIL = format('wal_level is %s.', current_setting('wal_level')),
            HINT = 'Run ALTER SYSTEM SET wal_level = logical; and restart Postgres, or run: SELECT pgtrickle.set_capture_mode(''trigger'');';
    END IF;
END
$body$;

-- Puts tables under watch. From the WAL: REPLICA IDENTITY FULL first, then membership in the publication (the other order would make
-- writes fail in between). By triggers: creates them. SECURITY DEFINER because both need the table's and the publication's owner; therefore only
-- for callers who own the table or hold TRIGGER on it (the right to burden its writes).
--
-- Locks many partitions, in an order that is not the application's. Of two who wait for each other it is Weir that must give way, and
-- Postgres ends whoever finds out first, after deadlock_timeout: so each try waits for less than that is, and finds out at once
-- where the role may say so.
CREATE OR REPLACE FUNCTION pgtrickle.watch(relations regclass[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $body$
DECLARE
    relation regclass;
    burdened regclass;
    obstacle text;
    -- SECURITY DEFINER hides the caller; SET ROLE is honoured.
    caller name := CASE WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')::name END;
    patience text := current_setting('deadlock_timeout');
    may_set boolean := (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user);
BEGIN
    PERFORM pgtrickle.check_capture();
    IF may_set THEN PERFORM set_config('deadlock_timeout', '10ms', true); END IF;
    FOREACH relation IN ARRAY relations LOOP
        obstacle := pgtrickle.watch_obstacle(relation);
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('table %s cannot be watched: %s', relation, obstacle),
                HINT = 'Use refresh_mode => ''FULL'' or ''AUTO'' to have Postgres evaluate the query.';
        END IF;
        IF pgtrickle.is_watched(relation) THEN
            CONTINUE;
        END IF;
        burdened := CASE WHEN pgtrickle.capture_method() = 'trigger' THEN coalesce(pg_partition_root(relation), relation) ELSE relation END;
        IF NOT (pg_has_role(caller, (SELECT relowner FROM pg_class WHERE oid = burdened), 'USAGE')
                OR has_table_privilege(caller, burdened, 'TRIGGER')) THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('permission denied to watch table %s', burdened),
                DETAIL = 'Maintaining a stream table sets REPLICA IDENTITY FULL or triggers on the tables it reads, a cost to their writers.',
                HINT = format('Its owner can run: GRANT TRIGGER ON %s TO %I;', burdened, caller);
        END IF;
        FOR try IN 1 .. 4 LOOP
            BEGIN
                PERFORM pgtrickle_changes.put_under_watch(relation);
                EXIT;
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                -- The locks that it had are given back.
                CONTINUE WHEN try < 4;
                RAISE EXCEPTION USING ERRCODE = '55P03', MESSAGE = format('could not lock table %s within 2 s to watch it', relation),
                    DETAIL = 'The first stream table over a table sets REPLICA IDENTITY FULL or creates triggers, which waits for every open transaction that uses it.',
                    HINT = format('Try again when they have ended, or beforehand run: SELECT pgtrickle.watch(ARRAY[%L::regclass]);', relation);
            WHEN undefined_object THEN
                RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'publication "weir" does not exist',
                    HINT = 'Run "weir check" and execute the SQL it prints.';
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('Weir''s role may not watch table %s: %s', relation, SQLERRM),
                    HINT = 'Run "weir check" and execute the SQL it prints.';
            END;
        END LOOP;
    END LOOP;
    IF may_set THEN PERFORM set_config('deadlock_timeout', patience, true); END IF;
END
$body$;

-- For watch, which has checked that the caller may.
CREATE OR REPLACE FUNCTION pgtrickle_changes.put_under_watch(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    leaf regclass;
BEGIN
    IF pgtrickle.capture_method() = 'trigger' THEN
        PERFORM pgtrickle_changes.create_triggers(relation);
        RETURN;
    END IF;
    FOR leaf IN SELECT u.relid FROM pgtrickle.unwatched_leaves(relation) u LOOP
        PERFORM pgtrickle_changes.note_identity(leaf);
        EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', leaf);
    END LOOP;
    IF NOT pgtrickle.is_published(relation) THEN
        EXECUTE format('ALTER PUBLICATION weir ADD TABLE %s%s',
            CASE WHEN (SELECT relkind FROM pg_class WHERE oid = relation) = 'r' THEN 'ONLY ' ELSE '' END, relation);
    END IF;
    FOR leaf IN SELECT u FROM pgtrickle.unnoticed_leaves(relation) u LOOP
        EXECUTE format('ALTER PUBLICATION weir ADD TABLE ONLY %s', leaf);
    END LOOP;
END
$body$;

-- Before 15 a walsender that has met a table outside of the publication does not notice that it is attached to one inside
-- (rel_sync_cache_relation_cb in pgoutput.c leaves replicate_valid as it is): there the leaves are members themselves.
CREATE OR REPLACE FUNCTION pgtrickle.unnoticed_leaves(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT l FROM pgtrickle.leaves(relation) l
    WHERE current_setting('server_version_num')::int < 150000 AND NOT EXISTS (
        SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = 'weir' AND r.prrelid = l)
$body$;

-- The table itself, or the leaves of a partitioned one, that do not put whole old rows into the stream yet.
CREATE OR REPLACE FUNCTION pgtrickle.unwatched_leaves(relation regclass) RETURNS TABLE (relid regclass)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT l FROM pgtrickle.leaves(relation) l JOIN pg_class c ON c.oid = l WHERE c.relreplident <> 'f' AND c.relkind = 'r'
$body$;

-- It, or a table it is a partition of, is a member of the publication.
CREATE OR REPLACE FUNCTION pgtrickle.is_published(relation regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT EXISTS (SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        WHERE p.pubname = 'weir' AND (r.prrelid = relation
            OR r.prrelid IN (SELECT a.relid FROM pg_partition_ancestors(relation) a)))
$body$;

-- All its changes are captured, the way that is in force.
CREATE OR REPLACE FUNCTION pgtrickle.is_watched(relation regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT CASE WHEN pgtrickle.capture_method() = 'trigger' THEN pgtrickle.has_triggers(relation)
        ELSE pgtrickle.is_published(relation) AND NOT EXISTS (SELECT FROM pgtrickle.unwatched_leaves(relation))
            AND NOT EXISTS (SELECT FROM pgtrickle.unnoticed_leaves(relation)) END
$body$;
REVOKE ALL ON FUNCTION pgtrickle.watch(regclass[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgtrickle.watch(regclass[]) TO PUBLIC;
