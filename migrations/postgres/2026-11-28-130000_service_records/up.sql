-- When volunteers served: from checking in to checking out, confirmed by another.
CREATE TABLE service_records (
    id UUID PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    volunteer_id UUID NOT NULL REFERENCES volunteers (id),
    team_id UUID REFERENCES volunteer_teams (id),
    campaign_event_id UUID REFERENCES campaign_events (id),
    note TEXT,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    minutes BIGINT CHECK (minutes >= 0),
    state TEXT NOT NULL,
    confirmed_by UUID REFERENCES users (id),
    reason TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK ((team_id IS NULL) <> (campaign_event_id IS NULL)),
    CHECK ((state = 'checked_in') = (ended_at IS NULL)),
    CHECK ((ended_at IS NULL) = (minutes IS NULL)),
    CHECK (ended_at >= started_at),
    CHECK ((state IN ('confirmed', 'rejected')) = (confirmed_by IS NOT NULL)),
    CHECK ((state = 'rejected') = (reason IS NOT NULL))
);
CREATE INDEX service_records_organization ON service_records (organization_id, id);
CREATE INDEX service_records_volunteer ON service_records (volunteer_id, started_at);
CREATE INDEX service_records_team ON service_records (team_id, id) WHERE team_id IS NOT NULL;
CREATE INDEX service_records_event ON service_records (campaign_event_id, id) WHERE campaign_event_id IS NOT NULL;
CREATE INDEX service_records_confirmer ON service_records (confirmed_by) WHERE confirmed_by IS NOT NULL;
-- Nobody is in two places at once.
CREATE UNIQUE INDEX service_records_open ON service_records (volunteer_id) WHERE state = 'checked_in';

-- What the association certifies of a volunteer's service, with a code by which anybody can see that it did.
CREATE TABLE certificates (
    id UUID PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    volunteer_id UUID NOT NULL REFERENCES volunteers (id),
    from_on DATE NOT NULL,
    to_on DATE NOT NULL,
    minutes BIGINT NOT NULL CHECK (minutes > 0),
    records BIGINT NOT NULL CHECK (records > 0),
    verification_code TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    reason TEXT,
    issued_by UUID NOT NULL REFERENCES users (id),
    issued_on DATE NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (from_on <= to_on),
    CHECK ((state = 'withdrawn') = (reason IS NOT NULL))
);
CREATE INDEX certificates_organization ON certificates (organization_id, id);
CREATE INDEX certificates_volunteer ON certificates (volunteer_id, id);
CREATE INDEX certificates_issuer ON certificates (issued_by);

-- What people ask to have changed in their own record.
CREATE TABLE contact_changes (
    id UUID PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    person_id UUID NOT NULL REFERENCES persons (id),
    phone_sealed BYTEA,
    phone_masked TEXT NOT NULL,
    note TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    requested_by UUID NOT NULL REFERENCES users (id),
    decided_by UUID REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    -- Nobody needs it once it is decided.
    CHECK ((state = 'requested') = (phone_sealed IS NOT NULL)),
    CHECK ((state IN ('approved', 'rejected')) = (decided_by IS NOT NULL)),
    CHECK ((state = 'rejected') = (reason IS NOT NULL))
);
CREATE INDEX contact_changes_organization ON contact_changes (organization_id, id);
CREATE INDEX contact_changes_person ON contact_changes (person_id, id);
CREATE INDEX contact_changes_requester ON contact_changes (requested_by);
CREATE INDEX contact_changes_decider ON contact_changes (decided_by) WHERE decided_by IS NOT NULL;
