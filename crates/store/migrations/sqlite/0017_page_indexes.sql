-- How a name reads to a hurried reader, and what staff find an app by. The server fills them in.
ALTER TABLE apps ADD COLUMN skeleton TEXT;
ALTER TABLE apps ADD COLUMN search_text TEXT;
CREATE INDEX apps_by_skeleton ON apps (skeleton);

-- The users of an app are counted without a look at their rows (SQLite wants all columns of the
-- condition in the index for that), and its last call is found.
CREATE INDEX consents_given ON consents (app_id, mode, withdrawn_at)
    WHERE mode = 'live' AND withdrawn_at IS NULL;
CREATE INDEX usage_of_app_by_time ON usage_of_grants (app_id, last_at);
DROP INDEX usage_of_app;

-- Beginnings of other indexes.
DROP INDEX apps_of_owner;
DROP INDEX apps_by_name;
DROP INDEX consents_of_app;

-- A code costs as much as there are indexes: what it has no value for is left out of them.
DROP INDEX grants_of_credential;
CREATE UNIQUE INDEX grants_of_credential ON grants (credential_id, mode)
    WHERE credential_id IS NOT NULL;
DROP INDEX audit_of_app;
CREATE INDEX audit_of_app ON audit (app_id, position) WHERE app_id IS NOT NULL;
DROP INDEX audit_of_consent;
CREATE INDEX audit_of_consent ON audit (consent_id, position) WHERE consent_id IS NOT NULL;
DROP INDEX audit_of_grant;
CREATE INDEX audit_of_grant ON audit (grant_id, position) WHERE grant_id IS NOT NULL;
-- What an app does itself is among what concerns it.
DROP INDEX audit_by_actor;
CREATE INDEX audit_by_user ON audit (actor_id, position) WHERE actor_kind = 'user';
-- Of the most frequent kind the next one is never far among all events of its app.
DROP INDEX audit_of_app_and_kind;
CREATE INDEX audit_of_app_and_kind ON audit (app_id, kind, position)
    WHERE app_id IS NOT NULL AND kind <> 'grant.created';
-- Moments are found by halving.
DROP INDEX audit_by_time;
