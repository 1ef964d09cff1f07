-- Nexmark's three streams as tables. Bids have no key of their own; their moments and prices differ.
CREATE TABLE person (
    id bigint PRIMARY KEY,
    name varchar NOT NULL,
    email_address varchar NOT NULL,
    credit_card varchar NOT NULL,
    city varchar NOT NULL,
    state varchar NOT NULL,
    date_time timestamp NOT NULL,
    extra varchar
);
CREATE TABLE auction (
    id bigint PRIMARY KEY,
    item_name varchar NOT NULL,
    description varchar NOT NULL,
    initial_bid bigint NOT NULL,
    reserve bigint NOT NULL,
    date_time timestamp NOT NULL,
    expires timestamp NOT NULL,
    seller bigint NOT NULL,
    category bigint NOT NULL,
    extra varchar
);
CREATE TABLE bid (
    auction bigint NOT NULL,
    bidder bigint NOT NULL,
    price bigint NOT NULL,
    channel varchar NOT NULL,
    url varchar NOT NULL,
    date_time timestamp NOT NULL,
    extra varchar
);
ALTER TABLE bid REPLICA IDENTITY FULL
