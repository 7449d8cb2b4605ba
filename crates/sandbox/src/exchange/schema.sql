-- The practice exchange. Money is decimal text; times are Unix milliseconds.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    -- Empty for the house, which no assertion can name.
    sub TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE balances (
    owner INTEGER NOT NULL REFERENCES users(id),
    currency TEXT NOT NULL,
    main TEXT NOT NULL CHECK (main NOT LIKE '-%'),
    available TEXT NOT NULL CHECK (available NOT LIKE '-%'),
    freeze TEXT NOT NULL CHECK (freeze NOT LIKE '-%'),
    PRIMARY KEY (owner, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES users(id),
    market TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
    price TEXT NOT NULL,
    -- The price counted in the market's smallest step, to sort by.
    price_ticks INTEGER NOT NULL,
    amount TEXT NOT NULL,
    deal_stock TEXT NOT NULL,
    deal_money TEXT NOT NULL,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'filled', 'cancelled')),
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    CHECK ((status = 'open') = (finished_at IS NULL))
) STRICT;
CREATE INDEX orders_in_book ON orders (market, side, price_ticks, priority) WHERE status = 'open';
CREATE INDEX orders_of_owner ON orders (owner, status, id);
CREATE INDEX orders_by_priority ON orders (priority);
CREATE UNIQUE INDEX orders_by_client_order_id ON orders (owner, client_order_id)
    WHERE status = 'open' AND client_order_id <> '';

-- Two rows for a trade: one for the maker (role 1), one for the taker (role 2).
CREATE TABLE deals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES users(id),
    order_id INTEGER NOT NULL REFERENCES orders(id),
    market TEXT NOT NULL,
    side TEXT NOT NULL,
    role INTEGER NOT NULL CHECK (role IN (1, 2)),
    price TEXT NOT NULL,
    amount TEXT NOT NULL,
    money TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deals_of_owner ON deals (owner, id);
CREATE INDEX deals_of_market ON deals (market, role, created_at);
