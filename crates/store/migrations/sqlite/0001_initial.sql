-- Ids are 32 lower-case hex digits (TEXT); times are milliseconds since 1970 (INTEGER); flags are
-- 0 or 1; sets of scopes are space-delimited, lists are JSON text that no statement looks into.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    email_normalized TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_phc TEXT,
    roles TEXT NOT NULL,
    blocked_at INTEGER,
    blocked_reason TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    auth_time INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE apps (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    name_normalized TEXT NOT NULL,
    description TEXT NOT NULL,
    homepage TEXT,
    privacy_url TEXT,
    terms_url TEXT,
    owner_id TEXT NOT NULL REFERENCES users (id),
    publisher TEXT NOT NULL,
    status TEXT NOT NULL,
    status_at INTEGER,
    status_note TEXT,
    reviewed_at INTEGER,
    reviewed_by TEXT,
    redirect_uris TEXT NOT NULL,
    requested TEXT NOT NULL,
    approved TEXT NOT NULL,
    service_scopes TEXT NOT NULL,
    addresses TEXT NOT NULL,
    access_token_ms INTEGER,
    refresh_idle_ms INTEGER,
    grant_max_ms INTEGER,
    rotates_refresh_tokens INTEGER NOT NULL,
    optional_ticked INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX apps_of_owner ON apps (owner_id);
CREATE INDEX apps_by_status ON apps (status, created_at);
CREATE INDEX apps_by_name ON apps (name_normalized);

-- What goes over the wire. Compared exactly, byte for byte.
CREATE TABLE client_ids (
    wire_id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    mode TEXT NOT NULL,
    dialect TEXT,
    source TEXT NOT NULL
) STRICT;
CREATE INDEX client_ids_of_app ON client_ids (app_id);

CREATE TABLE client_secrets (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    mac BLOB NOT NULL,
    hint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at INTEGER
) STRICT;
CREATE INDEX client_secrets_of_app ON client_secrets (app_id);

CREATE TABLE consents (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    epoch BLOB NOT NULL,
    scopes TEXT NOT NULL,
    asked TEXT NOT NULL,
    withdrawn_at INTEGER,
    given_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    UNIQUE (user_id, app_id)
) STRICT;
CREATE INDEX consents_of_app ON consents (app_id);

-- The only thing tokens point to. Its primary key makes a code single-use, because a code names
-- the grant it will become.
CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    consent_id TEXT REFERENCES consents (id) ON DELETE CASCADE,
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
CREATE INDEX grants_of_user_and_app ON grants (user_id, app_id);
CREATE INDEX grants_of_app ON grants (app_id);
CREATE INDEX grants_of_consent ON grants (consent_id);
CREATE UNIQUE INDEX grants_of_credential ON grants (credential_id, mode);

-- Access tokens that were given back before they expired (RFC 7009). Swept.
CREATE TABLE revoked_tokens (
    token_id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);

-- The one home of everything that may be used once. Swept.
CREATE TABLE used_once (
    kind TEXT NOT NULL,
    hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (kind, hash)
) STRICT;
CREATE INDEX used_once_by_end ON used_once (expires_at);

CREATE TABLE throttles (
    key TEXT PRIMARY KEY,
    attempts INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX throttles_by_end ON throttles (expires_at);

-- The change feed: which row is no longer what a cache may hold. Appends take turns, so that
-- positions become visible in their order.
CREATE TABLE changes (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    row_id TEXT NOT NULL
) STRICT;

-- Who runs on this database and how far each has read. A renewal also acknowledges what was read.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    renewals INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    clock_skew_ms INTEGER NOT NULL
) STRICT;

-- Sealing and signing keys, wrapped under the master key.
CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    class TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    use_at INTEGER NOT NULL,
    retire_at INTEGER
) STRICT;

-- What apps did, in coarse batches.
CREATE TABLE usage_of_grants (
    grant_id TEXT NOT NULL,
    family TEXT NOT NULL,
    app_id TEXT NOT NULL,
    user_id TEXT,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_address TEXT NOT NULL,
    PRIMARY KEY (grant_id, family)
) STRICT;
CREATE INDEX usage_of_user_and_app ON usage_of_grants (user_id, app_id);
CREATE INDEX usage_of_app ON usage_of_grants (app_id);

-- Append-only. Sealed in blocks, each with the hash of the one before it.
CREATE TABLE audit (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    app_id TEXT,
    user_id TEXT,
    consent_id TEXT,
    grant_id TEXT,
    address TEXT,
    detail TEXT NOT NULL,
    seal INTEGER
) STRICT;
CREATE INDEX audit_of_user ON audit (user_id, position);
CREATE INDEX audit_of_app ON audit (app_id, position);
CREATE INDEX audit_of_consent ON audit (consent_id, position);
CREATE INDEX audit_by_seal ON audit (seal, position);

CREATE TABLE audit_seals (
    number INTEGER PRIMARY KEY,
    row_count INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
