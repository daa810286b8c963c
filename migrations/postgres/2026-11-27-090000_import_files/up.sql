-- What an imported file turned out to be, and the mappings of headers that users keep.
ALTER TABLE imports ADD COLUMN format TEXT;
ALTER TABLE imports ADD COLUMN encoding TEXT;
ALTER TABLE imports ADD COLUMN compression TEXT;
ALTER TABLE imports ADD COLUMN sheet TEXT;
ALTER TABLE imports ADD COLUMN rows_left_out BIGINT NOT NULL DEFAULT 0;

CREATE TABLE import_mappings (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    name TEXT COLLATE "C" NOT NULL,
    resource TEXT NOT NULL,
    headers TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (user_id, name)
);
