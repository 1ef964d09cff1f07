//! Card transactions: normal purchases, bursts of one user at risky merchants, rotating risk tiers.

use super::{Pace, seconds, standard_normal};
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

/// Spread of a category's amounts: sigma of the lognormal distribution around the middle of its range.
const SIGMA: f64 = 0.55;
const AMOUNT_LIMITS: (f64, f64) = (1.0, 9_999.99);

pub struct Transactions {
    insert: Statement,
    users: Vec<i64>,
    merchants: Vec<(i64, String)>,
    pace: Pace,
    events: u64,
    burst: Option<Burst>,
}

struct Burst {
    user: i64,
    done: u32,
    length: u32,
}

impl Transactions {
    pub async fn prepare(client: &Client, pace: Pace) -> Result<Transactions, Error> {
        let insert = client
            .prepare(
                "INSERT INTO transactions (user_id, merchant_id, amount) VALUES ($1, $2, $3::text::numeric) \
                 RETURNING id",
            )
            .await?;
        let users = client.query("SELECT id FROM users ORDER BY id", &[]).await?;
        let merchants = client.query("SELECT id, category FROM merchants ORDER BY id", &[]).await?;
        Ok(Transactions {
            insert,
            users: users.iter().map(|row| row.get(0)).collect(),
            merchants: merchants.iter().map(|row| (row.get(0), row.get(1))).collect(),
            pace,
            events: 0,
            burst: None,
        })
    }

    pub async fn next(&mut self, client: &Client, rng: &mut StdRng) -> Result<(u64, Duration), Error> {
        if let Some(mut burst) = self.burst.take() {
            let risky: Vec<_> = self.merchants.iter().filter(|(_, category)| is_risky(category)).collect();
            let (merchant, category) = risky[rng.random_range(0..risky.len())];
            // Each transaction of a burst is larger than the one before.
            let amount = amount(category, rng) * (1.0 + f64::from(burst.done) / 4.0);
            self.insert(client, burst.user, *merchant, amount).await?;
            burst.done += 1;
            if burst.done < burst.length {
                self.burst = Some(burst);
            }
            return Ok((1, seconds(rng, 0.15..0.45)));
        }
        self.events += 1;
        let user = self.users[rng.random_range(0..self.users.len())];
        let (merchant, category) = &self.merchants[rng.random_range(0..self.merchants.len())];
        let amount = amount(category, rng);
        self.insert(client, user, *merchant, amount).await?;
        let mut commits = 1;
        if self.events.is_multiple_of(self.pace.change_every) {
            let (merchant, _) = self.merchants[rng.random_range(0..self.merchants.len())];
            rotate_tier(client, merchant).await?;
            commits += 1;
        }
        if self.events.is_multiple_of(self.pace.burst_every) {
            let user = self.users[rng.random_range(0..self.users.len())];
            self.burst = Some(Burst { user, done: 0, length: rng.random_range(6..=14) });
        }
        Ok((commits, seconds(rng, 0.6..1.6)))
    }

    async fn insert(&self, client: &Client, user: i64, merchant: i64, amount: f64) -> Result<(), Error> {
        let amount = format!("{:.2}", amount.clamp(AMOUNT_LIMITS.0, AMOUNT_LIMITS.1));
        client.query_one(&self.insert, &[&user, &merchant, &amount]).await?;
        Ok(())
    }
}

async fn rotate_tier(client: &Client, merchant: i64) -> Result<(), Error> {
    let row = client.query_one("SELECT tier FROM merchant_risk_tier WHERE merchant_id = $1", &[&merchant]).await?;
    let next = match row.get(0) {
        "STANDARD" => "ELEVATED",
        "ELEVATED" => "HIGH",
        _ => "STANDARD",
    };
    let update = "UPDATE merchant_risk_tier SET tier = $2, updated_at = now() WHERE merchant_id = $1";
    client.execute(update, &[&merchant, &next]).await?;
    Ok(())
}

fn is_risky(category: &str) -> bool {
    matches!(category, "Crypto" | "Gambling")
}

/// A plausible amount for a merchant of this category.
fn amount(category: &str, rng: &mut StdRng) -> f64 {
    let (low, high) = match category {
        "Retail" => (15.0, 300.0),
        "Electronics" => (80.0, 1_500.0),
        "Travel" => (150.0, 2_500.0),
        "Gambling" => (25.0, 600.0),
        "Crypto" => (50.0, 4_000.0),
        "Food" => (8.0, 90.0),
        _ => (12.0, 180.0),
    };
    let middle: f64 = (low + high) / 2.0;
    (middle.ln() + SIGMA * standard_normal(rng)).exp()
}
