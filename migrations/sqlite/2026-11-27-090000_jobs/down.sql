DROP TABLE import_outcomes;
DROP TABLE import_files;
CREATE TABLE imports_before (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    actor_id BLOB NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL,
    mode TEXT NOT NULL,
    dry_run BOOLEAN NOT NULL,
    on_error TEXT NOT NULL,
    file_name TEXT,
    file_sha256 TEXT NOT NULL,
    outcome TEXT NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_created BIGINT NOT NULL,
    rows_updated BIGINT NOT NULL,
    rows_unchanged BIGINT NOT NULL,
    rows_failed BIGINT NOT NULL,
    faults TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
INSERT INTO imports_before
SELECT id, code, actor_id, resource, mode, dry_run, on_error, file_name, file_sha256, outcome, rows_read, rows_created, rows_updated, rows_unchanged, rows_failed, faults, version, created_at, updated_at FROM imports WHERE outcome IS NOT NULL;
UPDATE imports SET repeats_id = NULL;
DROP TABLE imports;
ALTER TABLE imports_before RENAME TO imports;
CREATE INDEX imports_actor ON imports (actor_id);
DROP TABLE jobs;
