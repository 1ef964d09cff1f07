-- What users look at: status of all stream tables, and the comparison of memory with the view.

-- The nine columns of pg_trickle first, then the ones its users expect to find.
CREATE OR REPLACE FUNCTION pgtrickle.pgt_status() RETURNS TABLE (
    name text, status text, refresh_mode text, is_populated boolean, consecutive_errors integer, schedule text,
    data_timestamp timestamptz, staleness interval, scc_id integer, pgt_id bigint, pgt_schema text, pgt_name text,
    effective_refresh_mode text, last_error_message text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT s.pgt_schema || '.' || s.pgt_name, s.status, s.refresh_mode, s.is_populated, s.consecutive_errors, s.schedule,
        s.data_timestamp, clock_timestamp() - s.data_timestamp, s.scc_id, s.pgt_id, s.pgt_schema, s.pgt_name,
        s.effective_refresh_mode, s.last_error_message
    FROM pgtrickle.pgt_stream_tables s
    WHERE EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = s.pgt_schema AND c.relname = s.pgt_name AND c.relkind = 'v')
    ORDER BY s.pgt_id
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.get_refresh_history(name text, max_rows integer DEFAULT 20) RETURNS TABLE (
    refresh_id bigint, data_timestamp timestamptz, start_time timestamptz, end_time timestamptz, action text, status text,
    rows_inserted bigint, rows_deleted bigint, duration_ms double precision, error_message text
) LANGUAGE sql STABLE AS $body$
    SELECT h.refresh_id, h.data_timestamp, h.start_time, h.end_time, h.action, h.status, h.rows_inserted, h.rows_deleted,
        h.duration_ms, h.error_message
    FROM pgtrickle.pgt_refresh_history h WHERE h.pgt_id = (pgtrickle.find_stream_table(name)).pgt_id
    ORDER BY h.refresh_id DESC LIMIT max_rows
$body$;

-- Compares the rows in memory with the view evaluated by Postgres, both as of one snapshot. `missing`: rows of the view
-- that memory lacks; `extra`: rows of memory that the view lacks (as multisets, by their images).
CREATE OR REPLACE FUNCTION pgtrickle.verify_stream_table(name text) RETURNS TABLE (
    "position" pg_lsn, rows_in_memory bigint, rows_in_view bigint, missing bigint, extra bigint, ok boolean
) LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    answer jsonb;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION USING ERRCODE = '25001', MESSAGE = 'verify_stream_table needs a READ COMMITTED transaction',
            DETAIL = 'The answer arrives after this transaction''s snapshot was taken.';
    END IF;
    IF NOT pgtrickle.weir_is_connected() THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'no Weir is connected to this database',
            HINT = 'Start "weir serve" with this database as its upstream.';
    END IF;
    answer := pgtrickle.ask_weir(jsonb_build_object('ask', 'verify', 'pgt_id', st.pgt_id), interval '60 s');
    IF answer IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('Weir did not verify stream table "%s" within 60 s', name),
            HINT = 'See the log of weir serve.';
    END IF;
    IF answer ? 'error' THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('stream table "%s" cannot be verified: %s', name, answer ->> 'error');
    END IF;
    RETURN QUERY SELECT (answer ->> 'position')::pg_lsn, (answer ->> 'rows_in_memory')::bigint, (answer ->> 'rows_in_view')::bigint,
        (answer ->> 'missing')::bigint, (answer ->> 'extra')::bigint,
        (answer ->> 'missing')::bigint = 0 AND (answer ->> 'extra')::bigint = 0;
END
$body$;
