-- An app of a dialect may be known at the standard endpoints too.
ALTER TABLE client_ids ADD COLUMN also_standard BIGINT NOT NULL DEFAULT 0;
