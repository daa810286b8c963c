-- The programme goes in phases, and a target may belong to one.
ALTER TABLE targets ADD COLUMN phase TEXT CHECK (phase IN ('pilot', 'roll_out', 'consolidation'));

-- Who came to a training, and how often that day: attendances, of people who are known.
CREATE TABLE training_attendances (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    -- That of the training, which it follows.
    organization_id UUID NOT NULL REFERENCES organizations (id),
    training_id UUID NOT NULL REFERENCES trainings (id),
    person_id UUID NOT NULL REFERENCES persons (id),
    attended_on DATE NOT NULL,
    times BIGINT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (times BETWEEN 1 AND 20)
);
CREATE INDEX training_attendances_organization ON training_attendances (organization_id, id);
CREATE INDEX training_attendances_training ON training_attendances (training_id, id);
CREATE INDEX training_attendances_person ON training_attendances (person_id, id);
