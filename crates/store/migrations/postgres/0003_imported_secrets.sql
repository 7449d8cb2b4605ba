-- Secrets that are known only as a hash of another system. Such a row has an empty mac, which no
-- secret has, until the secret is shown for the first time.
ALTER TABLE client_secrets ADD COLUMN foreign_hash TEXT COLLATE "C";
