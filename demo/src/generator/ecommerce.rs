//! Shop orders: normal sales, flash sales of one category, repricing.

use super::{Pace, seconds};
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

pub struct Orders {
    insert: Statement,
    customers: Vec<i64>,
    /// Product and its category.
    products: Vec<(i64, i64)>,
    pace: Pace,
    events: u64,
    sale: Option<FlashSale>,
}

struct FlashSale {
    products: Vec<i64>,
    left: u32,
}

impl Orders {
    pub async fn prepare(client: &Client, pace: Pace) -> Result<Orders, Error> {
        // The price is read where it is used: repricing by another session counts at once.
        let insert = client
            .prepare(
                "INSERT INTO orders (customer_id, product_id, quantity, unit_price) \
                 SELECT $1, product_id, $3, ROUND(current_price * $4::text::numeric, 2) \
                 FROM product_catalog WHERE product_id = $2 RETURNING id",
            )
            .await?;
        let customers = client.query("SELECT id FROM customers ORDER BY id", &[]).await?;
        let products = client.query("SELECT id, category_id FROM products ORDER BY id", &[]).await?;
        Ok(Orders {
            insert,
            customers: customers.iter().map(|row| row.get(0)).collect(),
            products: products.iter().map(|row| (row.get(0), row.get(1))).collect(),
            pace,
            events: 0,
            sale: None,
        })
    }

    pub async fn next(&mut self, client: &Client, rng: &mut StdRng) -> Result<(u64, Duration), Error> {
        let customer = self.customers[rng.random_range(0..self.customers.len())];
        if let Some(mut sale) = self.sale.take() {
            let product = sale.products[rng.random_range(0..sale.products.len())];
            // 70 to 90 % off.
            let factor = rng.random_range(0.1..0.3);
            self.order(client, customer, product, rng.random_range(1..=3), factor).await?;
            sale.left -= 1;
            if sale.left > 0 {
                self.sale = Some(sale);
            }
            return Ok((1, seconds(rng, 0.10..0.35)));
        }
        self.events += 1;
        let (product, _) = self.products[rng.random_range(0..self.products.len())];
        let factor = rng.random_range(0.85..1.15);
        self.order(client, customer, product, rng.random_range(1..=2), factor).await?;
        let mut commits = 1;
        if self.events.is_multiple_of(self.pace.change_every) {
            self.reprice(client, rng).await?;
            commits += 1;
        }
        if self.events.is_multiple_of(self.pace.burst_every) {
            self.sale = Some(self.flash_sale(rng));
        }
        Ok((commits, seconds(rng, 0.5..2.0)))
    }

    fn flash_sale(&self, rng: &mut StdRng) -> FlashSale {
        let (_, category) = self.products[rng.random_range(0..self.products.len())];
        let products = self.products.iter().filter(|(_, of)| *of == category).map(|(id, _)| *id).collect();
        FlashSale { products, left: rng.random_range(8..=18) }
    }

    async fn order(&self, client: &Client, customer: i64, product: i64, quantity: i32, of: f64) -> Result<(), Error> {
        client.query_one(&self.insert, &[&customer, &product, &quantity, &format!("{of:.4}")]).await?;
        Ok(())
    }

    async fn reprice(&self, client: &Client, rng: &mut StdRng) -> Result<(), Error> {
        let (product, _) = self.products[rng.random_range(0..self.products.len())];
        let factor = format!("{:.4}", rng.random_range(0.9..1.1));
        let update = "UPDATE product_catalog SET updated_at = now(), current_price = \
             (SELECT ROUND(base_price * $2::text::numeric, 2) FROM products WHERE id = product_id) WHERE product_id = $1";
        client.execute(update, &[&product, &factor]).await?;
        Ok(())
    }
}
