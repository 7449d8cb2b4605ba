-- Some of the requests of each app, with the reason where they were refused; swept after a week.
CREATE TABLE request_log (
    app_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    latency_us INTEGER NOT NULL,
    mode TEXT NOT NULL,
    user_mark TEXT NOT NULL,
    PRIMARY KEY (app_id, at, request_id)
) STRICT;
CREATE INDEX request_log_by_id ON request_log (app_id, request_id);
CREATE INDEX request_log_by_time ON request_log (at);

-- What each app did, per hour and per day. Of its users only a sketch is kept that tells about how many.
CREATE TABLE app_counts (
    app_id TEXT NOT NULL,
    span TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    passed INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    token_errors INTEGER NOT NULL,
    users BLOB,
    PRIMARY KEY (app_id, span, bucket)
) STRICT;
CREATE INDEX app_counts_by_time ON app_counts (span, bucket);

-- The operator's plan that an app has; NULL: the default one.
ALTER TABLE apps ADD COLUMN plan TEXT;

-- Plans and perks that developers asked for, and what staff decided.
CREATE TABLE plan_requests (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    asked_by TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    decided_at INTEGER,
    decided_by TEXT,
    is_granted INTEGER,
    note TEXT
) STRICT;
CREATE INDEX plan_requests_of_app ON plan_requests (app_id, asked_at);
CREATE INDEX plan_requests_by_wait ON plan_requests (decided_at, asked_at, id);
CREATE INDEX plan_requests_of_user ON plan_requests (asked_by);
