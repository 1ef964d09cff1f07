-- Copies of a stream table's rows in tables of their own: what it showed at one moment, to compare with or to keep.

CREATE TABLE IF NOT EXISTS pgtrickle.pgt_snapshots (
    snapshot_id bigserial PRIMARY KEY,
    stream_table text NOT NULL,
    -- Both must be the table's: after a restore from pg_dump its oid may be another table's, and so may its name once it is dropped.
    snapshot_relid oid NOT NULL UNIQUE,
    snapshot_name name NOT NULL,
    row_count bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, DELETE ON pgtrickle.pgt_snapshots TO PUBLIC;
GRANT USAGE ON SEQUENCE pgtrickle.pgt_snapshots_snapshot_id_seq TO PUBLIC;
ALTER TABLE pgtrickle.pgt_snapshots ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS everyone_reads ON pgtrickle.pgt_snapshots;
CREATE POLICY everyone_reads ON pgtrickle.pgt_snapshots FOR SELECT USING (true);
DROP POLICY IF EXISTS owner_writes ON pgtrickle.pgt_snapshots;
CREATE POLICY owner_writes ON pgtrickle.pgt_snapshots FOR ALL
    USING (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = snapshot_relid AND pg_catalog.pg_has_role(c.relowner, 'USAGE')))
    WITH CHECK (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = snapshot_relid AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));

-- Copies the rows as the caller's transaction sees them, into `p_target` or a table named after the moment, which then
-- belongs to the caller. Its qualified name. 42P07: the target exists.
CREATE OR REPLACE FUNCTION pgtrickle.snapshot_stream_table(p_name text, p_target text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(p_name);
    target text := coalesce(p_target, format('%I.%I', st.pgt_schema,
        left(st.pgt_name, 40) || to_char(clock_timestamp() AT TIME ZONE 'UTC', '"_"YYYYMMDD"_"HH24MISS"_"US')));
    copied bigint;
    created regclass;
BEGIN
    IF array_length(parse_ident(target), 1) > 2 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid name "%s" for a snapshot', target);
    END IF;
    target := array_to_string(ARRAY(SELECT quote_ident(part) FROM unnest(parse_ident(target)) part), '.');
    EXECUTE format('CREATE TABLE %s AS SELECT * FROM %s', target, st.pgt_relid::regclass);
    GET DIAGNOSTICS copied = ROW_COUNT;
    created := to_regclass(target);
    -- Of a table that is gone, whose oid this one has now.
    DELETE FROM pgtrickle.pgt_snapshots s WHERE s.snapshot_relid = created;
    INSERT INTO pgtrickle.pgt_snapshots (stream_table, snapshot_relid, snapshot_name, row_count)
    SELECT st.pgt_schema || '.' || st.pgt_name, c.oid, c.relname, copied FROM pg_catalog.pg_class c WHERE c.oid = created;
    RETURN (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = created);
END
$body$;

-- Those whose table is still there, newest first.
CREATE OR REPLACE FUNCTION pgtrickle.list_snapshots() RETURNS TABLE (
    snapshot_table text, stream_table text, row_count bigint, created_at timestamptz
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT format('%I.%I', n.nspname, c.relname), s.stream_table, s.row_count, s.created_at
    FROM pgtrickle.pgt_snapshots s JOIN pg_class c ON c.oid = s.snapshot_relid AND c.relname = s.snapshot_name
    JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY s.snapshot_id DESC
$body$;

-- 42P01: no snapshot is called so.
CREATE OR REPLACE FUNCTION pgtrickle.drop_snapshot(p_snapshot text) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    relation regclass := to_regclass(p_snapshot);
BEGIN
    IF relation IS NULL OR NOT EXISTS (SELECT FROM pgtrickle.pgt_snapshots s JOIN pg_catalog.pg_class c
        ON c.oid = s.snapshot_relid AND c.relname = s.snapshot_name WHERE c.oid = relation) THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = format('snapshot "%s" does not exist', p_snapshot);
    END IF;
    DELETE FROM pgtrickle.pgt_snapshots s WHERE s.snapshot_relid = relation;
    EXECUTE format('DROP TABLE %s', relation);
END
$body$;
