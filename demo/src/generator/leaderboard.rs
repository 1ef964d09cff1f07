//! Game scores: every second a batch of fifty single inserts.

use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

const BATCH: u64 = 50;
const PLAYERS: i32 = 20;
const GAMES: i32 = 5;

pub struct Scores {
    insert: Statement,
}

impl Scores {
    pub async fn prepare(client: &Client) -> Result<Scores, Error> {
        let sql = "INSERT INTO game_scores (player_id, player_name, game_id, score) VALUES ($1, $2, $3, $4)";
        Ok(Scores { insert: client.prepare(sql).await? })
    }

    pub async fn next(&mut self, client: &Client, rng: &mut StdRng) -> Result<(u64, Duration), Error> {
        for _ in 0..BATCH {
            let player = rng.random_range(1..=PLAYERS);
            let (game, score) = (rng.random_range(1..=GAMES), rng.random_range(10..=1_000));
            client.execute(&self.insert, &[&player, &format!("Player_{player}"), &game, &score]).await?;
        }
        Ok((BATCH, Duration::from_secs(1)))
    }
}
