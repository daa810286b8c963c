-- What counties are asked for every month: a versioned list of figures.
CREATE TABLE return_forms (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    -- What stays the same through all versions.
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    title TEXT NOT NULL,
    -- JSON: codes of figures, in their order; and which of them is the sum of which.
    figures TEXT NOT NULL,
    sums TEXT NOT NULL,
    jump_percent INTEGER,
    due_day INTEGER NOT NULL,
    remind_days INTEGER NOT NULL,
    opens_itself BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    published_by UUID REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (organization_id, key, number),
    CHECK (number > 0),
    CHECK (jump_percent > 0),
    CHECK (due_day BETWEEN 1 AND 28),
    CHECK (remind_days BETWEEN 0 AND 27),
    CHECK (state IN ('draft', 'published', 'retired')),
    CHECK ((state = 'draft') = (published_by IS NULL))
);
CREATE INDEX return_forms_organization ON return_forms (organization_id, id);
CREATE INDEX return_forms_published_by ON return_forms (published_by);
CREATE UNIQUE INDEX return_forms_published ON return_forms (organization_id, key) WHERE state = 'published';
CREATE UNIQUE INDEX return_forms_draft ON return_forms (organization_id, key) WHERE state = 'draft';

-- A form asked for of all counties, for one month.
CREATE TABLE return_rounds (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    form_id UUID NOT NULL REFERENCES return_forms (id),
    form_key TEXT NOT NULL,
    month TEXT NOT NULL,
    due_on DATE NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    -- Whatever the version of the form: a month is asked for once.
    UNIQUE (organization_id, form_key, month),
    CHECK (state IN ('opening', 'open', 'closed'))
);
CREATE INDEX return_rounds_organization ON return_rounds (organization_id, id);
CREATE INDEX return_rounds_form ON return_rounds (form_id);

-- What one county declares for one month.
CREATE TABLE monthly_returns (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    round_id UUID NOT NULL REFERENCES return_rounds (id),
    form_id UUID NOT NULL REFERENCES return_forms (id),
    form_key TEXT NOT NULL,
    month TEXT NOT NULL,
    due_on DATE NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    note TEXT,
    -- Why it was sent back, or is amended.
    reason TEXT,
    computed_at TIMESTAMPTZ NOT NULL,
    first_submitted_on DATE,
    submitted_at TIMESTAMPTZ,
    submitted_by UUID REFERENCES users (id),
    accepted_at TIMESTAMPTZ,
    accepted_by UUID REFERENCES users (id),
    reminded_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (round_id, organization_id),
    CHECK (state IN ('open', 'submitted', 'returned', 'accepted')),
    CHECK (revision > 0),
    CHECK ((submitted_at IS NULL) = (submitted_by IS NULL)),
    CHECK ((submitted_at IS NULL) = (first_submitted_on IS NULL)),
    CHECK ((state = 'accepted') = (accepted_by IS NOT NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_by IS NULL)),
    CHECK (accepted_by <> submitted_by)
);
CREATE INDEX monthly_returns_organization ON monthly_returns (organization_id, id);
CREATE INDEX monthly_returns_organization_month ON monthly_returns (organization_id, form_key, month);
CREATE INDEX monthly_returns_form ON monthly_returns (form_id);
CREATE INDEX monthly_returns_submitted_by ON monthly_returns (submitted_by);
CREATE INDEX monthly_returns_accepted_by ON monthly_returns (accepted_by);
-- Those whose time comes.
CREATE INDEX monthly_returns_due ON monthly_returns (form_id, due_on) WHERE state IN ('open', 'returned');

-- A figure in a return: what the records say beside what the county declares.
CREATE TABLE monthly_return_cells (
    return_id UUID NOT NULL REFERENCES monthly_returns (id),
    position INTEGER NOT NULL,
    figure TEXT NOT NULL,
    computed BIGINT,
    computed_precision TEXT NOT NULL,
    records BIGINT NOT NULL,
    declared BIGINT,
    declared_precision TEXT NOT NULL,
    reason TEXT,
    objection TEXT,
    PRIMARY KEY (return_id, position),
    CHECK (position > 0),
    CHECK (computed_precision IN ('exact', 'at_least', 'about')),
    CHECK (declared_precision IN ('exact', 'at_least', 'about')),
    CHECK (declared >= 0)
);

-- What was accepted and is amended since. Rows are added and never changed.
CREATE TABLE monthly_return_revisions (
    return_id UUID NOT NULL REFERENCES monthly_returns (id),
    revision INTEGER NOT NULL,
    -- JSON: the cells as they were accepted.
    cells TEXT NOT NULL,
    submitted_at TIMESTAMPTZ NOT NULL,
    submitted_by UUID NOT NULL REFERENCES users (id),
    accepted_at TIMESTAMPTZ NOT NULL,
    accepted_by UUID NOT NULL REFERENCES users (id),
    amended_at TIMESTAMPTZ NOT NULL,
    amended_by UUID NOT NULL REFERENCES users (id),
    reason TEXT NOT NULL,
    PRIMARY KEY (return_id, revision)
);
CREATE INDEX monthly_return_revisions_submitted_by ON monthly_return_revisions (submitted_by);
CREATE INDEX monthly_return_revisions_accepted_by ON monthly_return_revisions (accepted_by);
CREATE INDEX monthly_return_revisions_amended_by ON monthly_return_revisions (amended_by);
