-- What approvals are bound to (JSON per scope), and when the next of them ends.
ALTER TABLE apps ADD COLUMN conditions TEXT COLLATE "C";
ALTER TABLE apps ADD COLUMN condition_ends_at BIGINT;
CREATE INDEX apps_by_condition_end ON apps (condition_ends_at);
-- Since when staff have to look at a live app once more; when a developer heard that nobody uses it.
ALTER TABLE apps ADD COLUMN due_again_at BIGINT;
ALTER TABLE apps ADD COLUMN reminded_at BIGINT;
ALTER TABLE apps ADD COLUMN brand_verified_at BIGINT;
ALTER TABLE apps ADD COLUMN brand_verified_by TEXT COLLATE "C";
ALTER TABLE apps ADD COLUMN assigned_to TEXT COLLATE "C";
CREATE INDEX apps_by_assignee ON apps (assigned_to, awaits, changed_at, id);
CREATE INDEX apps_by_review ON apps (status, reviewed_at, id);
CREATE INDEX apps_in_order_of_names ON apps (name_normalized, id);

-- The page of the trail: each filter with the order of the page.
CREATE INDEX audit_by_kind ON audit (kind, position);
CREATE INDEX audit_by_actor ON audit (actor_kind, actor_id, position);
CREATE INDEX audit_of_app_and_kind ON audit (app_id, kind, position);
CREATE INDEX audit_of_grant ON audit (grant_id, position);
-- By far most events are of users; these are the others.
CREATE INDEX audit_by_cli ON audit (position) WHERE actor_kind = 'cli';
CREATE INDEX audit_by_system ON audit (position) WHERE actor_kind = 'system';

-- Signed statements about a block and everything before it.
CREATE TABLE audit_checkpoints (
    number BIGINT PRIMARY KEY,
    made_at BIGINT NOT NULL,
    row_total BIGINT NOT NULL,
    statement TEXT COLLATE "C" NOT NULL,
    public_key TEXT COLLATE "C" NOT NULL
);

-- What the config said when a server last looked at it. One row.
CREATE TABLE policy_seen (
    id BIGINT PRIMARY KEY,
    hash TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    seen_at BIGINT NOT NULL
);
