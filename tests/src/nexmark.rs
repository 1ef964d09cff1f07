//! Nexmark: an auction site's persons, auctions and bids in the proportion 1 : 3 : 46, and the queries Q0 to Q9 and
//! Q18 to Q20 in SQL over tables (`tests/nexmark`). Windows of event time are groups of a minute, so that they change
//! when late events come.

/// The three tables.
pub const SCHEMA: &str = include_str!("../nexmark/schema.sql");

/// Every query and the name of its stream table.
pub const QUERIES: [(&str, &str); 13] = [
    ("q0", include_str!("../nexmark/q0.sql")),
    ("q1", include_str!("../nexmark/q1.sql")),
    ("q2", include_str!("../nexmark/q2.sql")),
    ("q3", include_str!("../nexmark/q3.sql")),
    ("q4", include_str!("../nexmark/q4.sql")),
    ("q5", include_str!("../nexmark/q5.sql")),
    ("q6", include_str!("../nexmark/q6.sql")),
    ("q7", include_str!("../nexmark/q7.sql")),
    ("q8", include_str!("../nexmark/q8.sql")),
    ("q9", include_str!("../nexmark/q9.sql")),
    ("q18", include_str!("../nexmark/q18.sql")),
    ("q19", include_str!("../nexmark/q19.sql")),
    ("q20", include_str!("../nexmark/q20.sql")),
];

/// Events in a group: one person, three auctions, 46 bids.
const GROUP: u64 = 50;
/// Of each kind, so many of the latest are bid for, or bid and sell.
const RECENT: u64 = 200;

/// The call that makes a stream table of a query, maintained or refused.
pub fn create(name: &str, query: &str) -> String {
    format!(
        "SELECT pgtrickle.create_stream_table(name => '{name}', query => $query${query}$query$, schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')"
    )
}

/// Inserts the events with these numbers (multiples of 50), 20 to a second; all of it follows from the numbers.
pub fn events(from: u64, to: u64) -> String {
    assert!(from.is_multiple_of(GROUP) && to.is_multiple_of(GROUP), "events come in whole groups");
    let hash = |salt: u32| format!("(hashint8extended(n, {salt}) & 2147483647)");
    let recent = |made: &str, salt: u32| format!("greatest({made} - {} % {RECENT}, 0)", hash(salt));
    let moment = "timestamp '2024-02-28 23:50:00' + n * interval '50 milliseconds'";
    let series = format!("FROM generate_series({from}::bigint, {}) n WHERE", to - 1);
    let place = format!("(1 + {} % 6)::int", hash(1));
    // 15485863 is prime: different bids have different prices.
    let price = "100 + n * 7919 % 15485863";
    format!(
        "BEGIN; INSERT INTO person SELECT n / {GROUP}, 'name ' || {h2} % 500, n || '@example.com', '1234', \
         (ARRAY['Phoenix', 'Los Angeles', 'Portland', 'Boise', 'Redmond', 'Seattle'])[{place}], \
         (ARRAY['AZ', 'CA', 'OR', 'ID', 'WA', 'WA'])[{place}], {moment}, 'person ' || n {series} n % {GROUP} = 0; \
         INSERT INTO auction SELECT n / {GROUP} * 3 + n % {GROUP} - 1, 'item ' || {h2} % 100, 'a thing', {h2} % 1000, \
         {h3} % 2000, {moment}, {moment} + {h4} % 300 * interval '1 second', {seller}, 10 + {h3} % 5, NULL \
         {series} n % {GROUP} BETWEEN 1 AND 3; \
         INSERT INTO bid SELECT {auction}, {bidder}, {price}, \
         (ARRAY['Google', 'Facebook', 'Baidu', 'Apple'])[1 + {h3} % 4], 'https://example.com/' || {h4} % 50, {moment}, \
         CASE WHEN {h2} % 3 > 0 THEN 'extra ' || {h2} % 10 END {series} n % {GROUP} > 3; COMMIT",
        h2 = hash(2),
        h3 = hash(3),
        h4 = hash(4),
        seller = recent(&format!("n / {GROUP}"), 5),
        auction = recent(&format!("n / {GROUP} * 3"), 6),
        bidder = recent(&format!("n / {GROUP}"), 7),
    )
}

/// Bids are withdrawn or raised, auctions end later and persons move: what no stream of events has, and tables do.
pub fn corrections(round: u64) -> [String; 4] {
    let takes = |key: &str, one_in: u32| format!("(hashint8extended({key}, {round}) & 2147483647) % {one_in} = 0");
    [
        format!("DELETE FROM bid WHERE {}", takes("price", 50)),
        // Beyond every price there is, and different from each other.
        format!(
            "UPDATE bid SET price = price + {}, bidder = bidder + 1 WHERE {}",
            (round + 1) * 20_000_000,
            takes("price + 1", 50)
        ),
        format!(
            "UPDATE auction SET expires = expires + interval '90 seconds', category = 10 + id % 5 WHERE {}",
            takes("id", 20)
        ),
        format!("UPDATE person SET state = 'OR', name = name || '+' WHERE {}", takes("id", 20)),
    ]
}
