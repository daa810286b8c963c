-- The problems that a year's report names, and what is planned for the next.
CREATE TABLE work_items (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    year INTEGER NOT NULL,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    content TEXT NOT NULL,
    owner_id BLOB REFERENCES users (id),
    due_on DATE,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (kind IN ('problem', 'plan')),
    CHECK (position > 0),
    CHECK (state IN ('open', 'closed'))
);
CREATE INDEX work_items_organization ON work_items (organization_id, id);
CREATE INDEX work_items_report ON work_items (organization_id, year, kind, position, id);
CREATE INDEX work_items_owner ON work_items (owner_id);

-- Which chapters an association's annual report has.
CREATE TABLE report_outlines (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL UNIQUE REFERENCES organizations (id),
    -- JSON: the chapters, each with its titles and the codes of its figures.
    sections TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX report_outlines_organization ON report_outlines (organization_id, id);

-- An annual report as it was. Rows are added and never changed.
CREATE TABLE report_snapshots (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    year INTEGER NOT NULL,
    note TEXT,
    -- JSON: the report, with what its figures were defined as.
    report TEXT NOT NULL,
    -- JSON: of each figure how many records were behind it, and a hash over their ids and versions.
    marks TEXT NOT NULL,
    -- SHA-256 over both, in hexadecimal digits.
    hash TEXT NOT NULL,
    frozen_by BLOB NOT NULL REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX report_snapshots_organization ON report_snapshots (organization_id, id);
CREATE INDEX report_snapshots_frozen_by ON report_snapshots (frozen_by);

CREATE TRIGGER report_snapshots_are_not_updated BEFORE UPDATE ON report_snapshots
BEGIN
    SELECT RAISE(ABORT, 'a frozen report stays as it was');
END;
CREATE TRIGGER report_snapshots_are_not_deleted BEFORE DELETE ON report_snapshots
BEGIN
    SELECT RAISE(ABORT, 'a frozen report stays as it was');
END;
