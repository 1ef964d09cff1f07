//! Random statements on the trading book: positions opened, netted to zero and reversed, prices, reference data.

use super::statements::where_some;
use super::values::{amount, instant, name};
use rand::Rng;
use rand::rngs::StdRng;

/// Few, so that positions meet and net out.
pub(super) fn account(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=50)
}

pub(super) fn instrument(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=30)
}

fn asset_class(rng: &mut StdRng) -> &'static str {
    ["EQUITY", "BOND", "ETF", "COMMODITY"][rng.random_range(0..4)]
}

fn quantity(rng: &mut StdRng) -> String {
    ["-500", "-7.5", "0", "0.0001", "7.5", "100", "500", "99999.9999"][rng.random_range(0..8)].to_owned()
}

pub(super) fn statement(rng: &mut StdRng) -> String {
    match rng.random_range(0..100) {
        0..34 => {
            let trade = |rng: &mut StdRng| {
                let (who, what) = (account(rng), instrument(rng));
                format!("({who}, {what}, {}, {}, {})", quantity(rng), amount(rng, 6), instant(rng))
            };
            let rows: Vec<_> = (0..rng.random_range(1..6)).map(|_| trade(rng)).collect();
            let columns = "account_id, instrument_id, quantity, price, traded_at";
            format!("INSERT INTO trades ({columns}) VALUES {}", rows.join(", "))
        }
        34..42 => {
            let set = [
                format!("quantity = {}", quantity(rng)),
                "quantity = -quantity".to_owned(),
                format!("price = {}", amount(rng, 6)),
                format!("account_id = {}, quantity = quantity + 1", account(rng)),
                format!("instrument_id = {}", instrument(rng)),
            ];
            format!(
                "UPDATE trades SET {} WHERE {}",
                set[rng.random_range(0..set.len())],
                where_some(rng, "trades", "id")
            )
        }
        42..50 => format!("DELETE FROM trades WHERE {}", where_some(rng, "trades", "id")),
        // A position is closed exactly: its group leaves by HAVING.
        50..54 => format!(
            "INSERT INTO trades (account_id, instrument_id, quantity, price) SELECT account_id, instrument_id, -SUM(quantity), 10 \
             FROM trades WHERE account_id = {} GROUP BY account_id, instrument_id",
            account(rng)
        ),
        54..68 => {
            let bid = rng.random_range(0..5_000_000);
            format!(
                "UPDATE market_prices SET bid = {bid} / 10000.0, ask = {} / 10000.0, updated_at = {} WHERE instrument_id = {}",
                bid + rng.random_range(0..1000),
                instant(rng),
                instrument(rng)
            )
        }
        68..72 => {
            "UPDATE market_prices SET bid = bid * 1.0001, ask = ask * 1.0002 WHERE instrument_id % 5 = 0".to_owned()
        }
        72..76 => format!(
            "INSERT INTO market_prices (instrument_id, bid, ask) VALUES ({}, 10, 10.5) ON CONFLICT (instrument_id) DO UPDATE \
             SET ask = EXCLUDED.ask + market_prices.bid",
            instrument(rng)
        ),
        76..80 => format!("UPDATE accounts SET capital_limit = {} WHERE id = {}", amount(rng, 10), account(rng)),
        80..83 => format!("UPDATE accounts SET portfolio_id = {} WHERE id = {}", rng.random_range(1..7), account(rng)),
        83..86 => format!("UPDATE instruments SET asset_class = '{}' WHERE id = {}", asset_class(rng), instrument(rng)),
        86..88 => format!("UPDATE instruments SET base_price = {} WHERE id = {}", amount(rng, 6), instrument(rng)),
        88..90 => format!("UPDATE portfolios SET name = {} WHERE id = {}", name(rng), rng.random_range(1..6)),
        90..92 => format!("UPDATE sectors SET name = {} WHERE id = {}", name(rng), rng.random_range(1..9)),
        92..95 => format!("SELECT buy({}, {})", account(rng), instrument(rng)),
        95..97 => format!("DELETE FROM instruments WHERE id = {}", rng.random_range(25..40)),
        97 => format!("DELETE FROM accounts WHERE id = {}", rng.random_range(40..60)),
        98 => "TRUNCATE trades".to_owned(),
        _ => "DELETE FROM trades WHERE quantity > 100".to_owned(),
    }
}
