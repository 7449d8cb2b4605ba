-- People who look after the same apps.
CREATE TABLE teams (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE team_members (
    team_id TEXT COLLATE "C" NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_of_user ON team_members (user_id, team_id);

-- Deleted when they are answered; what nobody answers is swept.
CREATE TABLE team_invitations (
    id TEXT COLLATE "C" PRIMARY KEY,
    team_id TEXT COLLATE "C" NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    email_normalized TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    invited_by TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (team_id, email_normalized)
);
CREATE INDEX team_invitations_of_address ON team_invitations (email_normalized);
CREATE INDEX team_invitations_by_end ON team_invitations (expires_at);
CREATE INDEX team_invitations_of_user ON team_invitations (invited_by);

-- Of an app of a team, the column `owner_id` is the member who answers for it.
ALTER TABLE apps ADD COLUMN team_id TEXT COLLATE "C" REFERENCES teams (id);
CREATE INDEX apps_of_team ON apps (team_id, created_at, id);
CREATE INDEX apps_of_person ON apps (owner_id, created_at, id);

-- Apps that somebody else is to have, and has not accepted yet: a person (by address) or a team.
CREATE TABLE app_transfers (
    app_id TEXT COLLATE "C" PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    asked_by TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    to_email TEXT COLLATE "C",
    to_team TEXT COLLATE "C" REFERENCES teams (id) ON DELETE CASCADE,
    asked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX app_transfers_to_address ON app_transfers (to_email);
CREATE INDEX app_transfers_to_team ON app_transfers (to_team);
CREATE INDEX app_transfers_by_end ON app_transfers (expires_at);
CREATE INDEX app_transfers_of_user ON app_transfers (asked_by);

-- Logos as we drew them again. An app names the one that holds, and another while it waits for review.
ALTER TABLE apps ADD COLUMN logo TEXT COLLATE "C";
CREATE TABLE app_logos (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    png BYTEA NOT NULL
);
CREATE INDEX app_logos_of_app ON app_logos (app_id);
