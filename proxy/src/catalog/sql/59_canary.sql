-- A new definition tried beside the present one: a stream table `<name>__canary` that is maintained like any other, compared
-- with its elder, and put in its place.

CREATE OR REPLACE FUNCTION pgtrickle.canary_name(st pgtrickle.pgt_stream_tables) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT quote_ident(st.pgt_schema) || '.' || quote_ident(st.pgt_name || '__canary')
$body$;

-- Its name. 42P07: one is under way.
CREATE OR REPLACE FUNCTION pgtrickle.canary_begin(name text, new_query text) RETURNS text LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
BEGIN
    PERFORM pgtrickle.check_owner(st.pgt_relid);
    PERFORM pgtrickle.create_stream_table(pgtrickle.canary_name(st), new_query, coalesce(st.schedule, 'calculated'), st.requested_refresh_mode);
    RETURN pgtrickle.canary_name(st);
END
$body$;

-- Both as this transaction sees them. Rows are compared where the columns are the same; a row that occurs twice counts twice.
CREATE OR REPLACE FUNCTION pgtrickle.canary_diff(name text) RETURNS TABLE (property text, value text)
LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    canary pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(pgtrickle.canary_name(st));
    columns_of CONSTANT text := 'SELECT string_agg(format(''%I %s'', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), '', '' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped';
    columns_now text;
    columns_then text;
    count bigint;
    side record;
BEGIN
    EXECUTE columns_of INTO columns_now USING st.pgt_relid;
    EXECUTE columns_of INTO columns_then USING canary.pgt_relid;
    RETURN QUERY VALUES ('columns_current', columns_now), ('columns_canary', columns_then);
    FOR side IN SELECT * FROM (VALUES ('current', st.pgt_relid, canary.pgt_relid), ('canary', canary.pgt_relid, st.pgt_relid)) v (label, own, other) LOOP
        EXECUTE format('SELECT count(*) FROM %s', side.own::regclass) INTO count;
        RETURN QUERY SELECT 'rows_' || side.label, count::text;
        IF columns_now = columns_then THEN
            EXECUTE format('SELECT count(*) FROM (SELECT t::text FROM %s t EXCEPT ALL SELECT t::text FROM %s t) d', side.own::regclass, side.other::regclass) INTO count;
            RETURN QUERY SELECT 'rows_only_in_' || side.label, count::text;
        END IF;
    END LOOP;
END
$body$;

-- The canary's definition becomes the table's, and the canary goes.
CREATE OR REPLACE FUNCTION pgtrickle.canary_promote(name text) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    canary pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(pgtrickle.canary_name(st));
BEGIN
    PERFORM pgtrickle.drop_stream_table(pgtrickle.canary_name(st));
    PERFORM pgtrickle.alter_stream_table(format('%I.%I', st.pgt_schema, st.pgt_name), query => canary.original_query);
END
$body$;
