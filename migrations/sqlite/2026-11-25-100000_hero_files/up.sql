-- People who acted together are honoured as a group.
CREATE TABLE hero_groups (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX hero_groups_organization ON hero_groups (organization_id, id);

-- The rest of a hero's file: who applied, with whom they acted, how the confirmation ended, whether the public may read it.
ALTER TABLE heroes ADD COLUMN application_source TEXT;
ALTER TABLE heroes ADD COLUMN group_id BLOB REFERENCES hero_groups (id);
ALTER TABLE heroes ADD COLUMN revoked_on DATE;
ALTER TABLE heroes ADD COLUMN revocation_number TEXT;
ALTER TABLE heroes ADD COLUMN revocation_reason TEXT;
ALTER TABLE heroes ADD COLUMN published BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX heroes_group ON heroes (group_id);
UPDATE heroes SET status = 'confirmed' WHERE status = 'active';

-- Titles and rewards: what a hero was given for the deed.
CREATE TABLE honours (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    hero_id BLOB NOT NULL REFERENCES heroes (id),
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    level TEXT NOT NULL,
    awarded_by TEXT,
    document_number TEXT,
    awarded_on DATE,
    amount_fen BIGINT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (amount_fen > 0)
);
CREATE INDEX honours_organization ON honours (organization_id, id);
CREATE INDEX honours_hero ON honours (hero_id);

-- What a person, or who speaks for them, has agreed to. Withdrawn and never deleted: it once was the ground of something.
CREATE TABLE consents (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    person_id BLOB NOT NULL REFERENCES persons (id),
    purpose TEXT NOT NULL,
    given_by TEXT NOT NULL,
    giver_name TEXT,
    giver_relation TEXT,
    given_on DATE NOT NULL,
    withdrawn_on DATE,
    withdrawal_reason TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (withdrawn_on IS NULL OR withdrawn_on >= given_on)
);
CREATE INDEX consents_organization ON consents (organization_id, id);
CREATE INDEX consents_person ON consents (person_id);

-- The birth date that the ID number tells, so that ages and doubles can be looked for; shown to nobody.
ALTER TABLE persons ADD COLUMN born_on DATE;
-- Who turned out to be somebody else who was registered before.
ALTER TABLE persons ADD COLUMN merged_into_id BLOB REFERENCES persons (id);
CREATE INDEX persons_born ON persons (born_on, name) WHERE born_on IS NOT NULL;
CREATE INDEX persons_name ON persons (name, organization_id, id);
CREATE INDEX persons_merged_into ON persons (merged_into_id) WHERE merged_into_id IS NOT NULL;

-- Two of whom somebody has said that they are two. The one that was registered first is the earlier.
CREATE TABLE person_distinctions (
    earlier_id BLOB NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    later_id BLOB NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    PRIMARY KEY (earlier_id, later_id)
) WITHOUT ROWID;
CREATE INDEX person_distinctions_later ON person_distinctions (later_id);

-- Which records a merge has moved, so that it can be undone.
CREATE TABLE person_merges (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    person_id BLOB NOT NULL REFERENCES persons (id),
    into_id BLOB NOT NULL REFERENCES persons (id),
    reason TEXT NOT NULL,
    moved TEXT NOT NULL,
    merged_by BLOB NOT NULL REFERENCES users (id),
    undone_at TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (person_id <> into_id)
);
CREATE INDEX person_merges_organization ON person_merges (organization_id, id);
CREATE INDEX person_merges_person ON person_merges (person_id);
CREATE INDEX person_merges_into ON person_merges (into_id);
CREATE INDEX person_merges_merged_by ON person_merges (merged_by);
