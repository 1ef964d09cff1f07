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

-- The whole graph as a tree, read in one pass. Under a stream table hang those that read it, then its base tables, both by
-- qualified name; a node with several parents appears under each. Roots are the stream tables that read no stream table; a
-- single root carries no connector.
CREATE OR REPLACE FUNCTION pgtrickle.dependency_tree() RETURNS TABLE (
    tree_line text, node text, node_type text, depth integer, status text, refresh_mode text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH RECURSIVE edges AS MATERIALIZED (
        SELECT s.pgt_relid AS reader, d.source_relid AS source, d.source_type = 'STREAM_TABLE' AS is_between
        FROM pgtrickle.pgt_dependencies d JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = d.pgt_id
    ), hanging (parent, relid, kind) AS (
        SELECT e.source, e.reader, 0 FROM edges e WHERE e.is_between
        UNION ALL
        SELECT e.reader, e.source, 1 FROM edges e WHERE NOT e.is_between
        UNION ALL
        SELECT 0, s.pgt_relid, 0 FROM pgtrickle.pgt_stream_tables s
        WHERE NOT EXISTS (SELECT FROM edges e WHERE e.reader = s.pgt_relid AND e.is_between)
    ), children AS MATERIALIZED (
        SELECT h.parent, h.relid, k.name, s.pgt_id IS NULL AS is_base, s.status, s.refresh_mode,
            row_number() OVER siblings AS place, row_number() OVER siblings = count(*) OVER (PARTITION BY h.parent) AS is_last,
            h.parent = 0 AND count(*) OVER (PARTITION BY h.parent) = 1 AS is_only_root
        FROM hanging h JOIN pg_class c ON c.oid = h.relid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pgtrickle.pgt_stream_tables s ON s.pgt_relid = h.relid,
            LATERAL (SELECT coalesce(s.pgt_schema || '.' || s.pgt_name, n.nspname || '.' || c.relname)) k (name)
        WINDOW siblings AS (PARTITION BY h.parent ORDER BY h.kind, k.name COLLATE "C")
    ), tree AS (
        SELECT c.*, ARRAY[c.place] AS way, 0 AS depth, '' AS lead FROM children c WHERE c.parent = 0
        UNION ALL
        SELECT c.*, t.way || c.place, t.depth + 1, t.lead || CASE WHEN t.is_only_root THEN '' WHEN t.is_last THEN '    ' ELSE '│   ' END
        FROM tree t JOIN children c ON c.parent = t.relid
    )
    SELECT t.lead || CASE WHEN t.is_only_root THEN '' WHEN t.is_last THEN '└── ' ELSE '├── ' END || t.name
            || CASE WHEN t.is_base THEN ' [src]' ELSE '' END,
        t.name, CASE WHEN t.is_base THEN 'source_table' ELSE 'stream_table' END, t.depth, t.status, t.refresh_mode
    FROM tree t
    ORDER BY t.way
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
