-- The programme goes in phases, and a target may belong to one.
ALTER TABLE targets ADD COLUMN phase TEXT CHECK (phase IN ('pilot', 'roll_out', 'consolidation'));

-- Who came to a training, and how often that day: attendances, of people who are known.
CREATE TABLE training_attendances (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    -- That of the training, which it follows.
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    training_id BLOB NOT NULL REFERENCES trainings (id),
    person_id BLOB NOT NULL REFERENCES persons (id),
    attended_on DATE NOT NULL,
    times BIGINT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (times BETWEEN 1 AND 20)
);
CREATE INDEX training_attendances_organization ON training_attendances (organization_id, id);
CREATE INDEX training_attendances_training ON training_attendances (training_id, id);
CREATE INDEX training_attendances_person ON training_attendances (person_id, id);
