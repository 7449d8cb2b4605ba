-- Test credentials beside the live ones: each app is known by a second client id, with secrets of its
-- own. An app that waits for review can be tried with them.
INSERT INTO client_ids (wire_id, app_id, mode, dialect, source, also_standard)
SELECT 'test_' || app_id, app_id, 'test', dialect, 'registered', also_standard
FROM client_ids WHERE mode = 'live' ON CONFLICT DO NOTHING;
ALTER TABLE client_secrets ADD COLUMN mode TEXT NOT NULL DEFAULT 'live';
ALTER TABLE client_secrets ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE user_codes ADD COLUMN mode TEXT NOT NULL DEFAULT 'live';

-- Since when its developer has stopped it. Staff stop it by its status.
ALTER TABLE apps ADD COLUMN paused_at INTEGER;
-- The public keys that it proves itself with: a key set as it was pasted, or where it is.
ALTER TABLE apps ADD COLUMN jwks TEXT;
ALTER TABLE apps ADD COLUMN jwks_uri TEXT;

-- A consent to tests is no consent to the real thing: one row per user, app and mode. SQLite cannot
-- drop a constraint, so the table is made anew, and with it the one that points to it.
CREATE TABLE consents_by_mode (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mode TEXT NOT NULL,
    epoch BLOB NOT NULL,
    scopes TEXT NOT NULL,
    asked TEXT NOT NULL,
    withdrawn_at INTEGER,
    given_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    UNIQUE (user_id, app_id, mode)
) STRICT;
INSERT INTO consents_by_mode (id, app_id, user_id, mode, epoch, scopes, asked, withdrawn_at, given_at,
    changed_at)
SELECT id, app_id, user_id, 'live', epoch, scopes, asked, withdrawn_at, given_at, changed_at
FROM consents;
CREATE TABLE grants_of_modes (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    consent_id TEXT REFERENCES consents_by_mode (id) ON DELETE CASCADE,
    consent_epoch BLOB,
    credential_id TEXT,
    scopes TEXT NOT NULL,
    resources TEXT NOT NULL,
    mode TEXT NOT NULL,
    dialect TEXT,
    session_id TEXT,
    auth_time INTEGER,
    acr TEXT,
    amr TEXT,
    key_binding BLOB,
    details_ref TEXT,
    device_address TEXT,
    code_id TEXT,
    attempt_id TEXT NOT NULL,
    generation INTEGER,
    parent INTEGER,
    rotated_at INTEGER,
    revoked_at INTEGER,
    revoked_reason TEXT,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL
) STRICT;
INSERT INTO grants_of_modes (id, app_id, user_id, consent_id, consent_epoch, credential_id, scopes,
    resources, mode, dialect, session_id, auth_time, acr, amr, key_binding, details_ref,
    device_address, code_id, attempt_id, generation, parent, rotated_at, revoked_at, revoked_reason,
    created_at, last_used_at, expires_at, idle_expires_at)
SELECT id, app_id, user_id, consent_id, consent_epoch, credential_id, scopes,
    resources, mode, dialect, session_id, auth_time, acr, amr, key_binding, details_ref,
    device_address, code_id, attempt_id, generation, parent, rotated_at, revoked_at, revoked_reason,
    created_at, last_used_at, expires_at, idle_expires_at
FROM grants;
DROP TABLE grants;
DROP TABLE consents;
ALTER TABLE consents_by_mode RENAME TO consents;
ALTER TABLE grants_of_modes RENAME TO grants;
CREATE INDEX consents_of_app ON consents (app_id);
CREATE INDEX grants_of_user_and_app ON grants (user_id, app_id);
CREATE INDEX grants_of_app ON grants (app_id);
CREATE INDEX grants_of_consent ON grants (consent_id);
CREATE UNIQUE INDEX grants_of_credential ON grants (credential_id, mode);
-- Few: whether an app was tried is asked on its page.
CREATE INDEX grants_of_tests ON grants (app_id) WHERE mode = 'test';
