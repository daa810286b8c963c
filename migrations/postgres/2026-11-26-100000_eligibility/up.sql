-- What a programme demands of whoever is given something out of it, and from when to when.
CREATE TABLE eligibility_rules (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    -- The programme's.
    organization_id UUID NOT NULL REFERENCES organizations (id),
    programme_id UUID NOT NULL REFERENCES welfare_programmes (id),
    fact TEXT NOT NULL,
    min INTEGER,
    max INTEGER,
    -- Codes of the fact's dictionary, with commas.
    one_of TEXT,
    effective_from DATE NOT NULL,
    -- The last day; NULL is open.
    effective_to DATE,
    note TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (fact IN ('confirmed', 'age', 'beneficiary', 'relation', 'dependant_in_force', 'outcome', 'title', 'honour_level',
        'years_since_confirmation', 'once_a_year')),
    CHECK ((fact IN ('age', 'years_since_confirmation')) = (min IS NOT NULL OR max IS NOT NULL)),
    CHECK ((fact IN ('beneficiary', 'relation', 'outcome', 'title', 'honour_level')) = (one_of IS NOT NULL)),
    CHECK (min >= 0),
    CHECK (max >= 0),
    CHECK (min <= max),
    CHECK (effective_from <= effective_to)
);
CREATE INDEX eligibility_rules_organization ON eligibility_rules (organization_id, id);
CREATE INDEX eligibility_rules_programme ON eligibility_rules (programme_id);

-- Of a benefit that is an insurance: who insures, under which number, for which term. It goes with its disbursement.
CREATE TABLE insurance_policies (
    disbursement_id UUID PRIMARY KEY REFERENCES disbursements (id) ON DELETE CASCADE,
    insurer TEXT NOT NULL,
    policy_number TEXT NOT NULL,
    insured_from DATE NOT NULL,
    insured_to DATE NOT NULL,
    CHECK (insured_from <= insured_to)
);

-- Of a recuperation or a camp: on how many days they came.
ALTER TABLE disbursements ADD COLUMN attended_days INTEGER CHECK (attended_days > 0);
