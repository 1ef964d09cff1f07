-- The graph of stream tables: what reads what, drawn as a tree, and where its branches meet again (diamonds).

-- Length of the longest way from a stream table down to base tables, counted in stream tables; 0 reads base tables only.
CREATE OR REPLACE FUNCTION pgtrickle.stream_table_levels() RETURNS TABLE (pgt_id bigint, level integer)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH RECURSIVE reads (reader, source) AS (
        SELECT d.pgt_id, s.pgt_id FROM pgtrickle.pgt_dependencies d JOIN pgtrickle.pgt_stream_tables s ON s.pgt_relid = d.source_relid
    ), ways (pgt_id, level) AS (
        SELECT s.pgt_id, 0 FROM pgtrickle.pgt_stream_tables s
        UNION
        SELECT r.reader, w.level + 1 FROM ways w JOIN reads r ON r.source = w.pgt_id
    )
    SELECT w.pgt_id, max(w.level) FROM ways w GROUP BY w.pgt_id
$body$;

-- One node and everything that hangs under it; a node with several parents appears under each. Dependants come before
-- base tables, both by qualified name.
CREATE OR REPLACE FUNCTION pgtrickle.dependency_subtree(relation oid, lead text, mark text, indent text, below integer)
RETURNS TABLE (tree_line text, node text, node_type text, depth integer, status text, refresh_mode text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
#variable_conflict use_variable
DECLARE
    st pgtrickle.pgt_stream_tables;
    child record;
    label text;
BEGIN
    SELECT s.* INTO st FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = relation;
    label := coalesce(st.pgt_schema || '.' || st.pgt_name,
        (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation));
    RETURN QUERY SELECT lead || mark || label || CASE WHEN st.pgt_id IS NULL THEN ' [src]' ELSE '' END, label,
        CASE WHEN st.pgt_id IS NULL THEN 'source_table' ELSE 'stream_table' END, below, st.status, st.refresh_mode;
    IF st.pgt_id IS NULL THEN RETURN; END IF;
    FOR child IN
        SELECT c.relid, row_number() OVER nodes = count(*) OVER () AS is_last
        FROM (
            SELECT s.pgt_relid AS relid, 0 AS kind, s.pgt_schema || '.' || s.pgt_name AS name
            FROM pgtrickle.pgt_dependencies d JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = d.pgt_id WHERE d.source_relid = relation
            UNION ALL
            SELECT d.source_relid, 1, n.nspname || '.' || c.relname
            FROM pgtrickle.pgt_dependencies d JOIN pg_class c ON c.oid = d.source_relid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE d.pgt_id = st.pgt_id AND d.source_type <> 'STREAM_TABLE'
        ) c
        WINDOW nodes AS (ORDER BY c.kind, c.name COLLATE "C")
        ORDER BY c.kind, c.name COLLATE "C"
    LOOP
        RETURN QUERY SELECT * FROM pgtrickle.dependency_subtree(child.relid, lead || indent,
            CASE WHEN child.is_last THEN '└── ' ELSE '├── ' END, CASE WHEN child.is_last THEN '    ' ELSE '│   ' END, below + 1);
    END LOOP;
END
$body$;

-- The whole graph. Roots are the stream tables that read no stream table; a single root carries no connector.
CREATE OR REPLACE FUNCTION pgtrickle.dependency_tree() RETURNS TABLE (
    tree_line text, node text, node_type text, depth integer, status text, refresh_mode text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH roots AS (
        SELECT s.pgt_relid, row_number() OVER (ORDER BY (s.pgt_schema || '.' || s.pgt_name) COLLATE "C") AS place, count(*) OVER () AS total
        FROM pgtrickle.pgt_stream_tables s
        WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = s.pgt_relid)
            AND NOT EXISTS (SELECT FROM pgtrickle.pgt_dependencies d WHERE d.pgt_id = s.pgt_id AND d.source_type = 'STREAM_TABLE')
    )
    SELECT t.tree_line, t.node, t.node_type, t.depth, t.status, t.refresh_mode
    FROM roots r, LATERAL pgtrickle.dependency_subtree(r.pgt_relid, '',
        CASE WHEN r.total = 1 THEN '' WHEN r.place = r.total THEN '└── ' ELSE '├── ' END,
        CASE WHEN r.total = 1 THEN '' WHEN r.place = r.total THEN '    ' ELSE '│   ' END, 0) WITH ORDINALITY AS t
    ORDER BY r.place, t.ordinality
$body$;

-- Groups of stream tables whose branches start at a common table and meet again. Two sources of a stream table (base tables
-- count) whose ancestors, themselves included, have a table in common make it a point of convergence; its group is itself
-- and the stream tables on the two branches that are not common to both. Groups that overlap are one. `group_id` counts
-- all groups of the graph in topological order, tables on their own included. `epoch` is always 0: the graph is not kept
-- between calls.
CREATE OR REPLACE FUNCTION pgtrickle.diamond_groups() RETURNS TABLE (
    group_id integer, member_name text, member_schema text, is_convergence boolean, epoch bigint, schedule_policy text
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
#variable_conflict use_column
DECLARE
    groups oid[] := '{}';      -- member i belongs to the group that is named by labels[i]
    labels integer[] := '{}';
    meeting record;
    fresh integer := 0;
    member oid;
    place integer;
    old integer;
    meetings oid[] := '{}';
BEGIN
    FOR meeting IN
        WITH RECURSIVE reads (reader, source) AS (
            SELECT s.pgt_relid, d.source_relid FROM pgtrickle.pgt_dependencies d JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = d.pgt_id
        ), ancestors (node, ancestor) AS (
            SELECT source, source FROM reads
            UNION
            SELECT a.node, r.source FROM ancestors a JOIN reads r ON r.reader = a.ancestor
        ), pairs AS (
            SELECT l.reader, l.source AS one, r.source AS other FROM reads l JOIN reads r ON r.reader = l.reader AND l.source < r.source
        )
        SELECT p.reader,
            ARRAY(SELECT p.reader UNION
                  SELECT a.ancestor FROM ancestors a JOIN pgtrickle.pgt_stream_tables s ON s.pgt_relid = a.ancestor
                  WHERE a.node IN (p.one, p.other) GROUP BY a.ancestor HAVING count(*) = 1) AS members
        FROM pairs p
        WHERE EXISTS (SELECT a.ancestor FROM ancestors a WHERE a.node IN (p.one, p.other) GROUP BY a.ancestor HAVING count(*) = 2)
    LOOP
        meetings := meetings || meeting.reader;
        fresh := fresh + 1;
        FOREACH member IN ARRAY meeting.members LOOP
            place := array_position(groups, member);
            IF place IS NULL THEN
                groups := groups || member;
                labels := labels || fresh;
            ELSIF labels[place] <> fresh THEN
                -- Two groups become one.
                old := labels[place];
                labels := array_replace(labels, old, fresh);
            END IF;
        END LOOP;
    END LOOP;
    RETURN QUERY
    WITH nodes AS (
        SELECT s.pgt_relid, s.pgt_name, s.pgt_schema, s.diamond_schedule_policy, l.level, labels[array_position(groups, s.pgt_relid)] AS label,
            s.pgt_relid = ANY (meetings) AS meets
        FROM pgtrickle.pgt_stream_tables s JOIN pgtrickle.stream_table_levels() l ON l.pgt_id = s.pgt_id
    ), numbered AS (
        SELECT n.*, first_value(n.level) OVER w AS first_level, first_value(n.pgt_schema || '.' || n.pgt_name) OVER w AS first_name
        FROM nodes n
        WINDOW w AS (PARTITION BY coalesce(n.label::text, n.pgt_schema || '.' || n.pgt_name) ORDER BY n.level, (n.pgt_schema || '.' || n.pgt_name) COLLATE "C")
    ), ranked AS (
        SELECT n.*, dense_rank() OVER (ORDER BY n.first_level, n.first_name COLLATE "C")::integer AS number FROM numbered n
    )
    SELECT r.number, r.pgt_name, r.pgt_schema, r.meets, 0::bigint,
        CASE WHEN bool_or(r.meets AND r.diamond_schedule_policy = 'slowest') OVER (PARTITION BY r.number) THEN 'slowest' ELSE 'fastest' END
    FROM ranked r WHERE r.label IS NOT NULL
    ORDER BY r.number, r.level, (r.pgt_schema || '.' || r.pgt_name) COLLATE "C";
END
$body$;

-- What a stream table reads directly, ordinary views in between looked through.
CREATE OR REPLACE FUNCTION pgtrickle.list_sources(name text) RETURNS TABLE (source_table text, source_oid oid, source_type text)
LANGUAGE sql STABLE AS $body$
    SELECT n.nspname || '.' || c.relname, c.oid, d.source_type
    FROM pgtrickle.pgt_dependencies d JOIN pg_catalog.pg_class c ON c.oid = d.source_relid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE d.pgt_id = (pgtrickle.find_stream_table(name)).pgt_id
    ORDER BY n.nspname, c.relname
$body$;
