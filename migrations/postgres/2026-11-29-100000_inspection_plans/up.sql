-- Who is to be inspected, by whom, from when to when: the visits are inspections that name the plan.
CREATE TABLE inspection_plans (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    title TEXT NOT NULL,
    from_on DATE NOT NULL,
    to_on DATE NOT NULL,
    topics TEXT NOT NULL,
    -- JSON: who inspects, by name and unit; some of them are of no association.
    members TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (from_on <= to_on),
    CHECK (state IN ('draft', 'published', 'concluded', 'cancelled')),
    CHECK (reason IS NULL OR state IN ('concluded', 'cancelled')),
    CHECK (state <> 'cancelled' OR reason IS NOT NULL)
);
CREATE INDEX inspection_plans_organization ON inspection_plans (organization_id, id);

CREATE TABLE inspection_plan_subjects (
    plan_id UUID NOT NULL REFERENCES inspection_plans (id),
    organization_id UUID NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (plan_id, organization_id)
);
CREATE INDEX inspection_plan_subjects_organization ON inspection_plan_subjects (organization_id);

ALTER TABLE inspections ADD COLUMN plan_id UUID REFERENCES inspection_plans (id);
CREATE INDEX inspections_plan ON inspections (plan_id, organization_id);

-- What an inspection found, and what became of it.
CREATE TABLE inspection_findings (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    -- That of the inspection, which it follows.
    organization_id UUID NOT NULL REFERENCES organizations (id),
    inspection_id UUID NOT NULL REFERENCES inspections (id),
    severity TEXT NOT NULL,
    description TEXT NOT NULL,
    fixed_on_the_spot BOOLEAN NOT NULL,
    owner_id UUID REFERENCES users (id),
    due_on DATE,
    state TEXT NOT NULL,
    remedy_note TEXT,
    remedied_on DATE,
    remedied_by UUID REFERENCES users (id),
    closed_on DATE,
    closed_by UUID REFERENCES users (id),
    reason TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (severity IN ('minor', 'serious', 'critical')),
    CHECK (state IN ('open', 'remedied', 'closed')),
    CHECK (NOT fixed_on_the_spot OR state = 'closed'),
    CHECK (fixed_on_the_spot = (owner_id IS NULL)),
    CHECK (fixed_on_the_spot = (due_on IS NULL)),
    CHECK ((state = 'open' OR fixed_on_the_spot) = (remedied_by IS NULL)),
    CHECK ((remedied_by IS NULL) = (remedied_on IS NULL)),
    CHECK ((state = 'closed' AND NOT fixed_on_the_spot) = (closed_by IS NOT NULL)),
    CHECK ((closed_by IS NULL) = (closed_on IS NULL)),
    CHECK (closed_by <> owner_id),
    CHECK (closed_by <> remedied_by)
);
CREATE INDEX inspection_findings_organization ON inspection_findings (organization_id, id);
CREATE INDEX inspection_findings_inspection ON inspection_findings (inspection_id, id);
CREATE INDEX inspection_findings_owner ON inspection_findings (owner_id, id);
CREATE INDEX inspection_findings_remedied_by ON inspection_findings (remedied_by);
CREATE INDEX inspection_findings_closed_by ON inspection_findings (closed_by);
-- What is overdue: few of all.
CREATE INDEX inspection_findings_open ON inspection_findings (due_on) WHERE state = 'open';

-- What a liaison officer knew when they were asked. Who it was is told by the appointment alone.
CREATE TABLE liaison_questionings (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    -- That of the appointment, when they were asked.
    organization_id UUID NOT NULL REFERENCES organizations (id),
    inspection_id UUID REFERENCES inspections (id),
    appointment_id UUID NOT NULL REFERENCES appointments (id),
    asked_on DATE NOT NULL,
    questions TEXT NOT NULL,
    asked INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    result TEXT NOT NULL,
    note TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (asked > 0),
    CHECK (correct BETWEEN 0 AND asked),
    CHECK (result IN ('passed', 'failed', 'unclear'))
);
CREATE INDEX liaison_questionings_organization ON liaison_questionings (organization_id, id);
CREATE INDEX liaison_questionings_inspection ON liaison_questionings (inspection_id, id);
CREATE INDEX liaison_questionings_appointment ON liaison_questionings (appointment_id, id);
