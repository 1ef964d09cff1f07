-- Tables that others inherit from: each heir is a table of its own, watched, copied and kept as such.

-- The tables whose rows `SELECT … FROM relation` shows: the table itself and its heirs, or the leaves of a partitioned one.
CREATE OR REPLACE FUNCTION pgtrickle.tables_shown(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH RECURSIVE tree (relid) AS (
        SELECT relation::oid
        UNION
        SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.relid AND NOT i.inhdetachpending
    )
    SELECT c.oid::regclass FROM tree t JOIN pg_class c ON c.oid = t.relid WHERE c.relkind <> 'p'
$body$;

-- Why a table cannot be followed as long as others inherit from it; NULL where none do, or where it can.
CREATE OR REPLACE FUNCTION pgtrickle.heirs_obstacle(relation regclass) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
DECLARE
    heir regclass;
    other text;
BEGIN
    FOR heir IN SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = relation LOOP
        IF pgtrickle.capture_method() = 'trigger' THEN
            RETURN 'other tables inherit from it: what is written through it does not fire their statement triggers';
        END IF;
        -- Nothing in the stream would tell of a new heir before its first rows.
        IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'weir_ddl' AND evtenabled = 'A') THEN
            RETURN 'other tables inherit from it, and Weir may not install event triggers here (rows of a new heir would be missed)';
        END IF;
        other := pgtrickle.watch_obstacle(heir);
        IF other IS NOT NULL THEN
            RETURN format('heir %s: %s', heir, other);
        END IF;
    END LOOP;
    RETURN NULL;
END
$body$;
