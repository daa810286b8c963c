-- A round of commendations: open for nominations, reviewed, announced to the public for some days, awarded under a number.
CREATE TABLE commendation_rounds (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    title TEXT NOT NULL,
    year INTEGER NOT NULL,
    kind TEXT NOT NULL,
    quota INTEGER NOT NULL,
    opens_on DATE NOT NULL,
    closes_on DATE NOT NULL,
    state TEXT NOT NULL,
    announced_on DATE,
    announced_days INTEGER,
    announced_until DATE,
    document_number TEXT,
    awarded_on DATE,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (kind IN ('demonstration_workstation', 'advanced_liaison_officer', 'other')),
    CHECK (quota BETWEEN 1 AND 1000),
    CHECK (opens_on <= closes_on),
    CHECK (state IN ('draft', 'open', 'reviewing', 'announced', 'awarded')),
    CHECK ((state IN ('announced', 'awarded')) = (announced_on IS NOT NULL)),
    CHECK ((announced_on IS NULL) = (announced_days IS NULL)),
    CHECK ((announced_on IS NULL) = (announced_until IS NULL)),
    CHECK (announced_days >= 7),
    CHECK (announced_until > announced_on),
    CHECK ((state = 'awarded') = (document_number IS NOT NULL)),
    CHECK ((state = 'awarded') = (awarded_on IS NOT NULL)),
    CHECK (awarded_on > announced_until)
);
CREATE INDEX commendation_rounds_organization ON commendation_rounds (organization_id, id);

CREATE TABLE nominations (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    -- Who nominates.
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    round_id BLOB NOT NULL REFERENCES commendation_rounds (id),
    workstation_id BLOB REFERENCES workstations (id),
    appointment_id BLOB REFERENCES appointments (id),
    merits TEXT NOT NULL,
    state TEXT NOT NULL,
    submitted_by BLOB REFERENCES users (id),
    decided_by BLOB REFERENCES users (id),
    reason TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (workstation_id IS NULL OR appointment_id IS NULL),
    CHECK (state IN ('draft', 'submitted', 'approved', 'rejected', 'awarded')),
    CHECK ((state = 'draft') = (submitted_by IS NULL)),
    CHECK ((state IN ('draft', 'submitted')) = (decided_by IS NULL)),
    CHECK (decided_by <> submitted_by),
    CHECK ((state = 'rejected') = (reason IS NOT NULL)),
    UNIQUE (round_id, workstation_id),
    UNIQUE (round_id, appointment_id)
);
CREATE INDEX nominations_organization ON nominations (organization_id, id);
CREATE INDEX nominations_round ON nominations (round_id, state, id);
CREATE INDEX nominations_workstation ON nominations (workstation_id);
CREATE INDEX nominations_appointment ON nominations (appointment_id);
CREATE INDEX nominations_submitted_by ON nominations (submitted_by);
CREATE INDEX nominations_decided_by ON nominations (decided_by);
