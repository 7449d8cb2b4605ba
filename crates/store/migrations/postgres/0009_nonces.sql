-- How far the nonces of signed requests have got: everything up to a mark may have been used. Marks
-- run ahead of what was used, so that most requests write nothing.
CREATE TABLE nonces (
    key_id TEXT COLLATE "C" PRIMARY KEY REFERENCES partner_keys (id) ON DELETE CASCADE,
    mark BIGINT NOT NULL,
    moments_mark BIGINT NOT NULL
);
