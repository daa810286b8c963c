-- Exports that are made while nobody waits, to be fetched later.
CREATE TABLE export_files (
    id UUID PRIMARY KEY,
    actor_id UUID NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL,
    query TEXT NOT NULL,
    format TEXT NOT NULL,
    file_name TEXT NOT NULL,
    organization_id UUID,
    begun_event_id UUID NOT NULL,
    rows_written BIGINT NOT NULL,
    bytes BIGINT,
    created_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ
);
CREATE INDEX export_files_own ON export_files (actor_id, id);

-- The file, in sealed pieces: any server can give it out.
CREATE TABLE export_file_pieces (
    export_file_id UUID NOT NULL REFERENCES export_files (id),
    position INTEGER NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (export_file_id, position)
);
ALTER TABLE export_file_pieces ALTER COLUMN sealed SET STORAGE EXTERNAL;
