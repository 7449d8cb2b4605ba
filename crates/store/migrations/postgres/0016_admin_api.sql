-- Tokens for the admin API: what they say, never the tokens themselves.
CREATE TABLE admin_tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    mac BYTEA NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX admin_tokens_of_user ON admin_tokens (user_id);

-- What a request with an idempotency key was answered (sealed), for whoever sends it again. Without
-- an answer it runs, or broke off and nobody knows. Swept.
CREATE TABLE idempotent_answers (
    actor TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    request_hash BYTEA NOT NULL,
    answer TEXT COLLATE "C",
    begun_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotent_answers_by_end ON idempotent_answers (expires_at);

-- Pages of long lists.
CREATE INDEX IF NOT EXISTS audit_by_kind ON audit (kind, position);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at, position);
CREATE INDEX IF NOT EXISTS consents_of_app_in_order ON consents (app_id, id);
