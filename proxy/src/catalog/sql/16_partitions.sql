-- Partitioned tables are followed leaf by leaf: the leaves, and the replica identities that Weir has changed.

-- The table itself, or all leaves of a partitioned one. By pg_inherits: pg_partition_tree locks every partition, and would wait
-- for whoever truncates one.
CREATE OR REPLACE FUNCTION pgtrickle.leaves(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH RECURSIVE tree (relid) AS (
        SELECT relation::oid
        UNION ALL
        SELECT i.inhrelid FROM tree t JOIN pg_class p ON p.oid = t.relid AND p.relkind = 'p'
        JOIN pg_inherits i ON i.inhparent = p.oid AND NOT i.inhdetachpending
    )
    SELECT c.oid::regclass FROM tree t JOIN pg_class c ON c.oid = t.relid WHERE c.relkind <> 'p'
$body$;

-- Since when the table is a partition of what: another text whenever it, or what it is below, has been detached and attached. NULL
-- for a table that is no partition.
CREATE OR REPLACE FUNCTION pgtrickle.membership(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT string_agg(concat_ws(':', i.inhrelid, i.inhparent, i.xmin), ',' ORDER BY i.inhrelid)
    FROM pg_partition_ancestors(relation) a JOIN pg_inherits i ON i.inhrelid = a.relid
$body$;

-- Tables that Weir has given REPLICA IDENTITY FULL, and what they had before: to be given back, also when they have left
-- the partitioned table for whose sake they were watched.
CREATE TABLE IF NOT EXISTS pgtrickle.weir_identities (
    relid oid PRIMARY KEY,
    -- `pg_class.relreplident`, and the index if it is `i`
    identity "char" NOT NULL,
    index oid
);

CREATE OR REPLACE FUNCTION pgtrickle_changes.note_identity(relation regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $body$
    INSERT INTO pgtrickle.weir_identities
    SELECT c.oid, c.relreplident, (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)
    FROM pg_class c WHERE c.oid = relation AND c.relreplident <> 'f'
    ON CONFLICT (relid) DO UPDATE SET identity = excluded.identity, index = excluded.index
$body$;

-- Gives a table the replica identity it had before Weir changed it. If others have changed it since, it is theirs.
CREATE OR REPLACE FUNCTION pgtrickle_changes.restore_identity(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    before text;
BEGIN
    SELECT CASE w.identity WHEN 'n' THEN 'NOTHING'
        WHEN 'i' THEN coalesce((SELECT format('USING INDEX %I', i.relname) FROM pg_class i WHERE i.oid = w.index), 'DEFAULT')
        ELSE 'DEFAULT' END INTO before
    FROM pgtrickle.weir_identities w JOIN pg_class c ON c.oid = w.relid AND c.relkind = 'r' AND c.relreplident = 'f'
    WHERE w.relid = relation;
    IF before IS NOT NULL THEN
        EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY %s', relation::regclass, before);
    END IF;
    DELETE FROM pgtrickle.weir_identities w WHERE w.relid = relation;
END
$body$;

-- For the event trigger, which runs as whoever made the partition: notes the identity of a leaf that is published with its root;
-- completes the triggers of a leaf that has those of its root, while it is locked anyhow.
CREATE OR REPLACE FUNCTION pgtrickle.note_leaf(leaf regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF pgtrickle.capture_method() = 'wal' AND pgtrickle.is_published(leaf) THEN
        PERFORM pgtrickle_changes.note_identity(leaf);
    END IF;
    IF pgtrickle.capture_method() = 'trigger' AND pgtrickle.is_half_triggered(leaf) AND pgtrickle.watch_obstacle(leaf) IS NULL THEN
        PERFORM pgtrickle_changes.complete_triggers(leaf);
    END IF;
END
$body$;
REVOKE ALL ON FUNCTION pgtrickle.note_leaf(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgtrickle.note_leaf(regclass) TO PUBLIC;
