//! What applications add to such tables: cascades, and triggers that write another watched table.

use crate::scenario::Scenario;

/// SQL to run after the scenario's schema: foreign keys that cascade on delete and update, a trigger that writes another
/// watched table, a function that writes.
pub fn hostile_schema(scenario: Scenario) -> String {
    match scenario.name {
        "ecommerce" => [
            cascade("orders", "customer_id", "customers"),
            cascade("orders", "product_id", "products"),
            cascade("products", "category_id", "categories"),
            cascade("product_catalog", "product_id", "products"),
            "CREATE FUNCTION demand() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               UPDATE product_catalog SET current_price = LEAST(current_price * 1.01, 99999999), updated_at = now() \
               WHERE product_id = NEW.product_id; RETURN NEW; END $$; \
             CREATE TRIGGER demand AFTER INSERT ON orders FOR EACH ROW WHEN (NEW.quantity >= 3) \
               EXECUTE FUNCTION demand(); \
             CREATE FUNCTION sell(who bigint, what bigint) RETURNS bigint LANGUAGE sql AS $$ \
               INSERT INTO orders (customer_id, product_id, unit_price) VALUES (who, what, 12.34) RETURNING id $$;"
                .to_owned(),
        ]
        .concat(),
        "fraud" => [
            cascade("transactions", "user_id", "users"),
            cascade("transactions", "merchant_id", "merchants"),
            cascade("merchant_risk_tier", "merchant_id", "merchants"),
            "CREATE FUNCTION escalate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               UPDATE merchant_risk_tier SET tier = 'HIGH', updated_at = now() WHERE merchant_id = NEW.merchant_id; \
               RETURN NEW; END $$; \
             CREATE TRIGGER escalate AFTER INSERT OR UPDATE ON transactions FOR EACH ROW WHEN (NEW.amount > 2500) \
               EXECUTE FUNCTION escalate(); \
             CREATE FUNCTION pay(who bigint, whom bigint) RETURNS bigint LANGUAGE sql AS $$ \
               INSERT INTO transactions (user_id, merchant_id, amount) VALUES (who, whom, 12.34) RETURNING id $$;"
                .to_owned(),
        ]
        .concat(),
        "finance" => [
            cascade("trades", "account_id", "accounts"),
            cascade("trades", "instrument_id", "instruments"),
            cascade("market_prices", "instrument_id", "instruments"),
            cascade("instruments", "sector_id", "sectors"),
            // A large trade moves the price.
            "CREATE FUNCTION impact() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               UPDATE market_prices SET bid = LEAST(bid * 1.001, 99999), ask = LEAST(ask * 1.001, 99999), updated_at = now() \
               WHERE instrument_id = NEW.instrument_id; RETURN NEW; END $$; \
             CREATE TRIGGER impact AFTER INSERT ON trades FOR EACH ROW WHEN (NEW.quantity > 400) EXECUTE FUNCTION impact(); \
             CREATE FUNCTION buy(who bigint, what bigint) RETURNS bigint LANGUAGE sql AS $$ \
               INSERT INTO trades (account_id, instrument_id, quantity, price) VALUES (who, what, 7, 12.34) RETURNING id $$;"
                .to_owned(),
        ]
        .concat(),
        "leaderboard" => "CREATE TABLE feed (player int, points int); \
             CREATE FUNCTION fed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               INSERT INTO game_scores (player_id, player_name, game_id, score) \
               VALUES (NEW.player, 'Player_' || NEW.player, 1 + NEW.points % 5, NEW.points); RETURN NEW; END $$; \
             CREATE TRIGGER fed AFTER INSERT ON feed FOR EACH ROW EXECUTE FUNCTION fed();"
            .to_owned(),
        other => unreachable!("scenario {other} has no base tables to make hostile"),
    }
}

fn cascade(table: &str, column: &str, parent: &str) -> String {
    format!(
        "ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fkey, ADD CONSTRAINT {table}_{column}_fkey \
         FOREIGN KEY ({column}) REFERENCES {parent} (id) ON DELETE CASCADE ON UPDATE CASCADE; "
    )
}
