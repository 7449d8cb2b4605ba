-- Where apps (and the operator: `name`, from the config) want to hear of events. Secrets are
-- sealed; after a roll the former one signs too, until `former_until`.
CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY,
    app_id TEXT REFERENCES apps (id) ON DELETE CASCADE,
    name TEXT UNIQUE,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    former_secret TEXT,
    former_until INTEGER,
    status TEXT NOT NULL,
    status_at INTEGER NOT NULL,
    failing_since INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_endpoints_of_app ON webhook_endpoints (app_id);

-- The outbox: an event for one endpoint, written in the transaction of its cause. `next_attempt_at`
-- is there while it waits, `ended_at` when it does not. Swept.
CREATE TABLE webhook_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    app_id TEXT,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_attempt_at INTEGER,
    ended_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint_id, next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_of_app ON webhook_deliveries (app_id, id);
CREATE INDEX webhook_deliveries_of_app_by_state ON webhook_deliveries (app_id, state, id);
CREATE INDEX webhook_deliveries_by_end ON webhook_deliveries (state, ended_at);

CREATE TABLE webhook_attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id INTEGER NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL,
    error TEXT
) STRICT;
CREATE INDEX webhook_attempts_of_delivery ON webhook_attempts (delivery_id, id);

-- Suspended apps whose users are being told, and who was told last.
CREATE TABLE suspension_notices (
    app_id TEXT PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    after_user TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX consents_of_app_by_user ON consents (app_id, user_id);

-- Kept with the app, so that redeeming a code asks nobody.
ALTER TABLE apps ADD COLUMN has_webhooks INTEGER NOT NULL DEFAULT 0;
-- How often its developer was told that it ends soon.
ALTER TABLE client_secrets ADD COLUMN expiry_told INTEGER NOT NULL DEFAULT 0;
CREATE INDEX client_secrets_to_tell ON client_secrets (expires_at);
