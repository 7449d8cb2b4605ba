-- How far the nonces of signed requests have got: everything up to a mark may have been used. Marks
-- run ahead of what was used, so that most requests write nothing.
CREATE TABLE nonces (
    key_id TEXT PRIMARY KEY REFERENCES partner_keys (id) ON DELETE CASCADE,
    mark INTEGER NOT NULL,
    moments_mark INTEGER NOT NULL
) STRICT;
