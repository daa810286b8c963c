-- Checklists by which stations, units, teams and associations are assessed, in versions.
CREATE TABLE standards (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    -- What stays the same through all versions.
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    title TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- JSON, each in its order.
    items TEXT NOT NULL,
    levels TEXT NOT NULL,
    valid_months INTEGER,
    state TEXT NOT NULL,
    published_by UUID REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (organization_id, key, number),
    CHECK (number > 0),
    CHECK (subject IN ('workstation', 'demonstration_unit', 'volunteer_team', 'organization')),
    CHECK (valid_months > 0),
    CHECK (state IN ('draft', 'published', 'retired')),
    CHECK ((state = 'draft') = (published_by IS NULL))
);
CREATE INDEX standards_organization ON standards (organization_id, id);
CREATE INDEX standards_key ON standards (key);
CREATE INDEX standards_published_by ON standards (published_by);
CREATE UNIQUE INDEX standards_published ON standards (organization_id, key) WHERE state = 'published';
CREATE UNIQUE INDEX standards_draft ON standards (organization_id, key) WHERE state = 'draft';

-- What was found of one subject by one version of a standard.
CREATE TABLE assessments (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    -- That of the subject.
    organization_id UUID NOT NULL REFERENCES organizations (id),
    standard_id UUID NOT NULL REFERENCES standards (id),
    subject TEXT NOT NULL,
    workstation_id UUID REFERENCES workstations (id),
    demonstration_unit_id UUID REFERENCES demonstration_units (id),
    volunteer_team_id UUID REFERENCES volunteer_teams (id),
    subject_organization_id UUID REFERENCES organizations (id),
    assessed_on DATE NOT NULL,
    note TEXT,
    state TEXT NOT NULL,
    -- Why it was sent back, or withdrawn.
    reason TEXT,
    -- In hundredths of a point; null while an item is not answered.
    total BIGINT,
    maximum_total BIGINT NOT NULL,
    level TEXT,
    -- The first day on which it holds no more.
    expires_on DATE,
    prepared_by UUID NOT NULL REFERENCES users (id),
    submitted_by UUID REFERENCES users (id),
    accepted_by UUID REFERENCES users (id),
    accepted_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    -- Exactly one subject, of the kind that is said.
    CHECK (subject IN ('workstation', 'demonstration_unit', 'volunteer_team', 'organization')),
    CHECK ((subject = 'workstation') = (workstation_id IS NOT NULL)),
    CHECK ((subject = 'demonstration_unit') = (demonstration_unit_id IS NOT NULL)),
    CHECK ((subject = 'volunteer_team') = (volunteer_team_id IS NOT NULL)),
    CHECK ((subject = 'organization') = (subject_organization_id IS NOT NULL)),
    CHECK (state IN ('draft', 'submitted', 'accepted', 'withdrawn')),
    CHECK (total BETWEEN 0 AND maximum_total),
    CHECK (expires_on > assessed_on),
    CHECK (state IN ('draft', 'withdrawn') OR (total IS NOT NULL AND submitted_by IS NOT NULL)),
    CHECK (state <> 'accepted' OR accepted_by IS NOT NULL),
    CHECK ((accepted_by IS NULL) = (accepted_on IS NULL)),
    CHECK (accepted_by <> prepared_by),
    CHECK (accepted_by <> submitted_by)
);
CREATE INDEX assessments_organization ON assessments (organization_id, id);
CREATE INDEX assessments_standard ON assessments (standard_id);
-- What holds of each subject, and until when.
CREATE INDEX assessments_workstation ON assessments (workstation_id, state, expires_on);
CREATE INDEX assessments_demonstration_unit ON assessments (demonstration_unit_id, state, expires_on);
CREATE INDEX assessments_volunteer_team ON assessments (volunteer_team_id, state, expires_on);
CREATE INDEX assessments_subject_organization ON assessments (subject_organization_id, state, expires_on);
CREATE INDEX assessments_prepared_by ON assessments (prepared_by);
CREATE INDEX assessments_submitted_by ON assessments (submitted_by);
CREATE INDEX assessments_accepted_by ON assessments (accepted_by);

-- A row for each item of the standard, in its order.
CREATE TABLE assessment_items (
    assessment_id UUID NOT NULL REFERENCES assessments (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    met BOOLEAN,
    score INTEGER,
    count INTEGER,
    note TEXT,
    PRIMARY KEY (assessment_id, position),
    CHECK (position > 0),
    CHECK (score >= 0),
    CHECK (count >= 0)
);

-- An attachment that is the evidence of an item can't be deleted.
CREATE TABLE assessment_evidence (
    assessment_id UUID NOT NULL REFERENCES assessments (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    place INTEGER NOT NULL,
    attachment_id UUID NOT NULL REFERENCES attachments (id),
    PRIMARY KEY (assessment_id, position, place)
);
CREATE INDEX assessment_evidence_attachment ON assessment_evidence (attachment_id);
