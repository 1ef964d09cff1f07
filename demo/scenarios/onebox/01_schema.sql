-- A small shop's operational tables, as in the tutorial "The Modern Data Stack in One Box", and forty days of orders.

CREATE TABLE customers (
    id          SERIAL PRIMARY KEY,
    email       TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    plan        TEXT NOT NULL DEFAULT 'free',   -- 'free', 'pro', 'enterprise'
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE products (
    id          SERIAL PRIMARY KEY,
    sku         TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    category    TEXT NOT NULL,
    price_usd   NUMERIC(10,2) NOT NULL,
    stock_count INT NOT NULL DEFAULT 0
);

CREATE TABLE orders (
    id          BIGSERIAL PRIMARY KEY,
    customer_id INT NOT NULL REFERENCES customers(id),
    product_id  INT NOT NULL REFERENCES products(id),
    quantity    INT NOT NULL DEFAULT 1,
    total_usd   NUMERIC(10,2) NOT NULL,
    status      TEXT NOT NULL DEFAULT 'pending', -- 'pending', 'shipped', 'cancelled'
    ordered_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

INSERT INTO customers (email, name, plan, created_at)
SELECT lower(first) || i || '@example.com', first || ' ' || last, plan, now() - i * interval '9 days'
FROM (SELECT i, (ARRAY['Ada', 'Bo', 'Cleo', 'Dev', 'Eva', 'Finn', 'Gia', 'Hal', 'Ines', 'Jon'])[1 + i % 10] AS first,
             (ARRAY['Lind', 'Moreau', 'Nakamura', 'Okafor'])[1 + i / 10] AS last,
             (ARRAY['free', 'free', 'pro', 'free', 'pro', 'enterprise'])[1 + i % 6] AS plan
      FROM generate_series(0, 39) i) c;

INSERT INTO products (sku, name, category, price_usd, stock_count)
SELECT 'SKU-' || to_char(100 + i, 'FM000'), name, category, price, stock
FROM (SELECT i, (ARRAY['Desk lamp', 'Notebook', 'Keyboard', 'Headset', 'Standing desk', 'Webcam', 'Chair', 'Monitor',
                       'Pen set', 'Whiteboard', 'Microphone', 'Docking station'])[1 + i] AS name,
             (ARRAY['Furniture', 'Stationery', 'Electronics'])[1 + i % 3] AS category,
             round(9.5 + 17.25 * i, 2) AS price, (i * 37) % 60 AS stock
      FROM generate_series(0, 11) i) p;

-- Older ones are shipped, a tenth of them cancelled; the newest are pending. Those of a week ago leave the window of seven
-- days one by one while the demo runs.
INSERT INTO orders (customer_id, product_id, quantity, total_usd, status, ordered_at)
SELECT 1 + (i * 7) % 38, p.id, 1 + i % 3, (1 + i % 3) * p.price_usd,
       CASE WHEN i < 6 THEN 'pending' WHEN i % 10 = 3 THEN 'cancelled' ELSE 'shipped' END,
       now() - i * interval '3 hours'
FROM generate_series(0, 319) i JOIN products p ON p.id = 1 + (i * 5) % 12;
INSERT INTO orders (customer_id, product_id, quantity, total_usd, status, ordered_at)
SELECT 1 + i % 38, p.id, 2, 2 * p.price_usd, 'shipped', now() - interval '7 days' + i * interval '20 seconds'
FROM generate_series(1, 30) i JOIN products p ON p.id = 1 + i % 12;
