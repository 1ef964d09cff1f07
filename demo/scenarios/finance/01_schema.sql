-- A trading book: reference data, a stream of trades, and prices that tick. The middle price is a generated column.

CREATE TABLE sectors (
    id   bigserial PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE portfolios (
    id       bigserial PRIMARY KEY,
    name     text NOT NULL,
    manager  text NOT NULL,
    strategy text NOT NULL
);

CREATE TABLE accounts (
    id            bigserial PRIMARY KEY,
    name          text NOT NULL,
    portfolio_id  bigint NOT NULL,
    capital_limit numeric(14,2) NOT NULL DEFAULT 10000000
);

CREATE TABLE instruments (
    id          bigserial PRIMARY KEY,
    ticker      text NOT NULL UNIQUE,
    name        text NOT NULL,
    sector_id   bigint NOT NULL REFERENCES sectors (id),
    asset_class text NOT NULL DEFAULT 'EQUITY' CHECK (asset_class IN ('EQUITY', 'BOND', 'ETF', 'COMMODITY')),
    base_price  numeric(12,4) NOT NULL
);

-- quantity is negative for a sale.
CREATE TABLE trades (
    id            bigserial PRIMARY KEY,
    account_id    bigint NOT NULL REFERENCES accounts (id),
    instrument_id bigint NOT NULL REFERENCES instruments (id),
    quantity      numeric(14,4) NOT NULL,
    price         numeric(12,4) NOT NULL,
    traded_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE market_prices (
    instrument_id bigint PRIMARY KEY REFERENCES instruments (id),
    bid           numeric(12,4) NOT NULL,
    ask           numeric(12,4) NOT NULL,
    mid           numeric(12,4) GENERATED ALWAYS AS ((bid + ask) / 2) STORED,
    updated_at    timestamptz NOT NULL DEFAULT now()
);

INSERT INTO sectors (name) VALUES ('Technology'), ('Finance'), ('Healthcare'), ('Energy'), ('Consumer'), ('Industrials'), ('Materials'), ('Utilities');

INSERT INTO portfolios (name, manager, strategy) VALUES
    ('Alpha Growth', 'Ines Alvarado', 'MOMENTUM'),
    ('Beta Income', 'Tom Birk', 'VALUE'),
    ('Gamma Balanced', 'Priya Nair', 'BALANCED'),
    ('Delta Quant', 'Jonas Weber', 'QUANT'),
    ('Epsilon Macro', 'Mei Tanaka', 'MACRO');

-- Ten accounts per portfolio; the limits add up to 76, 70, 79, 145 and 201 million.
INSERT INTO accounts (name, portfolio_id, capital_limit)
SELECT 'ACC-' || lpad(((p - 1) * 10 + a)::text, 3, '0'), p, millions * 1000000
FROM (VALUES (1, ARRAY[5, 6, 7, 8, 9, 10, 6, 8, 7, 10]), (2, ARRAY[5, 6, 7, 8, 9, 7, 6, 8, 7, 7]), (3, ARRAY[7, 8, 9, 6, 8, 9, 7, 8, 9, 8]),
             (4, ARRAY[12, 14, 16, 15, 13, 17, 14, 15, 16, 13]), (5, ARRAY[18, 20, 22, 21, 19, 20, 21, 20, 19, 21])) AS limits (p, list),
     unnest(list) WITH ORDINALITY AS l (millions, a)
ORDER BY p, a;

INSERT INTO instruments (ticker, name, sector_id, base_price) VALUES
    ('QBIT', 'Quantum Bit Systems', 1, 412.5000), ('NEXA', 'Nexa Cloud', 1, 188.2000), ('PIXL', 'Pixel Foundry', 1, 96.7500),
    ('CYBR', 'Cyberwall', 1, 240.1000), ('ROBO', 'Robotic Arms', 1, 875.0000),
    ('BNKA', 'Bank of the Alps', 2, 54.3000), ('INSR', 'Insure Global', 2, 131.4000), ('PAYX', 'Pay Exchange', 2, 77.8500),
    ('FUND', 'Fundamental Trust', 2, 210.0000), ('CRED', 'Credit Harbor', 2, 42.1000),
    ('GENO', 'Genome Therapeutics', 3, 315.6000), ('MEDI', 'Medi Devices', 3, 148.9000), ('PHRM', 'Pharma Union', 3, 89.2500),
    ('CARE', 'Care Networks', 3, 63.4000), ('BIOX', 'Bio Exploration', 3, 28.0000),
    ('OILX', 'Oil Crossing', 4, 102.3000), ('SOLR', 'Solar Fields', 4, 45.7000), ('WIND', 'Wind Turbines North', 4, 38.6000),
    ('GASO', 'Gas Operators', 4, 71.2000), ('NUKE', 'Nuclear Fuels', 4, 156.0000),
    ('FOOD', 'Food Basket', 5, 59.9000), ('WEAR', 'Wear and Co', 5, 112.3000), ('AUTO', 'Auto Works', 5, 265.4000),
    ('GAME', 'Game Makers', 5, 84.1000), ('TRVL', 'Travel Circle', 5, 139.7000),
    ('MACH', 'Machine Tools', 6, 193.8000), ('SHIP', 'Shipping Lines', 6, 66.5000),
    ('STEL', 'Steel Mills', 7, 52.9000), ('CHEM', 'Chemical Works', 7, 118.2000),
    ('POWR', 'Power Grid', 8, 74.6000);

INSERT INTO market_prices (instrument_id, bid, ask)
SELECT id, ROUND(base_price * 0.9995, 4), ROUND(base_price * 1.0005, 4) FROM instruments;
