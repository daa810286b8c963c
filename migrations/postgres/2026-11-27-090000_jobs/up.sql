-- Work that outlives its request and its server.
CREATE TABLE jobs (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL,
    record_id UUID NOT NULL,
    actor_id UUID NOT NULL REFERENCES users (id),
    request_id TEXT NOT NULL,
    address TEXT,
    language TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before TIMESTAMPTZ NOT NULL,
    leased_by UUID,
    leased_until TIMESTAMPTZ,
    cancelled_by UUID REFERENCES users (id),
    progress TEXT,
    failure TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK ((state = 'running') = (leased_by IS NOT NULL)),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);
CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('waiting', 'running');
CREATE INDEX jobs_record ON jobs (record_id, id);
CREATE INDEX jobs_actor ON jobs (actor_id);
CREATE INDEX jobs_cancelled_by ON jobs (cancelled_by);

-- An import is there from when its file is; its outcome comes later.
ALTER TABLE imports ALTER COLUMN outcome DROP NOT NULL;
ALTER TABLE imports ADD COLUMN file_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
ALTER TABLE imports ADD COLUMN format TEXT;
ALTER TABLE imports ADD COLUMN encoding TEXT;
ALTER TABLE imports ADD COLUMN compression TEXT;
ALTER TABLE imports ADD COLUMN sheet TEXT;
ALTER TABLE imports ADD COLUMN rows_left_out BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN ignored_columns TEXT NOT NULL DEFAULT '[]';
ALTER TABLE imports ADD COLUMN last_row BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN repeats_id UUID REFERENCES imports (id);
ALTER TABLE imports ADD COLUMN finished_at TIMESTAMPTZ;
ALTER TABLE imports ADD COLUMN undone_at TIMESTAMPTZ;
CREATE INDEX imports_file ON imports (file_sha256);
CREATE INDEX imports_repeats ON imports (repeats_id);
CREATE INDEX imports_own ON imports (actor_id, id);
DROP INDEX imports_actor;

-- The file, in sealed pieces: any server can go on with it.
CREATE TABLE import_files (
    import_id UUID NOT NULL REFERENCES imports (id),
    position INTEGER NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (import_id, position)
);
ALTER TABLE import_files ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- What became of each row: many rows in one sealed piece.
CREATE TABLE import_outcomes (
    import_id UUID NOT NULL REFERENCES imports (id),
    position INTEGER NOT NULL,
    first_row BIGINT NOT NULL,
    last_row BIGINT NOT NULL,
    failed INTEGER NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (import_id, position)
);
ALTER TABLE import_outcomes ALTER COLUMN sealed SET STORAGE EXTERNAL;
