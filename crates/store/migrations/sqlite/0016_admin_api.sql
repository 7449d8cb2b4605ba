-- Tokens for the admin API: what they say, never the tokens themselves.
CREATE TABLE admin_tokens (
    id TEXT PRIMARY KEY,
    mac BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX admin_tokens_of_user ON admin_tokens (user_id);

-- What a request with an idempotency key was answered (sealed), for whoever sends it again. Without
-- an answer it runs, or broke off and nobody knows. Swept.
CREATE TABLE idempotent_answers (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    answer TEXT,
    begun_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT;
CREATE INDEX idempotent_answers_by_end ON idempotent_answers (expires_at);

-- Pages of long lists.
CREATE INDEX IF NOT EXISTS audit_by_kind ON audit (kind, position);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at, position);
CREATE INDEX IF NOT EXISTS consents_of_app_in_order ON consents (app_id, id);
