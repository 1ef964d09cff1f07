-- Online shop: what is sold (categories, products), to whom (customers), the stream (orders), and the price list.

CREATE TABLE categories (
    id   bigserial PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE products (
    id          bigserial PRIMARY KEY,
    name        text NOT NULL,
    category_id bigint NOT NULL REFERENCES categories (id),
    base_price  numeric(10,2) NOT NULL
);

CREATE TABLE customers (
    id      bigserial PRIMARY KEY,
    name    text NOT NULL,
    country text NOT NULL
);

CREATE TABLE orders (
    id          bigserial PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers (id),
    product_id  bigint NOT NULL REFERENCES products (id),
    quantity    int NOT NULL DEFAULT 1,
    unit_price  numeric(10,2) NOT NULL,
    ordered_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE product_catalog (
    product_id    bigint PRIMARY KEY REFERENCES products (id),
    current_price numeric(10,2) NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now()
);

INSERT INTO categories (name) VALUES
    ('Electronics'), ('Clothing'), ('Home & Garden'), ('Books'), ('Sports'), ('Food & Drink'), ('Beauty'), ('Toys');

INSERT INTO products (name, category_id, base_price) VALUES
    ('Wireless Earbuds', 1, 89.99), ('Smart Speaker', 1, 129.99), ('Action Camera', 1, 199.99),
    ('Yoga Mat', 5, 34.99), ('Trail Backpack', 5, 79.99), ('Denim Jacket', 2, 69.99), ('Wool Scarf', 2, 29.99),
    ('Table Lamp', 3, 44.99), ('Garden Hose', 3, 39.99), ('Cookbook', 4, 24.99), ('Mystery Novel', 4, 19.99),
    ('Coffee Sampler', 6, 27.99), ('Face Serum', 7, 49.99), ('Puzzle Box', 8, 22.99), ('Robot Kit', 8, 59.99);

INSERT INTO customers (name, country) VALUES
    ('Amelia Hart', 'US'), ('Bruno Castillo', 'MX'), ('Chloe Whitfield', 'UK'), ('Dae-jung Kwon', 'KR'),
    ('Elif Rahman', 'AE'), ('Felix Brandt', 'DE'), ('Greta Lindqvist', 'SE'), ('Ivan Morozov', 'RU'),
    ('Joana Teixeira', 'BR'), ('Kenji Watanabe', 'JP'), ('Layla Mansour', 'EG'), ('Marco Bellini', 'IT'),
    ('Ngozi Adeyemi', 'NG'), ('Om Prakash', 'IN'), ('Pauline Mercier', 'FR'), ('Qing Zhao', 'CN'),
    ('Rashid Anwar', 'PK'), ('Sophie Turner', 'UK'), ('Tyler Brooks', 'US'), ('Ursula Vogel', 'DE'),
    ('Valentina Rossi', 'IT'), ('Wei Chen', 'CN'), ('Ximena Flores', 'MX'), ('Yuki Tanaka', 'JP'),
    ('Zara Sheikh', 'PK'), ('Aaron Mitchell', 'US'), ('Beatriz Souza', 'BR'), ('Connor Hughes', 'UK'),
    ('Divya Nair', 'IN'), ('Emil Johansson', 'SE');

INSERT INTO product_catalog (product_id, current_price)
SELECT id, base_price FROM products;

INSERT INTO orders (customer_id, product_id, quantity, unit_price, ordered_at)
SELECT 1 + floor(random() * 30)::bigint,
       p.id,
       1 + floor(random() * 3)::int,
       round((p.base_price * (0.9 + random() * 0.2))::numeric, 2),
       now() - random() * interval '2 hours'
FROM generate_series(1, 50) AS n
JOIN products p ON p.id = 1 + n % 15;
