-- The documents that the work rests on; the text itself is an attachment.
CREATE TABLE policy_documents (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    number TEXT NOT NULL,
    title TEXT NOT NULL,
    issuer TEXT NOT NULL,
    issued_on DATE NOT NULL,
    state TEXT NOT NULL,
    superseded_by_id BLOB REFERENCES policy_documents (id),
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (state IN ('in_force', 'superseded')),
    CHECK ((state = 'superseded') = (superseded_by_id IS NOT NULL)),
    CHECK (superseded_by_id <> id),
    -- An association keeps a document once.
    UNIQUE (organization_id, issuer, number)
);
CREATE INDEX policy_documents_organization ON policy_documents (organization_id, id);
CREATE INDEX policy_documents_superseded_by ON policy_documents (superseded_by_id);
