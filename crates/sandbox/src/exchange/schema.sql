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
    kind TEXT NOT NULL CHECK (kind IN ('limit', 'market', 'stock market')),
    price TEXT,
    -- The price counted in the market's smallest step, to sort by.
    price_ticks INTEGER,
    ioc INTEGER NOT NULL,
    post_only INTEGER NOT NULL,
    amount TEXT NOT NULL,
    deal_stock TEXT NOT NULL,
    deal_money TEXT NOT NULL,
    deal_fee TEXT NOT NULL,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'filled', 'cancelled')),
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    CHECK ((status = 'open') = (finished_at IS NULL)),
    CHECK ((kind = 'limit') = (price IS NOT NULL)),
    CHECK ((price IS NULL) = (price_ticks IS NULL))
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
    fee TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deals_of_owner ON deals (owner, id);
CREATE INDEX deals_of_market ON deals (market, role, created_at);

-- What was paid in (method 1) and out (method 2).
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES users(id),
    method INTEGER NOT NULL CHECK (method IN (1, 2)),
    currency TEXT NOT NULL,
    amount TEXT NOT NULL,
    fee TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX transactions_of_owner ON transactions (owner, id);

-- An offer to convert, and once it is confirmed the conversion.
CREATE TABLE quotes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES users(id),
    give_currency TEXT NOT NULL,
    give TEXT NOT NULL,
    receive_currency TEXT NOT NULL,
    receive TEXT NOT NULL,
    rate TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    confirmed_at INTEGER
) STRICT;
CREATE INDEX quotes_of_owner ON quotes (owner, id);
