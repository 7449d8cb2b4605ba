-- How the user of a session has proven who they are (RFC 8176 words), and when last with a second
-- factor.
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT 'pwd';
ALTER TABLE sessions ADD COLUMN second_factor_at INTEGER;
ALTER TABLE user_codes ADD COLUMN amr TEXT;

-- Authenticator apps (RFC 6238). The secret is sealed; each time step counts once.
CREATE TABLE totps (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    secret TEXT NOT NULL,
    last_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX totps_of_user ON totps (user_id);

-- Passkeys (WebAuthn): public keys.
CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    credential_id BLOB NOT NULL UNIQUE,
    public_key BLOB NOT NULL,
    signature_count INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX passkeys_of_user ON passkeys (user_id);

-- Codes on paper, known by a MAC. A used one is deleted.
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mac BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, mac)
) STRICT;
