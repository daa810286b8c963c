-- Files that belong to records. What stands in them is in the storage, sealed.
CREATE TABLE attachments (
    id UUID PRIMARY KEY,
    organization_id UUID,
    resource TEXT NOT NULL,
    record_id UUID NOT NULL,
    file_name TEXT NOT NULL,
    caption TEXT,
    media_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    storage_key TEXT NOT NULL UNIQUE,
    thumbnail_bytes BIGINT,
    uploaded_by UUID NOT NULL REFERENCES users (id),
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX attachments_of_record ON attachments (resource, record_id, id);
CREATE INDEX attachments_of_organization ON attachments (organization_id, bytes);
CREATE INDEX attachments_uploaded_by ON attachments (uploaded_by);
