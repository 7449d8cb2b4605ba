-- Messages that wait to be sent, written in the transaction of what they tell. What was sent is
-- deleted; without `next_attempt_at` it was given up. Swept.
CREATE TABLE mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    locale TEXT,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER,
    last_error TEXT
) STRICT;
CREATE INDEX mails_of_user ON mails (user_id);
CREATE INDEX mails_by_turn ON mails (next_attempt_at);
CREATE INDEX mails_by_end ON mails (expires_at);

ALTER TABLE users ADD COLUMN locale TEXT;
ALTER TABLE users ADD COLUMN email_verified_at INTEGER;
