-- Capture of partitioned tables by triggers. Statement triggers do not do: one on the root does not see what is written into a
-- leaf, one on a leaf not what comes through the root, and transition tables do not tell the leaf. Row triggers on the root
-- are cloned by Postgres to every leaf, whenever it is made or attached, fire once for every row whichever way it is
-- written, and know the leaf; a row that moves is a row removed and a row added. TRUNCATE fires the statement trigger
-- of every leaf it empties.

-- How many columns (dropped ones included) a leaf had when it was put under watch. With more of them `record_send` might fail, and
-- the writer with it.
CREATE TABLE IF NOT EXISTS pgtrickle.weir_layouts (relid oid PRIMARY KEY, attributes int2 NOT NULL);
GRANT SELECT ON pgtrickle.weir_layouts TO PUBLIC;

-- The row's image is preceded by that number: with another one than Weir knows the image may mean something else. Where another root
-- stands above the one that the trigger was made for (which was attached to it), that one's triggers record; this one says that
-- the leaf must be looked at again.
CREATE OR REPLACE FUNCTION pgtrickle_changes.record_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
DECLARE
    layout bytea;
BEGIN
    -- Whoever makes a partition must be allowed to execute this, so anybody may put it on a table of his own; under this name there
    -- is none but the one that Weir has made, or Postgres has cloned from it.
    IF tg_name <> 'weir_partition_' || lower(tg_op) || '_' || tg_argv[0] THEN
        RETURN NULL;
    END IF;
    -- As record_change.
    IF pg_try_advisory_xact_lock_shared(2003134834, 3) THEN
        RETURN NULL;
    END IF;
    SELECT int2send(c.relnatts) INTO layout FROM pg_class c
    JOIN pgtrickle.weir_layouts l ON l.relid = c.oid AND l.attributes = c.relnatts
    WHERE c.oid = tg_relid AND pg_partition_root(c.oid) = tg_argv[0]::oid;
    IF layout IS NULL THEN
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action)
        VALUES (nextval('pgtrickle_changes.statements'), pg_current_xact_id(), tg_relid, 'L');
    ELSIF tg_op = 'INSERT' THEN
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
        VALUES (nextval('pgtrickle_changes.statements'), pg_current_xact_id(), tg_relid, 'i', layout || record_send(new));
    ELSIF tg_op = 'DELETE' THEN
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
        VALUES (nextval('pgtrickle_changes.statements'), pg_current_xact_id(), tg_relid, 'd', layout || record_send(old));
    ELSE
        INSERT INTO pgtrickle_changes.changes (statement, xid, relid, action, record)
        SELECT s.number, pg_current_xact_id(), tg_relid, r.action, layout || r.record
        FROM (SELECT nextval('pgtrickle_changes.statements') OFFSET 0) s (number),
            (VALUES ('d'::"char", record_send(old)), ('i'::"char", record_send(new))) r (action, record);
    END IF;
    IF NOT pg_try_advisory_xact_lock_shared(2003134834, 4) THEN
        PERFORM pg_notify('weir_changes', '');
    END IF;
    RETURN NULL;
END
$body$;
GRANT EXECUTE ON FUNCTION pgtrickle_changes.record_row() TO PUBLIC;

-- The names of the triggers made for this root. It is named in them: a table that has some of its own may be attached to another.
CREATE OR REPLACE FUNCTION pgtrickle.row_triggers(root oid) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT ARRAY['weir_partition_insert_' || root, 'weir_partition_update_' || root, 'weir_partition_delete_' || root]
$body$;

-- Weir's triggers on a leaf: those that belong there, fire in every session, and are all of them: four. They know its columns.
CREATE OR REPLACE FUNCTION pgtrickle.leaf_has_triggers(leaf regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT EXISTS (SELECT FROM pgtrickle.weir_layouts l JOIN pg_class c ON c.oid = l.relid AND c.relnatts = l.attributes WHERE l.relid = leaf)
        AND count(*) = 4 AND bool_and(t.tgenabled = 'A'
        AND (t.tgname = 'weir_capture_truncate' OR t.tgname = ANY (pgtrickle.row_triggers(pg_partition_root(leaf)))))
    FROM pg_trigger t WHERE t.tgrelid = leaf AND (starts_with(t.tgname::text, 'weir_capture_') OR starts_with(t.tgname::text, 'weir_partition_'))
$body$;

-- A leaf that Postgres has given the row triggers of its root, and Weir not what it adds to them.
CREATE OR REPLACE FUNCTION pgtrickle.is_half_triggered(leaf regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = leaf AND t.tgname = ANY (pgtrickle.row_triggers(pg_partition_root(leaf))))
        AND NOT pgtrickle.leaf_has_triggers(leaf)
$body$;

-- The row triggers are on the root, for the leaves to come, and on every leaf.
CREATE OR REPLACE FUNCTION pgtrickle.has_row_triggers(root regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT NOT EXISTS (
        SELECT FROM (SELECT root UNION ALL SELECT l FROM pgtrickle.leaves(root) l WHERE l <> root) r (relid)
        WHERE (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = r.relid AND t.tgenabled = 'A' AND t.tgname = ANY (pgtrickle.row_triggers(root))) <> 3)
$body$;

-- For create_triggers. What is there already is left alone, for making it anew locks every partition.
CREATE OR REPLACE FUNCTION pgtrickle_changes.create_partition_triggers(root regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    stray record;
    event text;
    leaf regclass;
BEGIN
    -- Made for a table before it was attached, or for another database's root.
    FOR stray IN
        SELECT t.tgname AS name, t.tgrelid::regclass AS relid FROM pg_trigger t
        WHERE t.tgrelid IN (SELECT p.relid FROM pg_partition_tree(root) p) AND t.tgparentid = 0
            AND (starts_with(t.tgname::text, 'weir_partition_') AND t.tgname <> ALL (pgtrickle.row_triggers(root))
                OR starts_with(t.tgname::text, 'weir_capture_') AND t.tgname <> 'weir_capture_truncate')
    LOOP
        -- The root first, as everybody does who comes through it.
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', root);
        EXECUTE format('DROP TRIGGER %I ON %s', stray.name, stray.relid);
    END LOOP;
    IF NOT pgtrickle.has_row_triggers(root) THEN
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
            EXECUTE format('CREATE OR REPLACE TRIGGER weir_partition_%s_%s AFTER %s ON %s FOR EACH ROW
                                EXECUTE FUNCTION pgtrickle_changes.record_row(%s)', event, root::oid, event, root, root::oid);
            EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER weir_partition_%s_%s', root, event, root::oid);
        END LOOP;
    END IF;
    FOR leaf IN SELECT l FROM pgtrickle.leaves(root) l WHERE NOT pgtrickle.leaf_has_triggers(l) LOOP
        PERFORM pgtrickle_changes.complete_triggers(leaf);
    END LOOP;
END
$body$;

-- What a leaf needs besides the clones of its root's row triggers. Locks it only where the trigger is not there.
CREATE OR REPLACE FUNCTION pgtrickle_changes.complete_triggers(leaf regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO pgtrickle.weir_layouts SELECT c.oid, c.relnatts FROM pg_class c WHERE c.oid = leaf
    ON CONFLICT (relid) DO UPDATE SET attributes = excluded.attributes;
    IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = leaf AND t.tgname = 'weir_capture_truncate' AND t.tgenabled = 'A') THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER weir_capture_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT
                            EXECUTE FUNCTION pgtrickle_changes.record_change(0)', leaf);
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER weir_capture_truncate', leaf);
    END IF;
END
$body$;
