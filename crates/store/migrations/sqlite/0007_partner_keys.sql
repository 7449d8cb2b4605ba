-- Keys with which apps sign calls for users. One per user and app, active or disabled. The secret
-- is sealed, for the gateway computes signatures with it; of a disabled key it is forgotten.
CREATE TABLE partner_keys (
    id TEXT PRIMARY KEY,
    public_key TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    secret_locked_until INTEGER,
    secret_read_at INTEGER,
    permissions TEXT NOT NULL,
    disabled_at INTEGER,
    disabled_why TEXT,
    dialect TEXT,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    idle_from INTEGER NOT NULL,
    UNIQUE (user_id, app_id)
) STRICT;
CREATE INDEX partner_keys_of_app ON partner_keys (app_id);
CREATE INDEX partner_keys_by_use ON partner_keys (disabled_at, idle_from);
