//! A trading book: one price ticks per cycle, then one trade; bursts of one account.

use super::{Pace, seconds, standard_normal};
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

/// Standard deviation of one tick, relative to the price.
const VOLATILITY: f64 = 0.0015;
/// Beyond this distance from its base price (relative) a price is pulled back by [`PULL`] of the distance.
const LEASH: f64 = 0.20;
const PULL: f64 = 0.10;
/// Half of the difference between bid and ask, relative to the middle.
const HALF_SPREAD: f64 = 0.0005;
/// The seed trades with the first accounts and instruments only.
const ACTIVE_ACCOUNTS: usize = 20;
const ACTIVE_INSTRUMENTS: usize = 15;
/// Share of sales outside of bursts.
const SALES: f64 = 0.35;

pub struct Trades {
    tick: Statement,
    trade: Statement,
    accounts: Vec<i64>,
    instruments: Vec<i64>,
    active_instruments: usize,
    pace: Pace,
    events: u64,
    burst: Option<Burst>,
}

struct Burst {
    account: i64,
    left: u32,
}

impl Trades {
    pub async fn prepare(client: &Client, pace: Pace) -> Result<Trades, Error> {
        // Prices are read where they are used: another session's tick counts at once.
        let tick = client
            .prepare(
                "WITH p AS (SELECT m.instrument_id, CASE WHEN ABS(m.mid - i.base_price) > i.base_price * $3::text::numeric \
                                THEN m.mid + (i.base_price - m.mid) * $4::text::numeric ELSE m.mid * (1 + $2::text::numeric) END AS mid \
                            FROM market_prices m JOIN instruments i ON i.id = m.instrument_id WHERE m.instrument_id = $1) \
                 UPDATE market_prices m SET bid = ROUND(p.mid - ROUND(p.mid * $5::text::numeric, 4), 4), \
                        ask = ROUND(p.mid + ROUND(p.mid * $5::text::numeric, 4), 4), updated_at = now() \
                 FROM p WHERE m.instrument_id = p.instrument_id",
            )
            .await?;
        let trade = client
            .prepare(
                "INSERT INTO trades (account_id, instrument_id, quantity, price) \
                 SELECT $1, instrument_id, $3::text::numeric, CASE WHEN $3::text::numeric < 0 THEN bid ELSE ask END \
                 FROM market_prices WHERE instrument_id = $2",
            )
            .await?;
        let ids = async |table: &str| -> Result<Vec<i64>, Error> {
            let rows = client.query(&format!("SELECT id FROM {table} ORDER BY id"), &[]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        let (mut accounts, instruments) = (ids("accounts").await?, ids("instruments").await?);
        let active_instruments = if pace.whole_book { instruments.len() } else { ACTIVE_INSTRUMENTS };
        if !pace.whole_book {
            accounts.truncate(ACTIVE_ACCOUNTS);
        }
        Ok(Trades { tick, trade, accounts, instruments, active_instruments, pace, events: 0, burst: None })
    }

    pub async fn next(&mut self, client: &Client, rng: &mut StdRng) -> Result<(u64, Duration), Error> {
        if let Some(mut burst) = self.burst.take() {
            self.trade(client, burst.account, 0.5, rng).await?;
            burst.left -= 1;
            if burst.left > 0 {
                self.burst = Some(burst);
            }
            return Ok((1, seconds(rng, 0.05..0.20)));
        }
        let instrument = self.instruments[self.events as usize % self.instruments.len()];
        self.events += 1;
        let drift = format!("{:.8}", VOLATILITY * standard_normal(rng));
        let (leash, pull, half) = (LEASH.to_string(), PULL.to_string(), HALF_SPREAD.to_string());
        client.execute(&self.tick, &[&instrument, &drift, &leash, &pull, &half]).await?;
        let account = self.accounts[rng.random_range(0..self.accounts.len())];
        self.trade(client, account, SALES, rng).await?;
        if self.events.is_multiple_of(self.pace.burst_every) {
            let account = self.accounts[rng.random_range(0..self.accounts.len())];
            self.burst = Some(Burst { account, left: rng.random_range(8..=20) });
        }
        Ok((2, seconds(rng, 0.4..1.2)))
    }

    async fn trade(&self, client: &Client, account: i64, sales: f64, rng: &mut StdRng) -> Result<(), Error> {
        let instrument = self.instruments[rng.random_range(0..self.active_instruments)];
        let side = if rng.random_bool(sales) { -1 } else { 1 };
        let quantity = (side * rng.random_range(10..=500) * self.pace.quantity_scale).to_string();
        client.execute(&self.trade, &[&account, &instrument, &quantity]).await?;
        Ok(())
    }
}
