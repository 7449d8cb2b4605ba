-- Some of the requests of each app, with the reason where they were refused; swept after a week.
CREATE TABLE request_log (
    app_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    latency_us BIGINT NOT NULL,
    mode TEXT COLLATE "C" NOT NULL,
    user_mark TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (app_id, at, request_id)
);
CREATE INDEX request_log_by_id ON request_log (app_id, request_id);
CREATE INDEX request_log_by_time ON request_log (at);

-- What each app did, per hour and per day. Of its users only a sketch is kept that tells about how many.
CREATE TABLE app_counts (
    app_id TEXT COLLATE "C" NOT NULL,
    span TEXT COLLATE "C" NOT NULL,
    bucket BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    passed BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    token_errors BIGINT NOT NULL,
    users BYTEA,
    PRIMARY KEY (app_id, span, bucket)
);
CREATE INDEX app_counts_by_time ON app_counts (span, bucket);

-- The operator's plan that an app has; NULL: the default one.
ALTER TABLE apps ADD COLUMN plan TEXT COLLATE "C";

-- Plans and perks that developers asked for, and what staff decided.
CREATE TABLE plan_requests (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    asked_by TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    asked_at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by TEXT COLLATE "C",
    is_granted BIGINT,
    note TEXT COLLATE "C"
);
CREATE INDEX plan_requests_of_app ON plan_requests (app_id, asked_at);
CREATE INDEX plan_requests_by_wait ON plan_requests (decided_at, asked_at, id);
CREATE INDEX plan_requests_of_user ON plan_requests (asked_by);
