//! Functions and operators of arrays and of jsonb over random values: stream tables of them, and reads over stored ones,
//! answered from memory as Postgres answers them.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_tests::documents::{json, number, word};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Over columns a, b (int[]), t, u (text[]), n, m (numeric[]), k (text), i (int), d (numeric). Where an argument must not be
/// NULL or of several dimensions for memory to answer, it says so itself.
const ARRAYS: &[&str] = &[
    "array_ndims(a), array_length(a, 1), array_length(a, i), cardinality(a)",
    "array_lower(a, 1), array_upper(a, 1), array_lower(a, 2), array_upper(t, i)",
    "a = b, a <> b, t = u, n = m, n <> m",
    "a @> b, a <@ b, a && b, t @> u, t && u, n @> m, m <@ n, n && m",
    "a[i], a[1], a[i][1], t[i], n[i - 1], a[NULL]",
    "i = ANY (a), i <> ALL (a), k = ANY (t), d = ANY (n), i < ANY (b), d >= ALL (n)",
    "array_append(b, i), u || k, m || d, array_append(NULL::int[], i)",
    "array_prepend(i, b), k || u, d || m",
    "array_to_string(a, ','), array_to_string(t, k, '*'), array_to_string(n, ', ', k), array_to_string(b, NULL), array_to_string(u, '', NULL)",
    "string_to_array(k, 'a', k), num_nulls(a, k, i), num_nonnulls(t, n, NULL), (a, k) IS NULL, (b, i) IS NOT NULL",
    "b || b, u || '{x,NULL}'::text[], array_cat(m, m), coalesce(b, '{}') || '{}'::int[]",
    "array_position(b, i), array_position(u, k), array_position(m, d), array_positions(b, i), array_positions(u, NULL)",
    "array_remove(b, i), array_remove(u, k), array_remove(m, d), array_remove(u, NULL)",
    // Named arguments go to the places they name; what is left out of make_interval is zero.
    "make_date(day => 3, year => 2024, month => 2), make_interval(days => i), make_interval(2, secs => 1.5, months => i)",
    "ARRAY[i, 1, NULL], ARRAY[k], ARRAY[d, 1.50], ARRAY[i] || b",
    "ARRAY[[i, 1], [2, NULL]], ARRAY[[k], [k || 'x']], (ARRAY[[i, 2], [3, 4]])[2][1], ARRAY[[[d, 1.50]]], ARRAY[b, b]",
    "ARRAY[a, a], ARRAY[ARRAY[a, a], ARRAY[a, a]], ARRAY[a[1:1], a[1:1]], ARRAY[NULL, '{}'::text[], NULL], ARRAY[t, t] = ARRAY[u, u]",
    "a < b, a <= b, a > b, a >= b, t < u, t >= u, n < m, greatest(a, b), least(t, u), a IS DISTINCT FROM b, nullif(a, b)",
    "a[2:3], a[:2], a[2:], a[:], a[i:3], t[1:i], n[0:1], a[3:1], (a[2:3])[1], a[NULL:2], cardinality(t[2:])",
    "a[2:2][1:1], a[1:2][1], a[:][2:], t[1:1][:], a[1:1][1:1][1:1], (b || b)[2:4], (array_append(coalesce(b, '{}'), i))[1:2]",
    "a::text, t::text, n::text, a[1:2]::text",
];

/// Of arrays that have other dimensions, or as many as there may be, which is an error.
const UNLIKE: &[&str] = &["ARRAY[a, b]", "ARRAY[[[[ARRAY[a, a]]]]]", "ARRAY[[i, 1], b]"];

/// Grouped, joined and sorted by arrays.
const OF_ARRAYS: &[&str] = &[
    // Slices are left out: an extreme with a bitmap and one without are equal, and which of them is shown is Postgres' choice.
    "SELECT b, count(*) AS n, min(a) FILTER (WHERE id % 11 <> 1) AS least, max(u) AS most FROM held GROUP BY b",
    "SELECT count(*) AS n FROM held GROUP BY a, m",
    "SELECT DISTINCT u FROM held WHERE u > '{a}'",
    "SELECT h.id, g.id AS other FROM held h JOIN held g ON h.b = g.a",
    "SELECT id, rank() OVER (PARTITION BY i ORDER BY n DESC, a) AS r FROM held",
    "SELECT i, max(b) AS most, count(DISTINCT n) AS n FROM held GROUP BY i",
];

const JSON: &[&str] = &[
    "j -> k, j ->> k, j -> 'a', j ->> 'a', j -> 'a' -> 'b', (j -> 'a') ->> 0",
    "j -> i, j ->> i, j -> 0, j ->> -1",
    "j #> ARRAY[k, '-1'], j #> '{-1,-2}', j #> ARRAY[i::text, '-1'], j #> ARRAY[k, 'a'], j #>> ARRAY['a', 'b'], j #> '{a,0}', j #>> '{a,-1}', j #> '{}', j #>> '{}'",
    "j #> ARRAY[k, NULL], j #>> ARRAY[k], j #>> ARRAY['a', k]",
    "j ? k, j ? 'a', j ?| t, j ?& u, j ?& '{}'::text[], j ?| ARRAY['a', k]",
    "jsonb_typeof(j), jsonb_typeof(j -> 'a'), CASE WHEN jsonb_typeof(j) = 'array' THEN jsonb_array_length(j) END",
];

/// Over columns j, j2 (jsonb), w (json), k, u (text[]), i.
const WHOLE: &[&str] = &[
    "j = j2, j <> j2, j @> j2, j2 <@ j, j @> '{}', j @> '[]', j @> '1', j2 @> j, j <@ '[1, 1.0, \"a\"]'",
    "j @> '{\"a\": {}}', j @> '[[]]', j -> 'a' = j2 -> 'a', (j -> 'a') @> (j2 -> 'b')",
    "CASE WHEN jsonb_typeof(j) = jsonb_typeof(j2) THEN j || j2 END, CASE WHEN jsonb_typeof(j) = 'array' THEN j || j2 END",
    "CASE WHEN jsonb_typeof(j) IN ('array', 'object') THEN j - k END, CASE WHEN jsonb_typeof(j) = 'array' THEN j - i END, \
     CASE WHEN jsonb_typeof(j) = 'object' THEN j - u END",
    "w -> k, w ->> k, w -> 'a', w ->> 'a', w -> 'a' -> 'b', (w -> 'a') ->> 0",
    "w -> i, w ->> i, w -> 0, w ->> -1",
    "CASE WHEN id % 2 = 0 THEN w #> ARRAY[k, 'a'] END, CASE WHEN id % 2 = 0 THEN w #>> ARRAY['a', 'b'] END, \
     CASE WHEN id % 2 = 0 THEN w #> '{a,0}' END, CASE WHEN id % 2 = 0 THEN w #>> '{a,-1}' END, w #> '{a}', w #>> '{b}'",
    "CASE WHEN id % 2 = 0 THEN w #> ARRAY[k, i::text] END, CASE WHEN id % 2 = 0 THEN w #> ARRAY[i::text, '-1'] END, \
     CASE WHEN id % 2 = 0 THEN w #>> '{-1,-2}' END, CASE WHEN id % 2 = 0 THEN w #> ARRAY[k, '-1', '-1'] END",
    "j < j2, j <= j2, j > j2, j >= j2, greatest(j, j2), j IS DISTINCT FROM j2, nullif(j, j2), j::text, j IN (j2, '1', '[]')",
    "to_jsonb(a), to_jsonb(t), to_jsonb(d), to_jsonb(k), to_jsonb(j), to_json(a), to_json(k), to_json(j), to_json(w), to_json(d)",
    "jsonb_build_array(a, k, j, i, NULL, 'x', d), json_build_array(a, k, j, w, i, NULL, 'x', d), jsonb_build_array()",
    "jsonb_build_object('k', k, coalesce(k, ''), d, 'zz', j, coalesce(i, 0), a), jsonb_build_object(), json_build_object()",
    "json_build_object('k', k, coalesce(k, ''), d, 'zz', j, coalesce(i, 0), w), json_build_object(d, t, true, date '2024-02-29')",
    "CASE WHEN jsonb_typeof(j) = 'object' THEN j #- ARRAY[coalesce(k, '')] END, \
     CASE WHEN jsonb_typeof(j) = 'object' AND jsonb_typeof(j -> 'a') IS DISTINCT FROM 'array' THEN j #- '{a,b}' END, \
     CASE WHEN jsonb_typeof(j) = 'array' THEN j #- ARRAY[coalesce(i, 9)::text] END, CASE WHEN jsonb_typeof(j) = 'array' THEN j #- '{}' END, \
     CASE WHEN jsonb_typeof(j -> 'a') = 'array' AND jsonb_typeof(j) = 'object' THEN j #- ARRAY['a', coalesce(i, -1)::text] END",
    "json_typeof(w), json_typeof(w -> 'a'), CASE WHEN json_typeof(w) = 'array' THEN json_array_length(w) END",
];

/// Grouped, joined and sorted by jsonb, and taken apart into rows.
const OF_JSON: &[&str] = &[
    "SELECT count(*) AS n, count(DISTINCT j2) AS d FROM held GROUP BY j2 -> 'a', j2",
    "SELECT h.id, g.id AS other FROM held h JOIN held g ON h.j2 = g.j",
    "SELECT id, rank() OVER (PARTITION BY i ORDER BY j DESC) AS r FROM held",
    "SELECT id, rank() OVER (ORDER BY j2, id) AS r FROM held",
    "SELECT id, e FROM held, jsonb_array_elements(CASE WHEN jsonb_typeof(j) = 'array' THEN j END) AS x (e)",
    "SELECT id, e FROM held, jsonb_array_elements_text(CASE WHEN jsonb_typeof(j) = 'array' THEN j END) WITH ORDINALITY AS x (e, n)",
    "SELECT id, jsonb_object_keys(CASE WHEN jsonb_typeof(j) = 'object' THEN j END) AS k FROM held",
];

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `ARRAY[…]`, NULL, an empty one, one of two dimensions, one from another bound.
fn array(kind: &str, flat: bool, random: &mut StdRng) -> String {
    let item = |random: &mut StdRng| match (random.random_bool(0.15), kind) {
        (true, _) => "NULL".to_owned(),
        (_, "text") => quoted(word(random)),
        (_, "int") => random.random_range(-1..4).to_string(),
        _ => number(random).to_owned(),
    };
    let items = |count: usize, random: &mut StdRng| (0..count).map(|_| item(random)).collect::<Vec<_>>().join(", ");
    match random.random_range(0..10) {
        0 => "NULL".into(),
        1 => format!("'{{}}'::{kind}[]"),
        2 if !flat => {
            let (first, second) = (items(2, random), items(2, random));
            format!("ARRAY[[{first}], [{second}]]::{kind}[]")
        }
        3 if kind == "int" => "'[0:2]={3,1,NULL}'::int[]".into(),
        _ => {
            let count = random.random_range(1..5);
            format!("ARRAY[{}]::{kind}[]", items(count, random))
        }
    }
}

fn row(id: usize, random: &mut StdRng) -> String {
    let document = match random.random_bool(0.05) {
        true => "NULL".into(),
        false => format!("{}::jsonb", quoted(&json(3, random))),
    };
    // Json is kept as it is written: blanks; and members of one name, in odd rows.
    let members = json(3, random);
    let members = match serde_json::from_str::<serde_json::Value>(&members) {
        Ok(parsed) if id.is_multiple_of(2) => parsed.to_string(),
        _ => members,
    };
    let blank = |random: &mut StdRng| [" ", "\n", "", "\t "].choose(random).expect("not empty").to_string();
    let written = members.replace(':', &format!("{}:{}", blank(random), blank(random)));
    let written = format!("{}{}{}", blank(random), written.replace('[', &format!("[{}", blank(random))), blank(random));
    let written = match random.random_bool(0.05) || serde_json::from_str::<serde_json::Value>(&written).is_err() {
        true => "NULL".into(),
        false => format!("{}::json", quoted(&written)),
    };
    let other = format!("{}::jsonb", quoted(&json(2, random)));
    let key = if random.random_bool(0.1) { "NULL".into() } else { quoted(word(random)) };
    let index = if random.random_bool(0.1) { "NULL".into() } else { random.random_range(-2..5).to_string() };
    let arrays =
        [("int", false), ("int", true), ("text", false), ("text", true), ("numeric", false), ("numeric", true)];
    let arrays: Vec<String> = arrays.iter().map(|(kind, flat)| array(kind, *flat, random)).collect();
    format!("({id}, {}, {key}, {index}, {}, {document}, {other}, {written})", arrays.join(", "), number(random))
}

#[test]
fn arrays_and_jsonb_as_postgres_has_them() {
    let mut random = rng::seeded("containers");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(
        "CREATE TABLE held (id int PRIMARY KEY, a int[], b int[], t text[], u text[], n numeric[], m numeric[], k text, i int, \
         d numeric, j jsonb, j2 jsonb, w json)",
    );
    let columns = "(id, a, b, t, u, n, m, k, i, d, j, j2, w)";
    let create = |through: &mut RawClient, name: &str, query: &str| {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    };
    create(&mut through, "stored", "SELECT * FROM held");
    let all: Vec<&str> = ARRAYS.iter().chain(JSON).chain(WHOLE).copied().collect();
    let mut names = vec!["stored".to_owned()];
    for (at, list) in all.iter().enumerate() {
        let aliased: Vec<String> =
            split(list).iter().enumerate().map(|(column, expr)| format!("{expr} AS c{column}")).collect();
        names.push(format!("kept{at}"));
        create(&mut through, &names[at + 1], &format!("SELECT id, {} FROM held", aliased.join(", ")));
    }
    for query in OF_ARRAYS.iter().chain(OF_JSON) {
        names.push(format!("grouped{}", names.len()));
        create(&mut through, &names[names.len() - 1], query);
    }
    weir.wait_until_live(&names.iter().map(String::as_str).collect::<Vec<_>>());
    through.execute("SET weir.consistency = 'latest'");
    for _ in 0..rng::rounds(3, 100) {
        let rows: Vec<String> = (0..120).map(|_| row(random.random_range(0..400), &mut random)).collect();
        for row in rows {
            let conflict = "a = EXCLUDED.a, t = EXCLUDED.t, u = EXCLUDED.u, n = EXCLUDED.n, k = EXCLUDED.k, j = EXCLUDED.j, w = EXCLUDED.w";
            direct
                .execute(&format!("INSERT INTO held {columns} VALUES {row} ON CONFLICT (id) DO UPDATE SET {conflict}"));
        }
        direct.execute("DELETE FROM held WHERE id % 7 = 3");
        // Slices are held with a bitmap of NULLs that are no longer there.
        direct.execute("UPDATE held SET a = a[1:1] WHERE id % 11 = 1");
        for name in &names {
            compare_from_memory(&mut through, &mut direct, &format!("SELECT * FROM {name}"), Order::Any).unwrap();
        }
        for list in &all {
            let sql = format!("SELECT id, {list} FROM stored");
            compare_from_memory(&mut through, &mut direct, &sql, Order::Any).unwrap();
        }
        let sql = "SELECT id, n, t FROM stored ORDER BY n DESC NULLS LAST, t, id";
        compare_from_memory(&mut through, &mut direct, sql, Order::Exact).unwrap();
        let sql = "SELECT id, j, j2 FROM stored ORDER BY j DESC, j2 NULLS FIRST, id";
        compare_from_memory(&mut through, &mut direct, sql, Order::Exact).unwrap();
        for list in UNLIKE {
            for id in (0..20).map(|_| random.random_range(0..400)) {
                let sql = format!("SELECT {list} FROM stored WHERE id IN ({id}, {id} + 1)");
                compare(&mut through, &mut direct, &sql, Order::Any).unwrap();
            }
        }
        let sql = "SELECT b FROM stored EXCEPT SELECT a FROM stored";
        compare_from_memory(&mut through, &mut direct, sql, Order::Any).unwrap();
    }
}

/// The expressions of a list: its commas outside brackets.
fn split(list: &str) -> Vec<String> {
    let (mut found, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().expect("there is one").push(c);
    }
    found
}
