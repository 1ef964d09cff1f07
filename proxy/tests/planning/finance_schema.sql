CREATE TABLE sectors (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE portfolios (id bigserial PRIMARY KEY, name text NOT NULL, manager text NOT NULL, strategy text NOT NULL);
CREATE TABLE accounts (id bigserial PRIMARY KEY, name text NOT NULL, portfolio_id bigint NOT NULL,
    capital_limit numeric(14,2) NOT NULL DEFAULT 10000000);
CREATE TABLE instruments (id bigserial PRIMARY KEY, ticker text NOT NULL UNIQUE, name text NOT NULL,
    sector_id bigint NOT NULL REFERENCES sectors, asset_class text NOT NULL DEFAULT 'EQUITY', base_price numeric(12,4) NOT NULL);
CREATE TABLE trades (id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts,
    instrument_id bigint NOT NULL REFERENCES instruments, quantity numeric(14,4) NOT NULL, price numeric(12,4) NOT NULL,
    traded_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE market_prices (instrument_id bigint PRIMARY KEY REFERENCES instruments, bid numeric(12,4) NOT NULL,
    ask numeric(12,4) NOT NULL, mid numeric(12,4) GENERATED ALWAYS AS ((bid + ask) / 2) STORED,
    updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO sectors (name) SELECT 'Sector ' || i FROM generate_series(1, 4) i;
INSERT INTO portfolios (name, manager, strategy) SELECT 'Portfolio ' || i, 'Manager ' || i, 'S' || i % 2 FROM generate_series(1, 3) i;
INSERT INTO accounts (name, portfolio_id, capital_limit) SELECT 'Account ' || i, i % 3 + 1, 1000 * i FROM generate_series(1, 9) i;
INSERT INTO instruments (ticker, name, sector_id, asset_class, base_price)
    SELECT 'T' || i, 'Instrument ' || i, i % 4 + 1, (ARRAY['EQUITY', 'BOND', 'ETF', 'COMMODITY', 'OTHER'])[i % 5 + 1], i * 11.5
    FROM generate_series(1, 10) i;
INSERT INTO market_prices (instrument_id, bid, ask)
    SELECT id, round(base_price * 0.9995, 4), round(base_price * 1.0005, 4) FROM instruments;
INSERT INTO trades (account_id, instrument_id, quantity, price)
    SELECT i % 9 + 1, i % 10 + 1, CASE WHEN i % 3 = 0 THEN -1 ELSE 1 END * (i % 50 + 0.5), 10 + i % 97 FROM generate_series(1, 300) i;
