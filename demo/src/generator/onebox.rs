//! A small shop: orders come in pending, are shipped or cancelled later; stock and plans change.

use super::{Pace, seconds};
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

/// Of ten orders that leave `pending`, so many are cancelled.
const CANCELLED_OF_TEN: u32 = 1;
const PLANS: [&str; 3] = ["free", "pro", "enterprise"];

pub struct Shop {
    order: Statement,
    settle: Statement,
    customers: Vec<i32>,
    products: Vec<i32>,
    pace: Pace,
    events: u64,
}

impl Shop {
    pub async fn prepare(client: &Client, pace: Pace) -> Result<Shop, Error> {
        let order = client
            .prepare(
                "INSERT INTO orders (customer_id, product_id, quantity, total_usd) \
                 SELECT $1::int, id, $3::int, $3::int * price_usd FROM products WHERE id = $2",
            )
            .await?;
        // The oldest that waits; several writers skip what another one has in hand.
        let settle = client
            .prepare(
                "UPDATE orders SET status = $1 WHERE id = \
                     (SELECT id FROM orders WHERE status = 'pending' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)",
            )
            .await?;
        let ids = async |table: &str| -> Result<Vec<i32>, Error> {
            let rows = client.query(&format!("SELECT id FROM {table} ORDER BY id"), &[]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        Ok(Shop {
            order,
            settle,
            customers: ids("customers").await?,
            products: ids("products").await?,
            pace,
            events: 0,
        })
    }

    pub async fn next(&mut self, client: &Client, rng: &mut StdRng) -> Result<(u64, Duration), Error> {
        self.events += 1;
        let customer = self.customers[rng.random_range(0..self.customers.len())];
        let product = self.products[rng.random_range(0..self.products.len())];
        client.execute(&self.order, &[&customer, &product, &rng.random_range(1..=3_i32)]).await?;
        let mut commits = 1;
        if rng.random_ratio(4, 5) {
            let status = if rng.random_ratio(CANCELLED_OF_TEN, 10) { "cancelled" } else { "shipped" };
            client.execute(&self.settle, &[&status]).await?;
            commits += 1;
        }
        if self.events.is_multiple_of(self.pace.change_every) {
            let stock = "UPDATE products SET stock_count = $2 WHERE id = $1";
            client.execute(stock, &[&product, &rng.random_range(0..60_i32)]).await?;
            let plan = "UPDATE customers SET plan = $2 WHERE id = $1";
            client.execute(plan, &[&customer, &PLANS[rng.random_range(0..PLANS.len())]]).await?;
            commits += 2;
        }
        Ok((commits, seconds(rng, 0.4..1.6)))
    }
}
