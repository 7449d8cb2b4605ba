-- Keys with which apps sign calls for users. One per user and app, active or disabled. The secret
-- is sealed, for the gateway computes signatures with it; of a disabled key it is forgotten.
CREATE TABLE partner_keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    public_key TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    secret TEXT COLLATE "C" NOT NULL,
    secret_locked_until BIGINT,
    secret_read_at BIGINT,
    permissions TEXT COLLATE "C" NOT NULL,
    disabled_at BIGINT,
    disabled_why TEXT COLLATE "C",
    dialect TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    idle_from BIGINT NOT NULL,
    UNIQUE (user_id, app_id)
);
CREATE INDEX partner_keys_of_app ON partner_keys (app_id);
CREATE INDEX partner_keys_by_use ON partner_keys (disabled_at, idle_from);
