-- Operating stream tables: several at once, service levels, starting afresh, write and refresh.

-- Drops them in the order given, all or none; how many.
CREATE OR REPLACE FUNCTION pgtrickle.bulk_drop_stream_tables(names text[]) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY names LOOP
        PERFORM pgtrickle.drop_stream_table(one);
    END LOOP;
    RETURN coalesce(array_length(names, 1), 0);
END
$body$;

-- The same change to several, all or none; how many. The keys of `params` are arguments of alter_stream_table.
CREATE OR REPLACE FUNCTION pgtrickle.bulk_alter_stream_tables(names text[], params json) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    one text;
    arguments text;
    unknown text;
BEGIN
    WITH parameters (parameter, type) AS (
        SELECT n.name, format_type(t.type, NULL)
        FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY AS n (name, place), unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, place)
        WHERE p.pronamespace = 'pgtrickle'::regnamespace AND p.proname = 'alter_stream_table' AND n.place = t.place AND n.name <> 'name'
    )
    SELECT string_agg(format('%I => %L::%s', k.key, k.value, p.type), ', '), string_agg(k.key, ', ') FILTER (WHERE p.parameter IS NULL)
    INTO arguments, unknown
    FROM json_each_text(params) k (key, value) LEFT JOIN parameters p ON p.parameter = k.key;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('unknown key: %s', unknown);
    END IF;
    FOREACH one IN ARRAY names LOOP
        EXECUTE format('SELECT pgtrickle.alter_stream_table(%L, %s)', one, arguments);
    END LOOP;
    RETURN coalesce(array_length(names, 1), 0);
END
$body$;

-- Suspends every active stream table of the caller; how many.
CREATE OR REPLACE FUNCTION pgtrickle.pause_all() RETURNS integer LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables;
    changed integer := 0;
BEGIN
    FOR st IN SELECT s.* FROM pgtrickle.pgt_stream_tables s JOIN pg_catalog.pg_class c ON c.oid = s.pgt_relid
        WHERE s.status <> 'SUSPENDED' AND pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY s.pgt_id LOOP
        PERFORM pgtrickle.pause_stream_table(format('%I.%I', st.pgt_schema, st.pgt_name));
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END
$body$;

-- Resumes every suspended stream table of the caller; how many.
CREATE OR REPLACE FUNCTION pgtrickle.resume_all() RETURNS integer LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables;
    changed integer := 0;
BEGIN
    FOR st IN SELECT s.* FROM pgtrickle.pgt_stream_tables s JOIN pg_catalog.pg_class c ON c.oid = s.pgt_relid
        WHERE s.status = 'SUSPENDED' AND pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY s.pgt_id LOOP
        PERFORM pgtrickle.resume_stream_table(format('%I.%I', st.pgt_schema, st.pgt_name));
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END
$body$;

-- Plans and populates it again from the base tables, whatever state it is in.
CREATE OR REPLACE FUNCTION pgtrickle.reinitialize_stream_table(name text) RETURNS void LANGUAGE sql VOLATILE AS $body$
    SELECT pgtrickle.alter_stream_table(name, status => 'ACTIVE')
$body$;

-- Puts back what somebody may have taken away: the watching of its base tables and the rules that refuse writes. Says what
-- it looked at.
CREATE OR REPLACE FUNCTION pgtrickle.repair_stream_table(name text) RETURNS text LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    tables regclass[];
BEGIN
    PERFORM pgtrickle.check_owner(st.pgt_relid);
    SELECT array_agg(b ORDER BY b::text) INTO tables FROM pgtrickle.base_tables(st.pgt_relid) b WHERE pgtrickle.watch_obstacle(b) IS NULL;
    IF tables IS NOT NULL THEN PERFORM pgtrickle.watch(tables); END IF;
    PERFORM pgtrickle.make_read_only(st.pgt_relid);
    PERFORM pgtrickle.reinitialize_stream_table(name);
    RETURN format('watched: %s; populated again', coalesce(array_to_string(tables, ', '), 'no table'));
END
$body$;

-- Runs one statement and asks for a refresh; both count when the caller's transaction commits.
CREATE OR REPLACE FUNCTION pgtrickle.write_and_refresh(sql text, name text) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
BEGIN
    EXECUTE sql;
    PERFORM pgtrickle.refresh_stream_table(name);
END
$body$;

-- The tier that keeps a table within this age: at most 5 s hot, 30 s warm, else cold.
CREATE OR REPLACE FUNCTION pgtrickle.set_stream_table_sla(name text, sla interval) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
BEGIN
    IF sla IS NULL OR sla < interval '1 second' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the service level must be at least 1 second';
    END IF;
    PERFORM pgtrickle.alter_stream_table(name, tier => CASE WHEN sla <= interval '5 s' THEN 'hot' WHEN sla <= interval '30 s' THEN 'warm' ELSE 'cold' END);
END
$body$;
