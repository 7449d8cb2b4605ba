-- Ids are 32 lower-case hex digits (TEXT); times are milliseconds since 1970 (BIGINT); flags are
-- 0 or 1; sets of scopes are space-delimited, lists are JSON text that no statement looks into.

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL,
    email_normalized TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    password_phc TEXT COLLATE "C",
    roles TEXT COLLATE "C" NOT NULL,
    blocked_at BIGINT,
    blocked_reason TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    auth_time BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE apps (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_normalized TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    homepage TEXT COLLATE "C",
    privacy_url TEXT COLLATE "C",
    terms_url TEXT COLLATE "C",
    owner_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    publisher TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    status_at BIGINT,
    status_note TEXT COLLATE "C",
    reviewed_at BIGINT,
    reviewed_by TEXT COLLATE "C",
    redirect_uris TEXT COLLATE "C" NOT NULL,
    requested TEXT COLLATE "C" NOT NULL,
    approved TEXT COLLATE "C" NOT NULL,
    service_scopes TEXT COLLATE "C" NOT NULL,
    addresses TEXT COLLATE "C" NOT NULL,
    access_token_ms BIGINT,
    refresh_idle_ms BIGINT,
    grant_max_ms BIGINT,
    rotates_refresh_tokens BIGINT NOT NULL,
    optional_ticked BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX apps_of_owner ON apps (owner_id);
CREATE INDEX apps_by_status ON apps (status, created_at);
CREATE INDEX apps_by_name ON apps (name_normalized);

-- What goes over the wire. Compared exactly, byte for byte.
CREATE TABLE client_ids (
    wire_id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    mode TEXT COLLATE "C" NOT NULL,
    dialect TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL
);
CREATE INDEX client_ids_of_app ON client_ids (app_id);

CREATE TABLE client_secrets (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    mac BYTEA NOT NULL,
    hint TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at BIGINT
);
CREATE INDEX client_secrets_of_app ON client_secrets (app_id);

CREATE TABLE consents (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    epoch BYTEA NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    asked TEXT COLLATE "C" NOT NULL,
    withdrawn_at BIGINT,
    given_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (user_id, app_id)
);
CREATE INDEX consents_of_app ON consents (app_id);

-- The only thing tokens point to. Its primary key makes a code single-use, because a code names
-- the grant it will become.
CREATE TABLE grants (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,
    consent_id TEXT COLLATE "C" REFERENCES consents (id) ON DELETE CASCADE,
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
CREATE INDEX grants_of_user_and_app ON grants (user_id, app_id);
CREATE INDEX grants_of_app ON grants (app_id);
CREATE INDEX grants_of_consent ON grants (consent_id);
CREATE UNIQUE INDEX grants_of_credential ON grants (credential_id, mode);

-- Access tokens that were given back before they expired (RFC 7009). Swept.
CREATE TABLE revoked_tokens (
    token_id TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);

-- The one home of everything that may be used once. Swept.
CREATE TABLE used_once (
    kind TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, hash)
);
CREATE INDEX used_once_by_end ON used_once (expires_at);

CREATE TABLE throttles (
    key TEXT COLLATE "C" PRIMARY KEY,
    attempts BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX throttles_by_end ON throttles (expires_at);

-- The change feed: which row is no longer what a cache may hold. Appends take turns, so that
-- positions become visible in their order.
CREATE TABLE changes (
    position BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    row_id TEXT COLLATE "C" NOT NULL
);

-- Who runs on this database and how far each has read. A renewal also acknowledges what was read.
CREATE TABLE nodes (
    id TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    renewals BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    clock_skew_ms BIGINT NOT NULL
);

-- Sealing and signing keys, wrapped under the master key.
CREATE TABLE keys (
    id BIGINT PRIMARY KEY,
    class TEXT COLLATE "C" NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    use_at BIGINT NOT NULL,
    retire_at BIGINT
);

-- What apps did, in coarse batches.
CREATE TABLE usage_of_grants (
    grant_id TEXT COLLATE "C" NOT NULL,
    family TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    calls BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    last_address TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (grant_id, family)
);
CREATE INDEX usage_of_user_and_app ON usage_of_grants (user_id, app_id);
CREATE INDEX usage_of_app ON usage_of_grants (app_id);

-- Append-only. Sealed in blocks, each with the hash of the one before it.
CREATE TABLE audit (
    position BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C",
    app_id TEXT COLLATE "C",
    user_id TEXT COLLATE "C",
    consent_id TEXT COLLATE "C",
    grant_id TEXT COLLATE "C",
    address TEXT COLLATE "C",
    detail TEXT COLLATE "C" NOT NULL,
    seal BIGINT
);
CREATE INDEX audit_of_user ON audit (user_id, position);
CREATE INDEX audit_of_app ON audit (app_id, position);
CREATE INDEX audit_of_consent ON audit (consent_id, position);
CREATE INDEX audit_by_seal ON audit (seal, position);

CREATE TABLE audit_seals (
    number BIGINT PRIMARY KEY,
    row_count BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
