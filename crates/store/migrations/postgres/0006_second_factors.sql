-- How the user of a session has proven who they are (RFC 8176 words), and when last with a second
-- factor.
ALTER TABLE sessions ADD COLUMN amr TEXT COLLATE "C" NOT NULL DEFAULT 'pwd';
ALTER TABLE sessions ADD COLUMN second_factor_at BIGINT;
ALTER TABLE user_codes ADD COLUMN amr TEXT COLLATE "C";

-- Authenticator apps (RFC 6238). The secret is sealed; each time step counts once.
CREATE TABLE totps (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C" NOT NULL,
    last_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX totps_of_user ON totps (user_id);

-- Passkeys (WebAuthn): public keys.
CREATE TABLE passkeys (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    credential_id BYTEA NOT NULL UNIQUE,
    public_key BYTEA NOT NULL,
    signature_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_of_user ON passkeys (user_id);

-- Codes on paper, known by a MAC. A used one is deleted.
CREATE TABLE recovery_codes (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mac BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, mac)
);
