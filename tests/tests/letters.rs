//! Upper and lower case and classes of characters by collation, as the server has them, in stream tables, reads and patterns.

use weir_tests::oracle::{Order, compare};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;

const WORDS: &str = "'straße', 'ÄÖÜ', 'İstanbul', 'ıI iİ', 'ΟΔΟΣ', 'οδός', 'Ünïcödé', 'abc', 'ABC', 'Ⅷ', 'ǅ', 'ﬁn', '𐐀𐐨', '日本', '', NULL, 'Ab_c%', 'ẞ', 'ñÑ', 'К к'";

/// Under the database's collation (C.UTF-8) and C.
const FROM_MEMORY: &[&str] = &[
    "SELECT id, lower(t) AS l, upper(t) AS u, initcap(v || ' don''t-2nd') AS i FROM words",
    r#"SELECT id, lower(t COLLATE "C") AS l, upper(t COLLATE "C") AS u, initcap(v COLLATE "POSIX") AS i FROM words"#,
    "SELECT id FROM words WHERE t ILIKE '%ä%'",
    "SELECT id, t ILIKE '%É' AS a, t NOT ILIKE 'äö_' AS b, t ILIKE '_STRA%' AS c, v ILIKE 'vÉ1' AS d, c ILIKE 'äB%' AS e FROM words",
    "SELECT id FROM words WHERE t ILIKE ANY (ARRAY['ä%', 'a%', NULL])",
    "SELECT id FROM words WHERE t NOT ILIKE ALL (ARRAY['ä%', 'a%'])",
    r#"SELECT id, t LIKE '%!_%' ESCAPE '!' AS a, t ILIKE '%C!%' ESCAPE '!' AS b, t LIKE 'a\%' ESCAPE '' AS c FROM words"#,
    r"SELECT id, t ~ '^\w+$' AS a, t ~ '[[:upper:]]{2}' AS b, t ~* 'äÖ|ΣΟ' AS c, t !~ '\s' AS d, t ~ '[^[:alpha:]]' AS e, t ~* '[à-þ]' AS f FROM words",
    r"SELECT id, regexp_replace(t, '[[:lower:]]+', '-', 'g') AS a, regexp_match(t, 'ß', 'i') AS b, substring(t from '\w*Ü') AS c FROM words",
    r#"SELECT id, t COLLATE "C" ~ '^\w+$' AS a, t COLLATE "C" ~* 'Ä' AS b FROM words"#,
    "SELECT lower(v) AS l, count(*) AS n FROM words GROUP BY lower(v)",
    "SELECT a.id, b.id AS other FROM words a JOIN words b ON lower(a.t) = lower(b.t) AND a.id < b.id",
    "SELECT upper(c) AS u, lower(c) AS l FROM words",
    // ICU folds some letters by what stands around them: there, ASCII alone is known.
    r#"SELECT id, lower(v COLLATE "und-x-icu") AS l FROM plain"#,
    r#"SELECT id, upper(v COLLATE "turkish") AS u, lower(v COLLATE "turkish") AS l FROM plain"#,
];

/// Memory says that it does not know.
const FORWARDED: &[&str] = &[
    r#"SELECT lower(t COLLATE "und-x-icu") FROM kept_words"#,
    r#"SELECT upper(t COLLATE "turkish") FROM kept_words WHERE t LIKE 'Ü%'"#,
    "SELECT lower(t || chr(300000)) FROM kept_words",
    "SELECT initcap(t) FROM kept_words",
    r#"SELECT initcap((v || ' don''t') COLLATE "und-x-icu") FROM kept_plain"#,
    r#"SELECT t COLLATE "turkish" ~ '\w' FROM kept_words"#,
];

#[test]
fn case_is_what_the_server_says() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(&format!(
        "CREATE COLLATION turkish (provider = icu, locale = 'tr');
         CREATE TABLE words (id int PRIMARY KEY, t text, v varchar, c char(6));
         INSERT INTO words SELECT row_number() OVER (), t, 'vé1 Zoë', 'Äb' FROM unnest(ARRAY[{WORDS}]) t;
         UPDATE words SET v = 'a bC-d1x', c = 'äB' WHERE id % 2 = 0;
         UPDATE words SET v = 'a bC-d1x' WHERE id % 2 = 1;
         CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain VALUES (1, 'ABC xyz'), (2, 'Title'), (3, NULL)"
    ));
    for table in ["words", "plain"] {
        pair.stream(&format!("kept_{table}"), &format!("SELECT * FROM {table}"));
    }
    for (at, query) in FROM_MEMORY.iter().enumerate() {
        pair.stream(&format!("cased{at}"), query);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    for change in ["SELECT", "UPDATE words SET t = t || 'É' WHERE id % 3 = 0", "UPDATE plain SET v = upper(v) || 'ij'"]
    {
        pair.direct.execute(change);
        for (at, query) in FROM_MEMORY.iter().enumerate() {
            pair.settled(&format!("SELECT * FROM cased{at}"));
            let read = query.replace("FROM words", "FROM kept_words").replace("JOIN words", "JOIN kept_words");
            pair.settled(&read.replace("FROM plain", "FROM kept_plain"));
        }
        for read in FORWARDED {
            for _ in 0..5 {
                compare(&mut pair.through, &mut pair.direct, read, Order::Any).unwrap();
            }
            assert!(!pair.through.last_route().starts_with("memory"), "{read}");
        }
    }
}
