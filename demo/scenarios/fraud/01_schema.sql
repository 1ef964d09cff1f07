-- Card fraud: who pays (users), where (merchants), the stream (transactions), and a slowly changing risk tier.

CREATE TABLE users (
    id               bigserial PRIMARY KEY,
    name             text NOT NULL,
    country          text NOT NULL,
    account_age_days int  NOT NULL DEFAULT 365
);

CREATE TABLE merchants (
    id       bigserial PRIMARY KEY,
    name     text NOT NULL,
    category text NOT NULL,
    country  text NOT NULL
);

CREATE TABLE transactions (
    id          bigserial PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES users (id),
    merchant_id bigint NOT NULL REFERENCES merchants (id),
    amount      numeric(12,2) NOT NULL,
    txn_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE merchant_risk_tier (
    merchant_id bigint PRIMARY KEY REFERENCES merchants (id),
    tier        text NOT NULL DEFAULT 'STANDARD' CHECK (tier IN ('STANDARD', 'ELEVATED', 'HIGH')),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

INSERT INTO users (name, country, account_age_days) VALUES
    ('Amelia Hart', 'US', 1210), ('Bruno Castillo', 'MX', 330), ('Chloe Whitfield', 'UK', 2004),
    ('Dae-jung Kwon', 'KR', 95), ('Elif Rahman', 'AE', 610), ('Felix Brandt', 'DE', 1490),
    ('Greta Lindqvist', 'SE', 720), ('Ivan Morozov', 'RU', 45), ('Joana Teixeira', 'BR', 515),
    ('Kenji Watanabe', 'JP', 1875), ('Layla Mansour', 'EG', 260), ('Marco Bellini', 'IT', 990),
    ('Ngozi Adeyemi', 'NG', 130), ('Om Prakash', 'IN', 840), ('Pauline Mercier', 'FR', 1105),
    ('Qing Zhao', 'CN', 405), ('Rashid Anwar', 'PK', 75), ('Sophie Turner', 'UK', 1640),
    ('Tyler Brooks', 'US', 365), ('Ursula Vogel', 'DE', 2210), ('Valentina Rossi', 'IT', 290),
    ('Wei Chen', 'CN', 1330), ('Ximena Flores', 'MX', 560), ('Yuki Tanaka', 'JP', 185),
    ('Zara Sheikh', 'PK', 700), ('Aaron Mitchell', 'US', 1025), ('Beatriz Souza', 'BR', 240),
    ('Connor Hughes', 'UK', 1450), ('Divya Nair', 'IN', 310), ('Emil Johansson', 'SE', 880);

INSERT INTO merchants (name, category, country) VALUES
    ('Northgate Market', 'Retail', 'US'), ('Voltage Depot', 'Electronics', 'US'), ('Skyline Fares', 'Travel', 'UK'),
    ('Harbour Hotels', 'Travel', 'FR'), ('Lucky Spin', 'Gambling', 'MT'), ('CoinHarbor', 'Crypto', 'EE'),
    ('Corner Bistro', 'Food', 'IT'), ('WellCare Pharmacy', 'Pharmacy', 'DE'), ('Pixel Planet', 'Electronics', 'JP'),
    ('Globe Tours', 'Travel', 'AE'), ('Royal Bets', 'Gambling', 'GI'), ('HashVault', 'Crypto', 'KY'),
    ('Maple Outfitters', 'Retail', 'CA'), ('Noodle House', 'Food', 'KR'), ('Gadget Loft', 'Electronics', 'CN');

INSERT INTO merchant_risk_tier (merchant_id, tier)
SELECT id, CASE WHEN id IN (5, 11) THEN 'ELEVATED' WHEN id IN (6, 12) THEN 'HIGH' ELSE 'STANDARD' END
FROM merchants;

INSERT INTO transactions (user_id, merchant_id, amount, txn_at)
SELECT 1 + floor(random() * 30)::bigint,
       1 + floor(random() * 15)::bigint,
       round((20 + random() * 280)::numeric, 2),
       now() - random() * interval '2 hours'
FROM generate_series(1, 40);
