-- Work that outlives its request and its server.
CREATE TABLE jobs (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    record_id BLOB NOT NULL,
    actor_id BLOB NOT NULL REFERENCES users (id),
    request_id TEXT NOT NULL,
    address TEXT,
    language TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before TEXT NOT NULL,
    leased_by BLOB,
    leased_until TEXT,
    cancelled_by BLOB REFERENCES users (id),
    progress TEXT,
    failure TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK ((state = 'running') = (leased_by IS NOT NULL)),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);
CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('waiting', 'running');
CREATE INDEX jobs_record ON jobs (record_id, id);
CREATE INDEX jobs_actor ON jobs (actor_id);
CREATE INDEX jobs_cancelled_by ON jobs (cancelled_by);

-- An import is there from when its file is; its outcome comes later. A column can't be made nullable here.
CREATE TABLE imports_anew (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    actor_id BLOB NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL,
    mode TEXT NOT NULL,
    dry_run BOOLEAN NOT NULL,
    on_error TEXT NOT NULL,
    file_name TEXT,
    file_sha256 TEXT NOT NULL,
    outcome TEXT,
    rows_read BIGINT NOT NULL,
    rows_created BIGINT NOT NULL,
    rows_updated BIGINT NOT NULL,
    rows_unchanged BIGINT NOT NULL,
    rows_failed BIGINT NOT NULL,
    faults TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    file_bytes BIGINT NOT NULL DEFAULT 0,
    options TEXT NOT NULL DEFAULT '{}',
    format TEXT,
    encoding TEXT,
    compression TEXT,
    sheet TEXT,
    rows_left_out BIGINT NOT NULL DEFAULT 0,
    ignored_columns TEXT NOT NULL DEFAULT '[]',
    last_row BIGINT NOT NULL DEFAULT 0,
    repeats_id BLOB REFERENCES imports (id),
    finished_at TEXT,
    undone_at TEXT
);
INSERT INTO imports_anew (id, code, actor_id, resource, mode, dry_run, on_error, file_name, file_sha256, outcome, rows_read, rows_created, rows_updated, rows_unchanged, rows_failed, faults, version, created_at, updated_at)
SELECT id, code, actor_id, resource, mode, dry_run, on_error, file_name, file_sha256, outcome, rows_read, rows_created, rows_updated, rows_unchanged, rows_failed, faults, version, created_at, updated_at FROM imports;
DROP TABLE imports;
ALTER TABLE imports_anew RENAME TO imports;
CREATE INDEX imports_file ON imports (file_sha256);
CREATE INDEX imports_repeats ON imports (repeats_id);
CREATE INDEX imports_own ON imports (actor_id, id);

-- The file, in sealed pieces: any server can go on with it.
CREATE TABLE import_files (
    import_id BLOB NOT NULL REFERENCES imports (id),
    position INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (import_id, position)
);

-- What became of each row: many rows in one sealed piece.
CREATE TABLE import_outcomes (
    import_id BLOB NOT NULL REFERENCES imports (id),
    position INTEGER NOT NULL,
    first_row BIGINT NOT NULL,
    last_row BIGINT NOT NULL,
    failed INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (import_id, position)
);
