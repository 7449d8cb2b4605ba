-- The practice drive. Times are Unix milliseconds.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    sub TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- Bytes are kept once, however many users have the file.
CREATE TABLE contents (
    name TEXT PRIMARY KEY,
    bytes BLOB NOT NULL,
    size INTEGER NOT NULL CHECK (size = length(bytes)),
    crc32 INTEGER NOT NULL
) STRICT;

CREATE TABLE folders (
    code TEXT PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES users(id),
    -- NULL for a folder at the top.
    parent TEXT REFERENCES folders(code) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX folders_of_owner ON folders (owner, name);
CREATE INDEX folders_in ON folders (parent);

CREATE TABLE files (
    code TEXT PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES users(id),
    folder TEXT REFERENCES folders(code) ON DELETE CASCADE,
    name TEXT NOT NULL,
    content TEXT NOT NULL REFERENCES contents(name),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX files_of_owner ON files (owner, name);
CREATE INDEX files_in ON files (folder);

-- How far a transfer is follows from when it was started.
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES users(id),
    token TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    size INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    is_stored INTEGER NOT NULL,
    folder TEXT REFERENCES folders(code) ON DELETE SET NULL,
    file TEXT REFERENCES files(code) ON DELETE SET NULL
) STRICT;
CREATE INDEX transfers_of_owner ON transfers (owner, id);
CREATE INDEX transfers_to_folder ON transfers (folder);
CREATE INDEX transfers_to_file ON transfers (file);
