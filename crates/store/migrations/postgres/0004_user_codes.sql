-- Codes that a person carries between two machines: typed here for a device that asked (RFC 8628),
-- or shown here and pasted into an app of a dialect. The codes themselves are known by a MAC. Swept.
CREATE TABLE user_codes (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_mac BYTEA NOT NULL UNIQUE,
    device_mac BYTEA UNIQUE,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    dialect TEXT COLLATE "C",
    asked TEXT COLLATE "C" NOT NULL,
    resources TEXT COLLATE "C" NOT NULL,
    device_address TEXT COLLATE "C",
    device_agent TEXT COLLATE "C",
    poll_interval_ms BIGINT,
    polled_at BIGINT,
    status TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,
    consent_id TEXT COLLATE "C",
    consent_epoch BYTEA,
    scopes TEXT COLLATE "C",
    session_id TEXT COLLATE "C",
    auth_time BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX user_codes_of_app ON user_codes (app_id);
CREATE INDEX user_codes_of_user ON user_codes (user_id);
CREATE INDEX user_codes_by_end ON user_codes (expires_at);

-- Where the device was that asked for a grant.
ALTER TABLE grants ADD COLUMN device_address TEXT COLLATE "C";
