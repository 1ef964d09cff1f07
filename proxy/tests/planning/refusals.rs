//! What is not evaluated exactly is refused, in the words of SQL.

use crate::rig::Rig;
use weir_proxy::analysis::PlanError;

const SCHEMA: &str = "
    CREATE TABLE t (id int PRIMARY KEY, a int, b text, c numeric, ts timestamptz, j jsonb, arr int[]);
    CREATE TABLE u (id int PRIMARY KEY, t_id int);
    CREATE UNLOGGED TABLE unlogged (id int);
    CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
    CREATE TABLE part (id int) PARTITION BY RANGE (id);
    CREATE TABLE odd (id int) PARTITION BY RANGE (id); CREATE UNLOGGED TABLE odd_leaf PARTITION OF odd DEFAULT;
    CREATE TABLE mother (id int); CREATE UNLOGGED TABLE child () INHERITS (mother);
    CREATE TABLE aunt (id int PRIMARY KEY, n int); CREATE TABLE niece () INHERITS (aunt);
    CREATE MATERIALIZED VIEW mat AS SELECT 1 AS id;
    CREATE FUNCTION mine(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
    CREATE FUNCTION two(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2; SELECT $1';
    CREATE FUNCTION today(int) RETURNS date LANGUAGE sql AS $$ SELECT date 'today' + $1 $$;
    CREATE FUNCTION other(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
    CREATE FUNCTION kept(a int, b int DEFAULT 1) RETURNS int IMMUTABLE RETURN a + b;
    CREATE FUNCTION own(a int) RETURNS int SECURITY DEFINER RETURN a;
    CREATE FUNCTION moment() RETURNS timestamptz RETURN now();
    CREATE FUNCTION untrue(a timestamp) RETURNS text IMMUTABLE RETURN to_char(a, 'YYYY');
    CREATE FUNCTION of_rows() RETURNS bigint RETURN (SELECT count(*) FROM pg_class);
    CREATE TABLE made (id int, g int GENERATED ALWAYS AS (kept(id, 1)) STORED);
    CREATE DOMAIN odd_one AS int CHECK (VALUE::text <> current_setting('odd.one', true));
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE moods (m mood);
    CREATE COLLATION backwards (provider = icu, locale = 'und', deterministic = false);";

/// (query, start of what the refusal says).
const CASES: &[(&str, &str)] = &[
    ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r", "WITH RECURSIVE"),
    ("SELECT ntile(a) OVER (ORDER BY id) AS n FROM t", "ntile of a number that differs from row to row"),
    (
        "SELECT string_agg(b, ',') OVER (PARTITION BY a) AS s FROM t",
        "aggregate string_agg(text,text) as a window function without ORDER BY",
    ),
    (
        "SELECT sum(a) OVER (ORDER BY id RANGE BETWEEN (SELECT 1) PRECEDING AND CURRENT ROW) AS s FROM t",
        "subquery in a frame's offset",
    ),
    ("SELECT two(a) FROM t", "function public.two(integer): its body is more than one expression"),
    ("SELECT today(a) FROM t", "function public.today(integer): its body is text"),
    ("SELECT other(a) FROM t", "function public.other(integer): user-defined function"),
    ("SELECT kept(a) FROM t", "function public.kept(integer,integer): a call that leaves an argument to its default"),
    ("SELECT own(a) FROM t", "function public.own(integer): SECURITY DEFINER"),
    ("SELECT moment() AS m FROM t", "function public.moment(): reads the time"),
    (
        "SELECT untrue(ts::timestamp) AS y FROM t",
        "function public.untrue(timestamp without time zone): function to_char(timestamp without time zone,text): not immutable",
    ),
    ("SELECT of_rows() AS n FROM t", "function public.of_rows(): its body is more than one expression"),
    ("SELECT g FROM made", "generated column g: function public.kept(integer,integer): user-defined function"),
    ("SELECT random() AS r, id FROM t", "function random(): volatile"),
    ("SELECT current_setting('TimeZone') AS s, id FROM t", "function current_setting(text)"),
    ("SELECT current_user AS s, id FROM t", "CURRENT_USER"),
    ("SELECT a, count(*) FROM t GROUP BY CUBE (id, a, b, c, ts, id + 1, a + 1)", "more than 64 grouping sets"),
    ("SELECT id FROM t FOR UPDATE", "FOR UPDATE"),
    ("SELECT id FROM t TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
    ("SELECT ctid AS c FROM t", "system column ctid"),
    ("SELECT tableoid AS c FROM t", "system column tableoid"),
    ("SELECT DISTINCT ON (a) a, id FROM t ORDER BY a", "DISTINCT ON without ORDER BY"),
    ("SELECT DISTINCT ON (a) a, id FROM t", "DISTINCT ON without ORDER BY"),
    ("SELECT regexp_matches(b, ',') AS g FROM t", "set-returning function regexp_matches(text,text)"),
    (
        "SELECT regexp_split_to_table(unnest(ARRAY[b]), ',') AS g FROM t",
        "a set-returning function of a set-returning function",
    ),
    ("SELECT unnest(ARRAY[a, id]) AS g, count(*) FROM t GROUP BY 1", "GROUP BY of a set-returning function"),
    ("SELECT unnest(ARRAY[generate_series(1, a)]) AS g FROM t", "a set-returning function of a set-returning function"),
    ("SELECT generate_series(1, a) AS g, rank() OVER (ORDER BY a) AS r FROM t", "set-returning function beside window"),
    ("SELECT x FROM t, abs(a) x", "an expression that returns one row in FROM"),
    ("SELECT j FROM t EXCEPT ALL SELECT j FROM t", "EXCEPT ALL on type jsonb"),
    ("SELECT id, (SELECT t_id FROM u WHERE u.id = t.id LIMIT 1) AS x FROM t", "LIMIT without ORDER BY"),
    ("SELECT id, (SELECT max(u.id) FROM u WHERE arr = '{1}') AS x FROM t", "correlation by an array"),
    (
        "SELECT t.id FROM t LEFT JOIN u ON EXISTS (SELECT 1 FROM u v WHERE v.id = t.a + u.t_id)",
        "subquery in a join condition that depends on both sides",
    ),
    ("SELECT id FROM t LIMIT 3", "LIMIT without ORDER BY"),
    ("SELECT id FROM t ORDER BY a OFFSET 1 FETCH FIRST 3 ROWS WITH TIES", "OFFSET with FETCH FIRST … WITH TIES"),
    ("SELECT string_agg(b, ',') AS s FROM t", "aggregate string_agg(text,text) without ORDER BY"),
    (
        "SELECT percentile_cont(ARRAY[1.5]) WITHIN GROUP (ORDER BY c) AS s FROM t",
        "ordered-set aggregate percentile_cont(_float8,double precision)",
    ),
    (
        "SELECT percentile_disc(a::float8) WITHIN GROUP (ORDER BY c) AS s FROM t GROUP BY a",
        "ordered-set aggregate percentile_disc(double precision,anyelement) of a fraction that differs from group to group",
    ),
    ("SELECT sum(a ORDER BY 1 / id) AS s FROM t", "ORDER BY in aggregate sum(integer)"),
    (
        "SELECT regr_count(DISTINCT a, id) AS s FROM t",
        "DISTINCT in aggregate regr_count(double precision,double precision)",
    ),
    ("SELECT dense_rank(3, 4) WITHIN GROUP (ORDER BY a, id) AS s FROM t", "hypothetical-set aggregate dense_rank"),
    ("SELECT array_agg(a) AS s FROM t", "aggregate array_agg(anynonarray) without ORDER BY"),
    ("SELECT corr(DISTINCT a, id) AS s FROM t", "DISTINCT in aggregate corr(double precision,double precision)"),
    ("SELECT json_agg(a) AS s FROM t", "aggregate json_agg(anyelement) without ORDER BY"),
    ("SELECT jsonb_object_agg(1, m) AS s FROM moods", "aggregate jsonb_object_agg(any,any) of type public.mood"),
    ("SELECT array_agg(t ORDER BY id) AS s FROM t", "whole-row reference"),
    (
        "SELECT to_jsonb(t) AS j FROM u LEFT JOIN (SELECT id, b FROM t) t USING (id)",
        "a whole row that an outer join may add",
    ),
    ("SELECT t AS whole FROM t", "whole-row reference"),
    ("SELECT t IS NULL AS r FROM t", "IS NULL of a row"),
    ("SELECT ARRAY(SELECT t_id FROM u) AS a FROM t", "ARRAY(subquery) without ORDER BY"),
    ("SELECT ARRAY(SELECT arr FROM t ORDER BY id) AS a FROM u", "ARRAY(subquery) of type _int4"),
    ("SELECT id FROM t WHERE (1, 2) < (1, 3)", "row comparison without columns"),
    ("SELECT format('%s', c::float8) AS f FROM t", "concatenation with a value of type double precision"),
    ("SELECT DISTINCT int4multirange(int4range(1, a)) AS x FROM t", "function int4multirange(int4range)"),
    ("SELECT j['a'] AS x FROM t", "subscript of type jsonb"),
    ("SELECT a::odd_one AS p FROM t", "function current_setting(text,boolean)"),
    ("SELECT id FROM t WHERE extract(epoch FROM now() - ts) < 86400", "now()"),
    ("SELECT id, now() AS at FROM t", "now()"),
    ("SELECT id FROM t WHERE ts > CURRENT_TIMESTAMP(0)", "CURRENT_TIMESTAMP with a precision"),
    ("SELECT b FROM t ORDER BY b COLLATE backwards LIMIT 1", "non-deterministic collation backwards"),
    ("SELECT id FROM t WHERE b = 'x' COLLATE backwards", "non-deterministic collation backwards"),
    ("SELECT max(b COLLATE \"en-x-icu\") AS m FROM t", "aggregate max(text) under collation en-x-icu"),
    ("SELECT b FROM t ORDER BY b COLLATE \"en-x-icu\" LIMIT 1", "ORDER BY under collation en-x-icu"),
    ("SELECT id FROM t WHERE b < 'x' COLLATE \"en-x-icu\"", "comparison of strings"),
    ("SELECT b || c::float8 AS s FROM t", "concatenation with a value of type double precision"),
    ("SELECT concat(b, ts) AS s FROM t", "concatenation with a value of type timestamp with time zone"),
    ("SELECT id FROM unlogged", "unlogged table: public.unlogged"),
    ("SELECT id FROM guarded", "table with row-level security"),
    ("SELECT id FROM ONLY part", "ONLY of a partitioned table"),
    ("SELECT id FROM odd", "partition that cannot be followed: unlogged table public.odd_leaf"),
    ("SELECT id FROM mother", "heir that cannot be followed: unlogged table public.child"),
    ("SELECT id, n FROM aunt GROUP BY id", "a column that depends on the key of a table that others inherit from"),
    ("SELECT id FROM mat", "materialized view"),
    ("SELECT oid FROM pg_class", "system relation"),
];

#[tokio::test(flavor = "multi_thread")]
async fn refused_by_name() {
    let mut rig = Rig::start(SCHEMA).await;
    let mut wrong = Vec::new();
    for (sql, expected) in CASES {
        match rig.plan(sql).await {
            Err(PlanError::Unsupported { reason, .. }) if reason.to_string().starts_with(expected) => {}
            Err(error) => wrong.push(format!("{sql}\n    {error}\n    instead of {expected}")),
            Ok(planned) => wrong.push(format!("{sql}\n    planned:\n{}", rig.text(&planned.plan))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_sources() {
    let mut rig = Rig::start(SCHEMA).await;
    rig.client.batch_execute("CREATE VIEW ordinary AS SELECT * FROM u").await.expect("a view");
    let refused = rig.plan("SELECT mine(t.a) FROM t JOIN ordinary o ON o.id = t.id JOIN unlogged l ON true").await;
    let Err(PlanError::Unsupported { sources, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(sources.base_tables, [rig.id("t").await, rig.id("u").await]);
    assert_eq!(sources.others, [(rig.id("unlogged").await, "unlogged table".to_owned())]);
}
