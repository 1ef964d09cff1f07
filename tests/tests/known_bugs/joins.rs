//! Joins whose sides change together.

use crate::ground::Ground;

const ORDERS: &str = "CREATE TABLE customer (id int PRIMARY KEY, name text, region int); \
     CREATE TABLE orders (id int PRIMARY KEY, customer int, amount numeric(10,2)); \
     INSERT INTO customer VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 2), (4, 'd', NULL); \
     INSERT INTO orders SELECT n, n % 6, n FROM generate_series(1, 40) n";

/// EC-01, #463, #469, #470, #472, #705: both partners of a joined row go in one commit, and the row with them.
#[test]
fn rows_deleted_on_both_sides_in_one_commit_leave_no_phantom() {
    let mut ground = Ground::new(ORDERS);
    for (name, join) in [("inside", "JOIN"), ("outside", "LEFT JOIN"), ("whole", "FULL JOIN")] {
        ground.stream(
            name,
            &format!("SELECT o.id, c.name, o.amount FROM orders o {join} customer c ON c.id = o.customer"),
        );
    }
    ground.stream(
        "without",
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customer c WHERE c.id = o.customer)",
    );
    ground.commit("DELETE FROM orders WHERE customer = 1; DELETE FROM customer WHERE id = 1");
    ground.commit("DELETE FROM customer WHERE id = 2; DELETE FROM orders WHERE customer = 2 AND id > 10");
    ground.commit("INSERT INTO customer VALUES (1, 'a again', 3); INSERT INTO orders VALUES (101, 1, 5), (102, 5, 6)");
    ground.commit("DELETE FROM orders; DELETE FROM customer");
    ground.expect("SELECT count(*) FROM whole", &["0"]);
}

/// #705: the key of one side moves while the partner it had, or comes to, goes.
#[test]
fn a_key_moves_while_its_partner_goes() {
    let mut ground = Ground::new(ORDERS);
    ground.stream("joined", "SELECT o.id, c.name FROM orders o LEFT JOIN customer c ON c.id = o.customer");
    ground.stream("sums", "SELECT c.name, count(o.id), sum(o.amount) FROM customer c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.name");
    ground.commit("UPDATE orders SET customer = 2 WHERE customer = 1; DELETE FROM customer WHERE id = 1");
    ground.commit("UPDATE orders SET customer = 3 WHERE customer = 2; DELETE FROM customer WHERE id = 3");
    ground.commit("UPDATE customer SET id = id + 10; UPDATE orders SET customer = customer + 10 WHERE id % 2 = 0");
}

/// #409: what both inputs of a join share changes at once: the product of the two changes counts once.
#[test]
fn a_base_table_and_a_stream_table_over_it_change_together() {
    let mut ground = Ground::new(ORDERS);
    ground.stream("totals", "SELECT customer, sum(amount) AS total, count(*) AS n FROM orders GROUP BY customer");
    ground.stream(
        "shares",
        "SELECT o.id, o.amount / t.total AS share, t.n FROM orders o JOIN totals t ON t.customer = o.customer",
    );
    ground.commit("INSERT INTO orders VALUES (200, 1, 7), (201, 1, 9), (202, 9, 1)");
    ground.commit("UPDATE orders SET amount = amount * 2, customer = (customer + 1) % 4 WHERE id < 20");
    ground.commit("DELETE FROM orders WHERE customer = 1");
}

/// #331: rows that leave a stream table leave those over it, three deep.
#[test]
fn deletions_pass_through_a_chain_of_stream_tables() {
    let mut ground = Ground::new(ORDERS);
    ground.stream("large", "SELECT id, customer, amount FROM orders WHERE amount > 10");
    ground.stream("by_customer", "SELECT customer, sum(amount) AS total FROM large GROUP BY customer");
    ground.stream("top", "SELECT customer FROM by_customer WHERE total > 50");
    ground.commit("UPDATE orders SET amount = 1 WHERE customer = 3");
    ground.commit("DELETE FROM orders WHERE id > 25");
    ground.commit("DELETE FROM orders");
    ground.expect("SELECT count(*) FROM top", &["0"]);
}

/// #478: a join that shows none of its keys has equal rows, and keeps every one of them.
#[test]
fn a_join_without_its_keys_keeps_duplicates() {
    let mut ground = Ground::new(ORDERS);
    ground.stream("regions", "SELECT c.region FROM orders o JOIN customer c ON c.id = o.customer");
    ground.expect("SELECT count(*) > count(DISTINCT region) FROM regions", &["t"]);
    ground.commit("DELETE FROM orders WHERE id IN (1, 7)");
    ground.commit("INSERT INTO orders VALUES (301, 1, 1), (302, 2, 1); UPDATE customer SET region = 1");
}

/// #938, #939: outer joins over aggregating CTEs, one behind the other, with NULL among the groups; their inputs change at
/// once.
#[test]
fn outer_joins_over_aggregating_ctes_in_a_row() {
    let mut ground = Ground::new(ORDERS);
    ground.stream(
        "profile",
        "WITH a AS (SELECT customer, min(amount) AS least, max(amount) AS most FROM orders GROUP BY customer), \
              b AS (SELECT region, count(*) AS people, max(name) AS last FROM customer GROUP BY region), \
              c AS (SELECT customer % 3 AS third, max(id) AS newest FROM orders GROUP BY customer % 3) \
         SELECT customer.id, a.least, a.most, b.people, b.last, c.newest FROM customer \
         LEFT JOIN a ON a.customer = customer.id LEFT JOIN b ON b.region = customer.region \
         LEFT JOIN c ON c.third = customer.region",
    );
    ground.commit("DELETE FROM orders WHERE amount = 40; UPDATE customer SET region = NULL WHERE id = 1");
    ground.commit(
        "INSERT INTO orders VALUES (400, NULL, 400), (401, 1, NULL); INSERT INTO customer VALUES (9, NULL, NULL)",
    );
    ground.commit("UPDATE orders SET customer = 3, amount = -amount; DELETE FROM customer WHERE region = 2");
    ground.commit("DELETE FROM orders");
}

/// 3.3: the first match of an outer row replaces its NULLs, the last one brings them back; a group without a match counts
/// one row and no value.
#[test]
fn the_first_and_the_last_match_of_an_outer_join() {
    let mut ground = Ground::new(
        "CREATE TABLE l (id int, tag text); CREATE TABLE r (l int, v int); INSERT INTO l VALUES (1, 'x'), (1, 'x'), (2, NULL)",
    );
    ground.stream("rows", "SELECT l.id, l.tag, r.v FROM l LEFT JOIN r ON r.l = l.id");
    ground.stream(
        "counts",
        "SELECT l.id, count(*) AS rows, count(r.v) AS matches, sum(r.v) FROM l LEFT JOIN r ON r.l = l.id GROUP BY l.id",
    );
    ground.expect("SELECT id, rows, matches FROM counts ORDER BY id", &["1|2|0", "2|1|0"]);
    ground.commit("INSERT INTO r VALUES (1, 10)");
    ground.commit("INSERT INTO r VALUES (1, NULL), (1, 10), (2, NULL)");
    ground.commit("DELETE FROM r WHERE v = 10");
    ground.commit("DELETE FROM r");
    ground.expect("SELECT id, rows, matches FROM counts ORDER BY id", &["1|2|0", "2|1|0"]);
}

/// A sum over the empty side of a full join is NULL, not 0, and stays so.
#[test]
fn sums_over_a_full_join_without_values_are_null() {
    let mut ground = Ground::new(
        "CREATE TABLE l (k int, v int); CREATE TABLE r (k int, v int); INSERT INTO l VALUES (1, 1), (2, NULL)",
    );
    ground.stream(
        "sums",
        "SELECT coalesce(l.k, r.k) AS k, sum(l.v) AS l, sum(r.v) AS r FROM l FULL JOIN r ON l.k = r.k GROUP BY 1",
    );
    ground.expect("SELECT count(*) FROM sums WHERE r IS NULL", &["2"]);
    ground.commit("INSERT INTO r VALUES (2, NULL), (3, 3)");
    ground.commit("UPDATE r SET v = 5 WHERE k = 2");
    ground.commit("DELETE FROM r WHERE k = 2; DELETE FROM l WHERE k = 1");
    ground.commit("UPDATE r SET v = NULL");
}

/// #1024: a table without its duplicates, joined with itself, both sides changed by one row.
#[test]
fn a_self_join_of_distinct_rows_changes_on_both_sides_at_once() {
    let mut ground =
        Ground::new("CREATE TABLE edge (a int, b int); INSERT INTO edge VALUES (1, 2), (1, 2), (2, 3), (3, 1)");
    ground.stream(
        "paths",
        "SELECT x.a, y.b FROM (SELECT DISTINCT a, b FROM edge) x JOIN (SELECT DISTINCT a, b FROM edge) y ON x.b = y.a",
    );
    ground.stream("twice", "SELECT DISTINCT x.a, y.b FROM edge x JOIN edge y ON x.b = y.a");
    ground.commit("DELETE FROM edge WHERE ctid = (SELECT min(ctid) FROM edge WHERE a = 1)");
    ground.commit("INSERT INTO edge VALUES (3, 3), (2, 2), (2, 2)");
    ground.commit("UPDATE edge SET b = a");
    ground.commit("DELETE FROM edge WHERE a = 2");
}

/// A join whose rows are wide and many, changed on its narrow side: every row is rewritten, none is lost.
#[test]
fn a_wide_join_rewritten_as_a_whole() {
    let mut ground = Ground::new(
        "CREATE TABLE kind (id int PRIMARY KEY, name text); INSERT INTO kind VALUES (1, 'one'), (2, 'two'); \
         CREATE TABLE thing (id int PRIMARY KEY, kind int, t text, u text, v numeric, w timestamp); \
         INSERT INTO thing SELECT n, 1 + n % 2, repeat('t', n % 50), NULL, n / 7.0, timestamp '2026-01-01' + n * interval '1 min' \
         FROM generate_series(1, 3000) n",
    );
    ground.stream("wide", "SELECT t.*, k.name FROM thing t JOIN kind k ON k.id = t.kind");
    ground.commit("UPDATE kind SET name = upper(name)");
    ground.commit("UPDATE kind SET id = -id; UPDATE kind SET id = 3 + id");
    ground.commit("DELETE FROM kind WHERE id = 1; UPDATE thing SET u = t WHERE id % 10 = 0");
}
