//! Single random statements per scenario.

use super::finance;
use super::values::{amount, country, instant, name};
use crate::scenario::Scenario;
use rand::Rng;
use rand::rngs::StdRng;

/// A random statement that writes base tables of the scenario.
pub fn statement(scenario: Scenario, rng: &mut StdRng) -> String {
    match scenario.name {
        "ecommerce" => ecommerce(rng),
        "finance" => finance::statement(rng),
        "fraud" => fraud(rng),
        "leaderboard" => leaderboard(rng),
        other => unreachable!("scenario {other} has no statements"),
    }
}

/// Rows for `COPY … FROM STDIN` in the text format.
pub struct Copy {
    pub command: &'static str,
    pub rows: Vec<String>,
}

pub fn copy(scenario: Scenario, rng: &mut StdRng) -> Copy {
    let count = rng.random_range(0..40);
    let (command, row): (_, fn(&mut StdRng) -> String) = match scenario.name {
        "ecommerce" => ("COPY orders (customer_id, product_id, quantity, unit_price) FROM STDIN", |rng| {
            format!("{}\t{}\t{}\t{}", person(rng), thing(rng), rng.random_range(0..5), amount(rng, 5))
        }),
        "finance" => ("COPY trades (account_id, instrument_id, quantity, price) FROM STDIN", |rng| {
            format!(
                "{}\t{}\t{}\t{}",
                finance::account(rng),
                finance::instrument(rng),
                rng.random_range(-500..500),
                amount(rng, 6)
            )
        }),
        "fraud" => ("COPY transactions (user_id, merchant_id, amount) FROM STDIN", |rng| {
            format!("{}\t{}\t{}", person(rng), thing(rng), amount(rng, 7))
        }),
        _ => ("COPY game_scores (player_id, player_name, game_id, score) FROM STDIN", |rng| {
            let player = player(rng);
            format!("{player}\tPlayer_{player}\t{}\t{}", game(rng), rng.random_range(-5..1000))
        }),
    };
    Copy { command, rows: (0..count).map(|_| row(rng)).collect() }
}

fn person(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=30)
}

fn thing(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=15)
}

fn player(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=20)
}

fn game(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=5)
}

/// A condition that hits a few rows.
fn some(rng: &mut StdRng, column: &str) -> String {
    match rng.random_range(0..3) {
        0 => format!("{column} % {} = {}", rng.random_range(3..30), rng.random_range(0..3)),
        1 => format!("{column} IN (SELECT {column} FROM {{table}} ORDER BY random() LIMIT {})", rng.random_range(1..6)),
        _ => format!("{column} BETWEEN {0} AND {0} + {1}", rng.random_range(1..300), rng.random_range(0..40)),
    }
}

/// A condition that hits a few rows of `table`.
pub(super) fn where_some(rng: &mut StdRng, table: &str, column: &str) -> String {
    some(rng, column).replace("{table}", table)
}

fn ecommerce(rng: &mut StdRng) -> String {
    let order = |rng: &mut StdRng| {
        format!("({}, {}, {}, {}, {})", person(rng), thing(rng), rng.random_range(0..5), amount(rng, 5), instant(rng))
    };
    match rng.random_range(0..100) {
        0..36 => {
            let rows: Vec<_> = (0..rng.random_range(1..6)).map(|_| order(rng)).collect();
            format!(
                "INSERT INTO orders (customer_id, product_id, quantity, unit_price, ordered_at) VALUES {}",
                rows.join(", ")
            )
        }
        36..46 => {
            let set = [
                format!("quantity = {}", rng.random_range(0..9)),
                format!("unit_price = {}", amount(rng, 5)),
                format!("customer_id = {}", person(rng)),
                format!("product_id = {}, quantity = quantity + 1", thing(rng)),
                "ordered_at = now()".to_owned(),
            ];
            let set = &set[rng.random_range(0..set.len())];
            format!("UPDATE orders SET {set} WHERE {}", where_some(rng, "orders", "id"))
        }
        46..58 => format!("DELETE FROM orders WHERE {}", where_some(rng, "orders", "id")),
        58..68 => format!(
            "INSERT INTO product_catalog (product_id, current_price) VALUES ({}, {}) ON CONFLICT (product_id) DO UPDATE \
             SET current_price = EXCLUDED.current_price, updated_at = {}",
            thing(rng),
            amount(rng, 7),
            instant(rng)
        ),
        68..72 => format!("UPDATE products SET base_price = {} WHERE id = {}", amount(rng, 7), thing(rng)),
        72..76 => format!("UPDATE customers SET country = {} WHERE id = {}", country(rng), person(rng)),
        76..79 => format!("UPDATE customers SET name = {} WHERE id = {}", name(rng), person(rng)),
        79..82 => format!(
            "WITH c AS (INSERT INTO customers (name, country) VALUES ({}, {}) RETURNING id) \
             INSERT INTO orders (customer_id, product_id, unit_price) SELECT id, {}, {} FROM c",
            name(rng),
            country(rng),
            thing(rng),
            amount(rng, 5)
        ),
        82..85 => format!("SELECT sell({}, {})", person(rng), thing(rng)),
        85..87 => format!("DELETE FROM customers WHERE id = {}", rng.random_range(20..60)),
        87..89 => format!("UPDATE products SET category_id = {} WHERE id = {}", rng.random_range(1..9), thing(rng)),
        // Cascades to orders, by value.
        89..91 => format!("UPDATE customers SET id = id + 100 WHERE id = {}", rng.random_range(15..40)),
        91..93 => format!(
            "INSERT INTO customers (id, name, country) VALUES ({}, {}, {}) ON CONFLICT DO NOTHING",
            person(rng),
            name(rng),
            country(rng)
        ),
        93..95 => format!(
            "WITH p AS (INSERT INTO products (name, category_id, base_price) VALUES ({}, {}, {}) RETURNING id, base_price) \
             INSERT INTO product_catalog SELECT id, base_price FROM p",
            name(rng),
            rng.random_range(1..9),
            amount(rng, 7)
        ),
        95..97 => "DELETE FROM products WHERE id > 15".to_owned(),
        97 => "TRUNCATE orders".to_owned(),
        98 => "TRUNCATE orders RESTART IDENTITY".to_owned(),
        _ => "DELETE FROM orders".to_owned(),
    }
}

fn fraud(rng: &mut StdRng) -> String {
    let transaction =
        |rng: &mut StdRng| format!("({}, {}, {}, {})", person(rng), thing(rng), amount(rng, 7), instant(rng));
    match rng.random_range(0..100) {
        0..40 => {
            let rows: Vec<_> = (0..rng.random_range(1..8)).map(|_| transaction(rng)).collect();
            format!("INSERT INTO transactions (user_id, merchant_id, amount, txn_at) VALUES {}", rows.join(", "))
        }
        40..52 => {
            let set = [
                format!("amount = {}", amount(rng, 7)),
                format!("user_id = {}", person(rng)),
                format!("merchant_id = {}, amount = amount * 2", thing(rng)),
                format!("txn_at = {}", instant(rng)),
            ];
            let set = &set[rng.random_range(0..set.len())];
            format!("UPDATE transactions SET {set} WHERE {}", where_some(rng, "transactions", "id"))
        }
        52..64 => format!("DELETE FROM transactions WHERE {}", where_some(rng, "transactions", "id")),
        64..74 => {
            let tier = ["STANDARD", "ELEVATED", "HIGH"][rng.random_range(0..3)];
            format!(
                "INSERT INTO merchant_risk_tier (merchant_id, tier) VALUES ({}, '{tier}') ON CONFLICT (merchant_id) \
                 DO UPDATE SET tier = EXCLUDED.tier, updated_at = {}",
                thing(rng),
                instant(rng)
            )
        }
        74..78 => format!("UPDATE users SET country = {} WHERE id = {}", country(rng), person(rng)),
        78..81 => format!("UPDATE users SET name = {} WHERE id = {}", name(rng), person(rng)),
        81..84 => format!("UPDATE merchants SET name = {} WHERE id = {}", name(rng), thing(rng)),
        84..86 => {
            let category = ["Retail", "Crypto", "Food", "New"][rng.random_range(0..4)];
            format!("UPDATE merchants SET category = '{category}' WHERE id = {}", thing(rng))
        }
        86..89 => format!("SELECT pay({}, {})", person(rng), thing(rng)),
        89..91 => format!("DELETE FROM users WHERE id = {}", rng.random_range(20..45)),
        91..93 => format!(
            "INSERT INTO users (id, name, country) VALUES ({}, {}, {}) ON CONFLICT (id) DO UPDATE SET country = 'UP'",
            person(rng),
            name(rng),
            country(rng)
        ),
        93..95 => format!("UPDATE users SET id = id + 100 WHERE id = {}", rng.random_range(15..40)),
        95..97 => format!(
            "WITH u AS (INSERT INTO users (name, country) VALUES ({}, {}) RETURNING id) \
             INSERT INTO transactions (user_id, merchant_id, amount) SELECT id, {}, {} FROM u, generate_series(1, 12)",
            name(rng),
            country(rng),
            thing(rng),
            amount(rng, 7)
        ),
        97 => "TRUNCATE transactions".to_owned(),
        98 => "TRUNCATE merchant_risk_tier, transactions".to_owned(),
        _ => "DELETE FROM transactions WHERE amount > 500".to_owned(),
    }
}

fn leaderboard(rng: &mut StdRng) -> String {
    let score = |rng: &mut StdRng| {
        let player = player(rng);
        // Few distinct points, so that totals tie.
        format!("({player}, 'Player_{player}', {}, {})", game(rng), rng.random_range(0..6) * 100)
    };
    match rng.random_range(0..100) {
        0..45 => {
            let rows: Vec<_> = (0..rng.random_range(1..8)).map(|_| score(rng)).collect();
            format!("INSERT INTO game_scores (player_id, player_name, game_id, score) VALUES {}", rows.join(", "))
        }
        45..60 => {
            let set = [
                "score = score + 100",
                "game_id = 1 + game_id % 5",
                "score = 0",
                "player_id = 1, player_name = 'Player_1'",
            ];
            let set = set[rng.random_range(0..set.len())];
            format!("UPDATE game_scores SET {set} WHERE {}", where_some(rng, "game_scores", "score_id"))
        }
        60..78 => format!("DELETE FROM game_scores WHERE {}", where_some(rng, "game_scores", "score_id")),
        78..86 => format!("INSERT INTO feed VALUES ({}, {})", player(rng), rng.random_range(0..6) * 100),
        86..92 => format!(
            "INSERT INTO game_scores (score_id, player_id, player_name, game_id, score) VALUES ({}, 2, 'Player_2', 2, 300) \
             ON CONFLICT (score_id) DO UPDATE SET score = EXCLUDED.score + 1",
            rng.random_range(1..400)
        ),
        92..95 => format!("DELETE FROM game_scores WHERE player_id = {}", player(rng)),
        95..97 => format!("UPDATE game_scores SET player_name = {} WHERE player_id = {}", name(rng), player(rng)),
        97 => "TRUNCATE game_scores".to_owned(),
        98 => "TRUNCATE game_scores RESTART IDENTITY".to_owned(),
        // Sums near the largest int4: the total is a bigint.
        _ => "INSERT INTO game_scores (player_id, player_name, game_id, score) VALUES (3, 'Player_3', 3, 2147483647)"
            .to_owned(),
    }
}
