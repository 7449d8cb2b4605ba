-- A new revision of a live app waits here while the approved one stays live (JSON), and staff may have
-- asked its developer for changes.
ALTER TABLE apps ADD COLUMN proposed TEXT COLLATE "C";
ALTER TABLE apps ADD COLUMN asked_at BIGINT;
ALTER TABLE apps ADD COLUMN asked_note TEXT COLLATE "C";

-- Whom its review waits for: staff, its developer or nobody (NULL). Of a live app that asked for scopes
-- before this column was here, only its rows tell, so it counts as waiting until it is written again.
ALTER TABLE apps ADD COLUMN awaits TEXT COLLATE "C";
UPDATE apps SET awaits = 'staff' WHERE status = 'in_review' OR (status = 'live' AND requested <> '[]');
CREATE INDEX apps_by_wait ON apps (awaits, changed_at, id);

-- What developers and staff wrote to each other about an app.
CREATE TABLE app_messages (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    author_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    by_staff BIGINT NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    written_at BIGINT NOT NULL
);
-- Since when a developer waits for an answer.
ALTER TABLE apps ADD COLUMN question_at BIGINT;
CREATE INDEX apps_by_question ON apps (question_at);
CREATE INDEX app_messages_of_app ON app_messages (app_id, written_at);
CREATE INDEX app_messages_of_author ON app_messages (author_id);
