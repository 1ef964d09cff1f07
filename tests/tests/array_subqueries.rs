//! `ARRAY(SELECT … ORDER BY …)`, correlated in several ways or not at all, in stream tables and in reads.

use rand::Rng;
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;

const VIEWS: [&str; 10] = [
    "SELECT p.id, ARRAY(SELECT t.tag FROM tags t WHERE t.post = p.id ORDER BY t.tag, t.id) AS tags FROM posts p",
    "SELECT p.id, ARRAY(SELECT t.tag FROM tags t WHERE t.post = p.id ORDER BY t.n DESC NULLS LAST, t.id LIMIT 2) AS most FROM posts p",
    "SELECT id, ARRAY(SELECT DISTINCT n FROM tags ORDER BY n) AS ns FROM posts",
    "SELECT p.id, ARRAY(SELECT t.n FROM tags t WHERE t.n < p.id ORDER BY t.n) AS below FROM posts p",
    "SELECT p.id, ARRAY(SELECT count(*) FROM tags t WHERE t.post = p.id GROUP BY t.tag ORDER BY count(*) DESC) AS counts FROM posts p",
    "SELECT p.id, array_to_string(ARRAY(SELECT t.tag FROM tags t WHERE t.post = p.id ORDER BY t.tag), '+', '*') AS shown FROM posts p \
     WHERE 'a' = ANY (ARRAY(SELECT t.tag FROM tags t WHERE t.post = p.id ORDER BY t.tag)) OR p.id > 3",
    "SELECT p.id FROM posts p WHERE p.id = ANY (ARRAY(SELECT t.n FROM tags t)) AND p.title <> ALL (ARRAY(SELECT t.tag FROM tags t WHERE t.n = p.id))",
    "SELECT l.title, ARRAY(SELECT t.m FROM tags t WHERE t.post = l.last ORDER BY t.m DESC, t.id) AS moods \
     FROM (SELECT title, max(id) AS last FROM posts GROUP BY title) l",
    "SELECT ARRAY(SELECT t.d FROM tags t ORDER BY t.id OFFSET 1 LIMIT 3) AS few, ARRAY(SELECT t.tag FROM tags t WHERE false ORDER BY 1) AS none",
    "SELECT p.id, cardinality(ARRAY(SELECT q.id FROM posts q JOIN tags t ON t.post = q.id WHERE q.title = p.title ORDER BY q.id)) AS n FROM posts p",
];

#[test]
fn lists_of_subqueries() {
    let mut random = rng::seeded("array subqueries");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE TABLE posts (id int, title text); \
         CREATE TABLE tags (id int PRIMARY KEY, post int, tag text, n int, d numeric(6,2), m text); INSERT INTO posts VALUES (1, 'x'), (7, NULL)",
    );
    pair.stream("kept_posts", "SELECT * FROM posts");
    pair.stream("kept_tags", "SELECT * FROM tags");
    for (at, view) in VIEWS.iter().enumerate() {
        pair.stream(&format!("lists{at}"), view);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    for _ in 0..rng::rounds(6, 150) {
        for _ in 0..random.random_range(1..8) {
            let (id, post, n) = (random.random_range(0..25), random.random_range(0..6), random.random_range(0..6));
            let tag = ["'a'", "'b'", "''", "NULL", "'é'"][random.random_range(0..5)];
            pair.direct.execute(&match random.random_range(0..8) {
                0 => format!("DELETE FROM tags WHERE id = {id}"),
                1 => format!("INSERT INTO posts VALUES (nullif({post}, 5), {tag})"),
                2 => format!("DELETE FROM posts WHERE id = {post}"),
                _ => format!(
                    "INSERT INTO tags VALUES ({id}, nullif({post}, 4), {tag}, nullif({n}, 3), {n}.5, {tag}) \
                     ON CONFLICT (id) DO UPDATE SET n = excluded.n, post = excluded.post"
                ),
            });
        }
        for (at, view) in VIEWS.iter().enumerate() {
            pair.settled(&format!("SELECT * FROM lists{at}"));
            pair.settled(&view.replace(" posts", " kept_posts").replace(" tags", " kept_tags"));
        }
    }
}
