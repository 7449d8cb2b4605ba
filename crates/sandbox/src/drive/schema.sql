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
    crc32 TEXT NOT NULL
) STRICT;

CREATE TABLE folders (
    code TEXT PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES users(id),
    -- NULL for a folder at the top.
    parent TEXT REFERENCES folders(code),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX folders_of_owner ON folders (owner, name);

CREATE TABLE files (
    code TEXT PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES users(id),
    folder TEXT REFERENCES folders(code),
    name TEXT NOT NULL,
    content TEXT NOT NULL REFERENCES contents(name),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX files_of_owner ON files (owner, name);
