-- Test credentials beside the live ones: each app is known by a second client id, with secrets of its
-- own. An app that waits for review can be tried with them.
INSERT INTO client_ids (wire_id, app_id, mode, dialect, source, also_standard)
SELECT 'test_' || app_id, app_id, 'test', dialect, 'registered', also_standard
FROM client_ids WHERE mode = 'live' ON CONFLICT DO NOTHING;
ALTER TABLE client_secrets ADD COLUMN mode TEXT COLLATE "C" NOT NULL DEFAULT 'live';
ALTER TABLE client_secrets ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE user_codes ADD COLUMN mode TEXT COLLATE "C" NOT NULL DEFAULT 'live';

-- Since when its developer has stopped it. Staff stop it by its status.
ALTER TABLE apps ADD COLUMN paused_at BIGINT;
-- The public keys that it proves itself with: a key set as it was pasted, or where it is.
ALTER TABLE apps ADD COLUMN jwks TEXT COLLATE "C";
ALTER TABLE apps ADD COLUMN jwks_uri TEXT COLLATE "C";

-- A consent to tests is no consent to the real thing: one row per user, app and mode. SQLite cannot
-- drop a constraint, so the table is made anew, and with it the one that points to it.
CREATE TABLE consents_by_mode (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mode TEXT COLLATE "C" NOT NULL,
    epoch BYTEA NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    asked TEXT COLLATE "C" NOT NULL,
    withdrawn_at BIGINT,
    given_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (user_id, app_id, mode)
);
INSERT INTO consents_by_mode (id, app_id, user_id, mode, epoch, scopes, asked, withdrawn_at, given_at,
    changed_at)
SELECT id, app_id, user_id, 'live', epoch, scopes, asked, withdrawn_at, given_at, changed_at
FROM consents;
CREATE TABLE grants_of_modes (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,
    consent_id TEXT COLLATE "C" REFERENCES consents_by_mode (id) ON DELETE CASCADE,
    consent_epoch BYTEA,
    credential_id TEXT COLLATE "C",
    scopes TEXT COLLATE "C" NOT NULL,
    resources TEXT COLLATE "C" NOT NULL,
    mode TEXT COLLATE "C" NOT NULL,
    dialect TEXT COLLATE "C",
    session_id TEXT COLLATE "C",
    auth_time BIGINT,
    acr TEXT COLLATE "C",
    amr TEXT COLLATE "C",
    key_binding BYTEA,
    details_ref TEXT COLLATE "C",
    device_address TEXT COLLATE "C",
    code_id TEXT COLLATE "C",
    attempt_id TEXT COLLATE "C" NOT NULL,
    generation BIGINT,
    parent BIGINT,
    rotated_at BIGINT,
    revoked_at BIGINT,
    revoked_reason TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL
);
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
