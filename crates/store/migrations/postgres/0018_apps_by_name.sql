-- What people sort by: what a name reads like puts digits among the letters.
CREATE INDEX apps_by_name ON apps (LOWER(name), id);
