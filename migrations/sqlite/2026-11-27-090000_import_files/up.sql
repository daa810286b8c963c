-- What an imported file turned out to be, and the mappings of headers that users keep.
ALTER TABLE imports ADD COLUMN format TEXT;
ALTER TABLE imports ADD COLUMN encoding TEXT;
ALTER TABLE imports ADD COLUMN compression TEXT;
ALTER TABLE imports ADD COLUMN sheet TEXT;
ALTER TABLE imports ADD COLUMN rows_left_out BIGINT NOT NULL DEFAULT 0;

CREATE TABLE import_mappings (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    resource TEXT NOT NULL,
    headers TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (user_id, name)
);
