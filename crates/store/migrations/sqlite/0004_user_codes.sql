-- Codes that a person carries between two machines: typed here for a device that asked (RFC 8628),
-- or shown here and pasted into an app of a dialect. The codes themselves are known by a MAC. Swept.
CREATE TABLE user_codes (
    id TEXT PRIMARY KEY,
    user_mac BLOB NOT NULL UNIQUE,
    device_mac BLOB UNIQUE,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    dialect TEXT,
    asked TEXT NOT NULL,
    resources TEXT NOT NULL,
    device_address TEXT,
    device_agent TEXT,
    poll_interval_ms INTEGER,
    polled_at INTEGER,
    status TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    consent_id TEXT,
    consent_epoch BLOB,
    scopes TEXT,
    session_id TEXT,
    auth_time INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX user_codes_of_app ON user_codes (app_id);
CREATE INDEX user_codes_of_user ON user_codes (user_id);
CREATE INDEX user_codes_by_end ON user_codes (expires_at);

-- Where the device was that asked for a grant.
ALTER TABLE grants ADD COLUMN device_address TEXT;
