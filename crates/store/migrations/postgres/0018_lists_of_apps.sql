-- What people sort by: what a name reads like puts digits among the letters.
CREATE INDEX apps_by_name ON apps (LOWER(name), id);

-- Apps that are live and that nobody has looked at: all of them, where nothing is reviewed.
CREATE INDEX apps_unreviewed ON apps (changed_at, id)
    WHERE status = 'live' AND reviewed_at IS NULL;
