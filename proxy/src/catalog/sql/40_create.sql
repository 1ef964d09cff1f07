-- create_stream_table and what it is made of. Everything runs as the caller and in the caller's transaction.

CREATE OR REPLACE FUNCTION pgtrickle.checked_refresh_mode(refresh_mode text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
BEGIN
    IF refresh_mode IS NULL OR upper(refresh_mode) NOT IN ('AUTO', 'FULL', 'DIFFERENTIAL', 'IMMEDIATE') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid refresh mode "%s"', refresh_mode),
            HINT = 'Use AUTO, FULL, DIFFERENTIAL or IMMEDIATE.';
    END IF;
    RETURN upper(refresh_mode);
END
$body$;

-- The text as one SELECT without a trailing semicolon. A cursor can be opened on one query only, and opening it runs
-- nothing; so further statements hidden in the text are found before any of it is executed.
CREATE OR REPLACE FUNCTION pgtrickle.checked_query(query text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    probe refcursor;
    stripped text := regexp_replace(query, '[;\s]+$', '');
BEGIN
    IF query IS NULL OR stripped = '' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the defining query is empty';
    END IF;
    BEGIN
        OPEN probe FOR EXECUTE stripped;
        CLOSE probe;
    EXCEPTION WHEN invalid_cursor_definition THEN
        RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = 'the defining query must be exactly one SELECT';
    END;
    RETURN stripped;
END
$body$;

-- The stored queries of a view and of the views below it. Materialised: a caller's regular expression, pushed below the
-- join, would read every view of the database.
CREATE OR REPLACE FUNCTION pgtrickle.stored_queries(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH trees AS MATERIALIZED (
        SELECT r.ev_action::text AS tree
        FROM pgtrickle.relations_below(relation) v JOIN pg_rewrite r ON r.ev_class = v AND r.rulename = '_RETURN'
    )
    SELECT tree FROM trees
$body$;

-- Functions called by a view or by the views below it.
CREATE OR REPLACE FUNCTION pgtrickle.called_functions(relation regclass) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT DISTINCT (m.part)[1]::oid
    FROM pgtrickle.stored_queries(relation) tree,
        LATERAL regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') AS m (part)
$body$;

-- Why the view `relation` cannot be maintained from deltas, as far as Postgres can tell; NULL when nothing was found.
CREATE OR REPLACE FUNCTION pgtrickle.differential_obstacle(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT reason FROM (
        SELECT format('function %s is volatile', p.oid::regprocedure)
        FROM pgtrickle.called_functions(relation) f JOIN pg_proc p ON p.oid = f
        -- A body in SQL is looked at, whatever is said of it.
        WHERE p.provolatile = 'v' AND p.prolang <> (SELECT l.oid FROM pg_language l WHERE l.lanname = 'sql')
        UNION ALL
        SELECT format('table %s cannot be watched: %s', b, pgtrickle.watch_obstacle(b))
        FROM pgtrickle.base_tables(relation) b WHERE pgtrickle.watch_obstacle(b) IS NOT NULL
    ) AS obstacles (reason) ORDER BY reason LIMIT 1
$body$;

-- The view `relation`, or a view below it, reads the date or time: its rows change with no write. Where it does so other than in
-- comparisons with its rows, such a stream table is evaluated by Postgres at every turn of its schedule. (`SQLVALUEFUNCTION` of an :op up to 8 is CURRENT_DATE to LOCALTIMESTAMP,
-- enum SQLValueFunctionOp in primnodes.h; above, users and schemas.)
CREATE OR REPLACE FUNCTION pgtrickle.reads_clock(relation regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT EXISTS (SELECT FROM pgtrickle.called_functions(relation) f JOIN pg_proc p ON p.oid = f
            WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp'))
        OR EXISTS (SELECT FROM pgtrickle.stored_queries(relation) tree WHERE tree ~ '\{SQLVALUEFUNCTION :op [0-8] ')
$body$;

-- Why one evaluation of the view `relation` cannot serve every reader; NULL when it can. Built-in functions that read
-- nothing but TimeZone, DateStyle and the like are fine: those settings are compared per reader. The clock is: see reads_clock.
CREATE OR REPLACE FUNCTION pgtrickle.reader_obstacle(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT coalesce(
        (SELECT format('function %s may answer differently for another reader or moment', p.oid::regprocedure)
         FROM pgtrickle.called_functions(relation) f JOIN pg_proc p ON p.oid = f
         WHERE p.pronamespace <> 'pg_catalog'::regnamespace OR p.provolatile = 'v'
            OR (p.provolatile = 's' AND p.proname NOT IN ('date_trunc', 'date_part', 'extract', 'to_char', 'timezone', 'date', 'timestamp',
                'timestamptz', 'time', 'timetz', 'text', 'concat', 'concat_ws', 'format', 'to_json', 'to_jsonb', 'json_agg', 'jsonb_agg',
                'json_object_agg', 'jsonb_object_agg', 'json_build_object', 'jsonb_build_object', 'json_build_array', 'jsonb_build_array',
                'row_to_json', 'array_to_string', 'array_to_json', 'string_agg', 'make_timestamptz', 'timestamptz_pl_interval',
                'timestamptz_mi_interval', 'interval_pl_timestamptz', 'to_timestamp', 'to_date', 'to_number', 'generate_series',
                'now', 'transaction_timestamp', 'statement_timestamp')
                AND p.proname !~ '^(date|timestamp|timestamptz)_(lt|le|eq|ne|ge|gt)_(date|timestamp|timestamptz)$')
         ORDER BY 1 LIMIT 1),
        (SELECT 'it reads the current user or schema'
         FROM pgtrickle.stored_queries(relation) tree WHERE tree ~ '\{SQLVALUEFUNCTION :op ([9]|[1-9][0-9]) ' LIMIT 1))
$body$;

-- What CREATE VIEW accepts and a stream table must not be; raises.
CREATE OR REPLACE FUNCTION pgtrickle.check_view(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
DECLARE
    tree text := (SELECT r.ev_action::text FROM pg_rewrite r WHERE r.ev_class = relation AND r.rulename = '_RETURN');
    bad text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0) THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'a stream table must have at least one column';
    END IF;
    IF tree ~ ':rowMarks \(' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'FOR UPDATE and FOR SHARE are not allowed in a stream table',
            DETAIL = 'A read that Postgres answers would lock rows.';
    END IF;
    IF tree ~ ':varattno -[0-9]' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'system columns (ctid, xmin, tableoid, …) are not allowed in a stream table';
    END IF;
    SELECT a.attname INTO bad FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND (starts_with(a.attname, '__pgt_') OR starts_with(a.attname, '__pgs_')) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('column name "%s" is reserved', bad),
            DETAIL = 'The prefixes __pgt_ and __pgs_ are reserved.';
    END IF;
    IF EXISTS (
        WITH RECURSIVE below (relid) AS (
            SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
            WHERE r.ev_class = relation AND r.rulename = '_RETURN'
            UNION
            SELECT d.refobjid FROM below b JOIN pg_rewrite r ON r.ev_class = b.relid AND r.rulename = '_RETURN'
            JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                AND (d.refobjid <> r.ev_class)
            WHERE b.relid <> relation
        ) SELECT FROM below WHERE relid = relation
    ) OR tree ~ (':relid ' || relation::oid || ' [^{}]*:inFromCl true') THEN
        RAISE EXCEPTION USING ERRCODE = '3F000', MESSAGE = format('cycle detected: stream table %s would read itself', relation);
    END IF;
END
$body$;

-- Views that Postgres could update get conditional rules, so that a write fails with Postgres' own 55000.
CREATE OR REPLACE FUNCTION pgtrickle.make_read_only(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $body$
DECLARE
    event text;
BEGIN
    IF pg_relation_is_updatable(relation, false) <> 0 THEN
        FOREACH event IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
            EXECUTE format('CREATE OR REPLACE RULE %I AS ON %s TO %s WHERE false DO INSTEAD NOTHING',
                'stream_table_is_read_only_' || lower(event), event, relation);
        END LOOP;
    END IF;
END
$body$;

-- The settings a definition's meaning may depend on, as the caller has them now.
CREATE OR REPLACE FUNCTION pgtrickle.current_pinned_settings() RETURNS jsonb
LANGUAGE sql STABLE AS $body$
    SELECT pg_catalog.jsonb_build_object(
        'TimeZone', pg_catalog.current_setting('TimeZone'), 'DateStyle', pg_catalog.current_setting('DateStyle'),
        'IntervalStyle', pg_catalog.current_setting('IntervalStyle'),
        'extra_float_digits', pg_catalog.current_setting('extra_float_digits'),
        'bytea_output', pg_catalog.current_setting('bytea_output'),
        'search_path', pg_catalog.current_setting('search_path'), 'role', current_user)
$body$;

-- Puts the base tables under the view under watch, or decides that Postgres has to evaluate it. Returns the mode.
CREATE OR REPLACE FUNCTION pgtrickle.prepare_sources(relation regclass, requested text, query text, settings jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $body$
DECLARE
    obstacle text := pgtrickle.differential_obstacle(relation);
    verdict jsonb;
    tables regclass[];
BEGIN
    PERFORM pgtrickle.check_capture();
    IF obstacle IS NULL AND requested IN ('DIFFERENTIAL', 'IMMEDIATE') AND query IS NOT NULL AND pgtrickle.weir_is_connected() THEN
        verdict := pgtrickle.ask_weir(jsonb_build_object('ask', 'validate', 'query', query, 'settings', settings), interval '2 s');
        obstacle := verdict ->> 'unsupported';
    END IF;
    IF obstacle IS NOT NULL AND requested = 'DIFFERENTIAL' AND pgtrickle.reads_clock(relation) THEN
        RAISE WARNING USING MESSAGE = format('stream table %s will be refreshed with FULL on its schedule: it reads the time other than in comparisons that can be followed', relation),
            DETAIL = obstacle;
        requested := 'AUTO';
    ELSIF obstacle IS NOT NULL AND requested IN ('DIFFERENTIAL', 'IMMEDIATE') THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format('stream table %s cannot be maintained incrementally: %s', relation, obstacle),
            HINT = 'Use refresh_mode => ''AUTO'' or ''FULL'' to have Postgres evaluate the query on its schedule.';
    END IF;
    IF obstacle IS NOT NULL AND requested = 'AUTO' AND NOT pgtrickle.reads_clock(relation) THEN
        RAISE NOTICE USING MESSAGE = format('stream table %s will be refreshed with FULL: %s', relation, obstacle);
    END IF;
    SELECT array_agg(b) INTO tables FROM pgtrickle.base_tables(relation) b WHERE pgtrickle.watch_obstacle(b) IS NULL;
    IF tables IS NOT NULL THEN
        PERFORM pgtrickle.watch(tables);
    END IF;
    RETURN CASE WHEN requested <> 'AUTO' THEN requested WHEN obstacle IS NULL THEN 'DIFFERENTIAL' ELSE 'FULL' END;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.create_stream_table(
    name text, query text, schedule text DEFAULT 'calculated', refresh_mode text DEFAULT 'AUTO', initialize boolean DEFAULT true,
    diamond_consistency text DEFAULT NULL, diamond_schedule_policy text DEFAULT NULL, cdc_mode text DEFAULT NULL,
    append_only boolean DEFAULT false, pooler_compatibility_mode boolean DEFAULT false, partition_by text DEFAULT NULL,
    max_differential_joins integer DEFAULT NULL, max_delta_fraction double precision DEFAULT NULL,
    output_distribution_column text DEFAULT NULL, temporal boolean DEFAULT false, storage_backend text DEFAULT NULL,
    fillfactor integer DEFAULT NULL, target_freshness text DEFAULT NULL, orchestration_mode text DEFAULT 'MANAGED',
    sink text DEFAULT NULL, ducklake_sink_path text DEFAULT NULL, ducklake_sink_table_id bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    parts text[] := parse_ident(name);
    target_schema text := CASE WHEN array_length(parts, 1) = 2 THEN parts[1] ELSE current_schema() END;
    target_name text := parts[array_length(parts, 1)];
    wanted_mode text := pgtrickle.checked_refresh_mode(refresh_mode);
    wanted_schedule text := pgtrickle.checked_schedule(schedule);
    body text;
    relation regclass;
    mode text;
    path text := current_setting('search_path');
BEGIN
    IF array_length(parts, 1) > 2 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid stream table name "%s"', name),
            HINT = 'Use table or schema.table.';
    END IF;
    IF target_schema IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '3F000', MESSAGE = 'no schema has been selected to create in';
    END IF;
    IF starts_with(target_name, '__pgt_') OR starts_with(target_name, '__pgs_') OR target_schema IN ('pgtrickle', 'pgtrickle_changes') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('stream table name "%s" is reserved', name);
    END IF;
    PERFORM pgtrickle.check_options(wanted_mode, diamond_consistency, diamond_schedule_policy, cdc_mode, max_differential_joins,
        max_delta_fraction, output_distribution_column, partition_by, temporal, storage_backend, fillfactor, orchestration_mode, sink,
        ducklake_sink_path, ducklake_sink_table_id);
    IF wanted_mode = 'IMMEDIATE' THEN wanted_schedule := NULL; END IF;
    IF to_regclass(format('%I.%I', target_schema, target_name)) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P07', MESSAGE = format('relation "%s" already exists', target_name);
    END IF;
    body := pgtrickle.checked_query(query);
    EXECUTE format('CREATE VIEW %I.%I AS %s', target_schema, target_name, body);
    relation := to_regclass(format('%I.%I', target_schema, target_name));
    PERFORM pgtrickle.check_view(relation);
    PERFORM pgtrickle.make_read_only(relation);
    mode := pgtrickle.prepare_sources(relation, wanted_mode, body, pgtrickle.current_pinned_settings());
    -- A row whose view was dropped behind our back gives way to its successor; the owner's policy hides nothing here,
    -- because such a row belongs to nobody.
    INSERT INTO pgtrickle.pgt_stream_tables (pgt_relid, pgt_name, pgt_schema, defining_query, original_query, schedule, refresh_mode,
        requested_refresh_mode, diamond_consistency, diamond_schedule_policy, requested_cdc_mode, is_append_only, max_differential_joins,
        max_delta_fraction, pooler_compatibility_mode, st_partition_key, storage_backend, storage_fillfactor, target_freshness,
        orchestration_mode, initialize, sink, ducklake_sink_mode, ducklake_sink_path, ducklake_sink_table_id, pinned_settings,
        defining_search_path)
    VALUES (relation, target_name, target_schema, pg_get_viewdef(relation), query, wanted_schedule, mode, wanted_mode,
        coalesce(lower(diamond_consistency), 'atomic'), coalesce(lower(diamond_schedule_policy), 'fastest'), lower(cdc_mode), append_only,
        max_differential_joins, max_delta_fraction, pooler_compatibility_mode, partition_by, storage_backend, fillfactor, target_freshness,
        upper(orchestration_mode), initialize, lower(sink), CASE WHEN sink IS NULL THEN NULL ELSE 'delta' END, ducklake_sink_path,
        ducklake_sink_table_id, pgtrickle.current_pinned_settings(), path);
END
$body$;

-- Options of both generations of pg_trickle: checked by value, refused by name.
CREATE OR REPLACE FUNCTION pgtrickle.check_options(
    refresh_mode text, diamond_consistency text, diamond_schedule_policy text, cdc_mode text, max_differential_joins integer,
    max_delta_fraction double precision, output_distribution_column text, partition_by text, temporal boolean, storage_backend text,
    fillfactor integer, orchestration_mode text, sink text, ducklake_sink_path text, ducklake_sink_table_id bigint
) RETURNS void LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
DECLARE
    problem text := CASE
        WHEN lower(diamond_consistency) NOT IN ('atomic', 'none') THEN format('invalid diamond_consistency "%s" (atomic or none)', diamond_consistency)
        WHEN lower(diamond_schedule_policy) NOT IN ('fastest', 'slowest') THEN format('invalid diamond_schedule_policy "%s" (fastest or slowest)', diamond_schedule_policy)
        WHEN lower(cdc_mode) NOT IN ('auto', 'trigger', 'wal') THEN format('invalid cdc_mode "%s" (auto, trigger or wal)', cdc_mode)
        WHEN lower(cdc_mode) = 'wal' AND refresh_mode = 'IMMEDIATE' THEN 'cdc_mode "wal" does not go with refresh_mode IMMEDIATE'
        WHEN max_differential_joins < 0 THEN 'max_differential_joins must not be negative'
        WHEN max_delta_fraction NOT BETWEEN 0 AND 1 THEN 'max_delta_fraction must be between 0 and 1'
        WHEN fillfactor NOT BETWEEN 10 AND 100 THEN 'fillfactor must be between 10 and 100'
        WHEN upper(orchestration_mode) NOT IN ('MANAGED', 'EXTERNAL') OR orchestration_mode IS NULL THEN format('invalid orchestration_mode "%s" (MANAGED or EXTERNAL)', orchestration_mode)
        WHEN lower(sink) <> 'ducklake' THEN format('unknown sink "%s" (only ducklake is known)', sink)
        WHEN lower(sink) = 'ducklake' AND ducklake_sink_path IS NULL THEN 'sink "ducklake" needs ducklake_sink_path'
        WHEN sink IS NULL AND ducklake_sink_path IS NOT NULL THEN 'ducklake_sink_path needs sink => ''ducklake'''
        WHEN sink IS NULL AND ducklake_sink_table_id IS NOT NULL THEN 'ducklake_sink_table_id needs sink => ''ducklake'''
    END;
    unsupported text := CASE
        WHEN temporal THEN 'temporal'
        WHEN output_distribution_column IS NOT NULL THEN 'output_distribution_column'
        WHEN lower(storage_backend) <> 'heap' THEN 'storage_backend'
        WHEN upper(orchestration_mode) = 'EXTERNAL' THEN 'orchestration_mode => ''EXTERNAL'''
    END;
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem;
    END IF;
    IF unsupported IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('option %s is not supported', unsupported);
    END IF;
    IF partition_by IS NOT NULL OR fillfactor IS NOT NULL THEN
        RAISE NOTICE 'partition_by and fillfactor have no effect: the rows of a stream table are kept in memory';
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.create_stream_table_if_not_exists(
    name text, query text, schedule text DEFAULT 'calculated', refresh_mode text DEFAULT 'AUTO', initialize boolean DEFAULT true,
    diamond_consistency text DEFAULT NULL, diamond_schedule_policy text DEFAULT NULL, cdc_mode text DEFAULT NULL,
    append_only boolean DEFAULT false, pooler_compatibility_mode boolean DEFAULT false, partition_by text DEFAULT NULL,
    max_differential_joins integer DEFAULT NULL, max_delta_fraction double precision DEFAULT NULL,
    output_distribution_column text DEFAULT NULL, temporal boolean DEFAULT false, storage_backend text DEFAULT NULL,
    fillfactor integer DEFAULT NULL, target_freshness text DEFAULT NULL, orchestration_mode text DEFAULT 'MANAGED',
    sink text DEFAULT NULL, ducklake_sink_path text DEFAULT NULL, ducklake_sink_table_id bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
BEGIN
    IF EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = to_regclass(create_stream_table_if_not_exists.name)::oid) THEN
        RAISE INFO 'stream table "%" already exists, skipping', name;
        RETURN;
    END IF;
    PERFORM pgtrickle.create_stream_table(name, query, schedule, refresh_mode, initialize, diamond_consistency, diamond_schedule_policy,
        cdc_mode, append_only, pooler_compatibility_mode, partition_by, max_differential_joins, max_delta_fraction,
        output_distribution_column, temporal, storage_backend, fillfactor, target_freshness, orchestration_mode, sink,
        ducklake_sink_path, ducklake_sink_table_id);
END
$body$;
