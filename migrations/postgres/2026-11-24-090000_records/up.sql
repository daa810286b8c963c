-- Who belongs where: the tree of associations and its transitive closure.
CREATE TABLE organizations (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT NOT NULL,
    short_name TEXT,
    kind TEXT NOT NULL,
    parent_id UUID REFERENCES organizations (id),
    division_code TEXT,
    status TEXT NOT NULL,
    established_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX organizations_parent ON organizations (parent_id);
CREATE INDEX organizations_kind ON organizations (kind);

-- Every organization is its own ancestor at depth 0. Kept in the transaction that moves the organization.
CREATE TABLE organization_closure (
    ancestor_id UUID NOT NULL REFERENCES organizations (id),
    descendant_id UUID NOT NULL REFERENCES organizations (id),
    depth INTEGER NOT NULL,
    PRIMARY KEY (ancestor_id, descendant_id)
);
CREATE INDEX organization_closure_descendant ON organization_closure (descendant_id);

-- Two-character pieces of names, so that a search for one or two Chinese characters is an index lookup.
CREATE TABLE name_grams (
    resource TEXT NOT NULL,
    gram TEXT COLLATE "C" NOT NULL,
    record_id UUID NOT NULL,
    PRIMARY KEY (resource, gram, record_id)
);
CREATE INDEX name_grams_record ON name_grams (record_id);

-- One human being. ID number and phone are sealed; the hashes find equals, the masks are what is shown.
CREATE TABLE persons (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    gender TEXT,
    id_number_sealed BYTEA,
    id_number_hash BYTEA UNIQUE,
    id_number_masked TEXT,
    phone_sealed BYTEA,
    phone_hash BYTEA,
    phone_masked TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX persons_organization ON persons (organization_id, id);
CREATE INDEX persons_phone ON persons (phone_hash);

-- People who sign in and machine clients. A client's username is its client id, its password its secret.
CREATE TABLE users (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID REFERENCES organizations (id),
    kind TEXT NOT NULL,
    username TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    person_id UUID REFERENCES persons (id),
    password_hash TEXT NOT NULL,
    must_change_password BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    failed_attempts INTEGER NOT NULL,
    locked_until TIMESTAMPTZ,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX users_organization ON users (organization_id, id);
CREATE INDEX users_person ON users (person_id);

-- A grant without an organization reaches the whole tree; only a platform administrator may hold one.
CREATE TABLE role_grants (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id UUID NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    organization_id UUID REFERENCES organizations (id),
    from_on DATE NOT NULL,
    to_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (to_on IS NULL OR to_on >= from_on),
    CHECK (organization_id IS NOT NULL OR role = 'platform_admin')
);
CREATE INDEX role_grants_user ON role_grants (user_id);
CREATE INDEX role_grants_organization ON role_grants (organization_id, id);

-- A login and the family of refresh tokens that descends from it.
CREATE TABLE sessions (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    created_at TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    ended_because TEXT
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE refresh_tokens (
    token_hash BYTEA PRIMARY KEY,
    session_id UUID NOT NULL REFERENCES sessions (id),
    issued_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- organization_id has no foreign key: the trail outlives what it tells of.
CREATE TABLE audit_events (
    id UUID PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    actor_id UUID REFERENCES users (id),
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    record_id UUID,
    organization_id UUID,
    request_id TEXT NOT NULL,
    detail TEXT
);
CREATE INDEX audit_events_organization ON audit_events (organization_id, id);
CREATE INDEX audit_events_record ON audit_events (record_id);
CREATE INDEX audit_events_actor ON audit_events (actor_id);

CREATE TABLE idempotency_keys (
    actor_id UUID NOT NULL REFERENCES users (id),
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    status INTEGER NOT NULL,
    location TEXT,
    etag TEXT,
    body BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (actor_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE imports (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    actor_id UUID NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL,
    mode TEXT NOT NULL,
    dry_run BOOLEAN NOT NULL,
    on_error TEXT NOT NULL,
    file_name TEXT,
    file_sha256 TEXT NOT NULL,
    outcome TEXT NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_created BIGINT NOT NULL,
    rows_updated BIGINT NOT NULL,
    rows_unchanged BIGINT NOT NULL,
    rows_failed BIGINT NOT NULL,
    faults TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX imports_actor ON imports (actor_id);

-- Who helps.
CREATE TABLE workstations (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    host_kind TEXT NOT NULL,
    host_name TEXT,
    address TEXT,
    longitude DOUBLE PRECISION,
    latitude DOUBLE PRECISION,
    coordinate_system TEXT,
    commended BOOLEAN,
    established_on DATE,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX workstations_organization ON workstations (organization_id, id);

CREATE TABLE appointments (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    person_id UUID NOT NULL REFERENCES persons (id),
    workstation_id UUID REFERENCES workstations (id),
    post TEXT NOT NULL,
    from_on DATE NOT NULL,
    to_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (to_on IS NULL OR to_on >= from_on)
);
CREATE INDEX appointments_organization ON appointments (organization_id, id);
CREATE INDEX appointments_person ON appointments (person_id);
CREATE INDEX appointments_workstation ON appointments (workstation_id);

CREATE TABLE volunteer_teams (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT,
    base_kind TEXT NOT NULL,
    parent_id UUID REFERENCES volunteer_teams (id),
    workstation_id UUID REFERENCES workstations (id),
    leader_id UUID REFERENCES persons (id),
    established_on DATE NOT NULL,
    established_on_precision TEXT NOT NULL,
    flag_ceremony_on DATE,
    status TEXT NOT NULL,
    disbanded_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (disbanded_on IS NULL OR disbanded_on >= established_on)
);
CREATE INDEX volunteer_teams_organization ON volunteer_teams (organization_id, id);
CREATE INDEX volunteer_teams_parent ON volunteer_teams (parent_id);
CREATE INDEX volunteer_teams_workstation ON volunteer_teams (workstation_id);
CREATE INDEX volunteer_teams_leader ON volunteer_teams (leader_id);

CREATE TABLE volunteers (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    person_id UUID NOT NULL UNIQUE REFERENCES persons (id),
    sector TEXT NOT NULL,
    status TEXT NOT NULL,
    registered_on DATE NOT NULL,
    registered_on_precision TEXT NOT NULL,
    left_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (left_on IS NULL OR left_on >= registered_on)
);
CREATE INDEX volunteers_organization ON volunteers (organization_id, id);

CREATE TABLE memberships (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    volunteer_id UUID NOT NULL REFERENCES volunteers (id),
    team_id UUID NOT NULL REFERENCES volunteer_teams (id),
    joined_on DATE NOT NULL,
    left_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (left_on IS NULL OR left_on >= joined_on)
);
CREATE INDEX memberships_organization ON memberships (organization_id, id);
CREATE INDEX memberships_volunteer ON memberships (volunteer_id);
CREATE INDEX memberships_team ON memberships (team_id);
CREATE UNIQUE INDEX memberships_current ON memberships (volunteer_id, team_id) WHERE left_on IS NULL;

CREATE TABLE trainings (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL,
    topic TEXT NOT NULL,
    audience TEXT NOT NULL,
    year INTEGER NOT NULL,
    held_on DATE,
    place TEXT,
    attendances BIGINT,
    attendances_precision TEXT NOT NULL,
    distinct_people BIGINT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (attendances >= 0),
    CHECK (distinct_people >= 0)
);
CREATE INDEX trainings_organization ON trainings (organization_id, id);
CREATE INDEX trainings_year ON trainings (year, id);

-- The year's work, as far as its figures are counted from records.
CREATE TABLE inspections (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    inspector_id UUID NOT NULL REFERENCES organizations (id),
    year INTEGER NOT NULL,
    inspected_on DATE,
    topics TEXT NOT NULL,
    findings TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX inspections_organization ON inspections (organization_id, id);
CREATE INDEX inspections_inspector ON inspections (inspector_id);
CREATE INDEX inspections_year ON inspections (year, id);

CREATE TABLE circulars (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    number TEXT,
    title TEXT,
    subject TEXT NOT NULL,
    year INTEGER NOT NULL,
    issued_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX circulars_organization ON circulars (organization_id, id);
CREATE INDEX circulars_year ON circulars (year, id);

CREATE TABLE targets (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    indicator TEXT NOT NULL,
    year INTEGER NOT NULL,
    value BIGINT NOT NULL,
    unit TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (organization_id, indicator, year),
    CHECK (value >= 0)
);
CREATE INDEX targets_organization ON targets (organization_id, id);

-- What spreads the word.
CREATE TABLE publicity_assets (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT,
    category TEXT NOT NULL,
    kind TEXT,
    parent_id UUID REFERENCES publicity_assets (id),
    quantity BIGINT,
    quantity_precision TEXT NOT NULL,
    unit TEXT,
    stage TEXT NOT NULL,
    stage_on DATE NOT NULL,
    funding_route TEXT,
    address TEXT,
    longitude DOUBLE PRECISION,
    latitude DOUBLE PRECISION,
    coordinate_system TEXT,
    note TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (quantity >= 0)
);
CREATE INDEX publicity_assets_organization ON publicity_assets (organization_id, id);
CREATE INDEX publicity_assets_parent ON publicity_assets (parent_id);

-- effective_on with precision `at_latest` means: this stage was reached on that day or before it.
CREATE TABLE publicity_asset_stages (
    publicity_asset_id UUID NOT NULL REFERENCES publicity_assets (id) ON DELETE CASCADE,
    effective_on DATE NOT NULL,
    effective_on_precision TEXT NOT NULL,
    stage TEXT NOT NULL,
    PRIMARY KEY (publicity_asset_id, effective_on)
);

CREATE TABLE campaigns (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    year INTEGER NOT NULL,
    starts_on DATE,
    ends_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (ends_on IS NULL OR starts_on IS NULL OR ends_on >= starts_on)
);
CREATE INDEX campaigns_organization ON campaigns (organization_id, id);
CREATE INDEX campaigns_year ON campaigns (year, id);

CREATE TABLE campaign_events (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    campaign_id UUID NOT NULL REFERENCES campaigns (id),
    name TEXT,
    kind TEXT NOT NULL,
    year INTEGER NOT NULL,
    held_on DATE,
    place TEXT,
    participants BIGINT,
    participants_precision TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (participants >= 0)
);
CREATE INDEX campaign_events_organization ON campaign_events (organization_id, id);
CREATE INDEX campaign_events_campaign ON campaign_events (campaign_id);
CREATE INDEX campaign_events_year ON campaign_events (year, id);

CREATE TABLE placements (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    publicity_asset_id UUID NOT NULL REFERENCES publicity_assets (id),
    campaign_id UUID REFERENCES campaigns (id),
    content TEXT NOT NULL,
    year INTEGER NOT NULL,
    starts_on DATE,
    ends_on DATE,
    quantity BIGINT,
    quantity_precision TEXT NOT NULL,
    proof TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (quantity >= 0),
    CHECK (ends_on IS NULL OR starts_on IS NULL OR ends_on >= starts_on)
);
CREATE INDEX placements_organization ON placements (organization_id, id);
CREATE INDEX placements_publicity_asset ON placements (publicity_asset_id);
CREATE INDEX placements_campaign ON placements (campaign_id);
CREATE INDEX placements_year ON placements (year, id);

CREATE TABLE goods (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    unit TEXT NOT NULL,
    stock BIGINT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (stock >= 0)
);
CREATE INDEX goods_organization ON goods (organization_id, id);

CREATE TABLE goods_movements (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    goods_id UUID NOT NULL REFERENCES goods (id),
    direction TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    quantity_precision TEXT NOT NULL,
    year INTEGER NOT NULL,
    moved_on DATE,
    note TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (quantity > 0)
);
CREATE INDEX goods_movements_organization ON goods_movements (organization_id, id);
CREATE INDEX goods_movements_goods ON goods_movements (goods_id);
CREATE INDEX goods_movements_year ON goods_movements (year, id);

CREATE TABLE media_items (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    campaign_id UUID REFERENCES campaigns (id),
    title TEXT,
    kind TEXT NOT NULL,
    year INTEGER NOT NULL,
    published_on DATE,
    quantity BIGINT NOT NULL,
    quantity_precision TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (quantity > 0)
);
CREATE INDEX media_items_organization ON media_items (organization_id, id);
CREATE INDEX media_items_campaign ON media_items (campaign_id);
CREATE INDEX media_items_year ON media_items (year, id);

CREATE TABLE media_placements (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    media_item_id UUID NOT NULL REFERENCES media_items (id),
    outlet TEXT NOT NULL,
    outlet_level TEXT NOT NULL,
    published_on DATE,
    url TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX media_placements_organization ON media_placements (organization_id, id);
CREATE INDEX media_placements_media_item ON media_placements (media_item_id);

CREATE TABLE demonstration_units (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT,
    host_kind TEXT,
    workstation_id UUID REFERENCES workstations (id),
    stage TEXT NOT NULL,
    stage_on DATE NOT NULL,
    note TEXT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX demonstration_units_organization ON demonstration_units (organization_id, id);
CREATE INDEX demonstration_units_workstation ON demonstration_units (workstation_id);

CREATE TABLE demonstration_unit_stages (
    demonstration_unit_id UUID NOT NULL REFERENCES demonstration_units (id) ON DELETE CASCADE,
    effective_on DATE NOT NULL,
    effective_on_precision TEXT NOT NULL,
    stage TEXT NOT NULL,
    PRIMARY KEY (demonstration_unit_id, effective_on)
);

-- Who is honoured, and what reached them.
CREATE TABLE heroes (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    person_id UUID NOT NULL REFERENCES persons (id),
    level TEXT,
    outcome TEXT,
    deed_kind TEXT,
    deed_on DATE,
    deed_place TEXT,
    deed_summary TEXT,
    confirmed_by TEXT,
    confirmation_number TEXT,
    confirmed_on DATE,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX heroes_organization ON heroes (organization_id, id);
CREATE INDEX heroes_person ON heroes (person_id);

CREATE TABLE dependants (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    person_id UUID NOT NULL REFERENCES persons (id),
    hero_id UUID NOT NULL REFERENCES heroes (id),
    relation TEXT NOT NULL,
    from_on DATE,
    to_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (to_on IS NULL OR from_on IS NULL OR to_on >= from_on)
);
CREATE INDEX dependants_organization ON dependants (organization_id, id);
CREATE INDEX dependants_person ON dependants (person_id);
CREATE INDEX dependants_hero ON dependants (hero_id);

CREATE TABLE welfare_programmes (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    form TEXT NOT NULL,
    starts_on DATE,
    ends_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (ends_on IS NULL OR starts_on IS NULL OR ends_on >= starts_on)
);
CREATE INDEX welfare_programmes_organization ON welfare_programmes (organization_id, id);

CREATE TABLE welfare_batches (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    programme_id UUID NOT NULL REFERENCES welfare_programmes (id),
    name TEXT NOT NULL,
    year INTEGER NOT NULL,
    starts_on DATE,
    ends_on DATE,
    place TEXT,
    control_people BIGINT,
    control_fen BIGINT,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (control_people >= 0),
    CHECK (control_fen >= 0),
    CHECK (ends_on IS NULL OR starts_on IS NULL OR ends_on >= starts_on)
);
CREATE INDEX welfare_batches_organization ON welfare_batches (organization_id, id);
CREATE INDEX welfare_batches_programme ON welfare_batches (programme_id);
CREATE INDEX welfare_batches_year ON welfare_batches (year, id);

-- No amount is one person's act: who prepared can't approve, who approved can't pay.
CREATE TABLE disbursements (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    programme_id UUID NOT NULL REFERENCES welfare_programmes (id),
    batch_id UUID REFERENCES welfare_batches (id),
    hero_id UUID REFERENCES heroes (id),
    dependant_id UUID REFERENCES dependants (id),
    people BIGINT,
    people_precision TEXT NOT NULL,
    form TEXT NOT NULL,
    amount_fen BIGINT,
    benefit TEXT,
    quantity BIGINT,
    quantity_precision TEXT NOT NULL,
    channel TEXT NOT NULL,
    year INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    prepared_by UUID NOT NULL REFERENCES users (id),
    approved_by UUID REFERENCES users (id),
    paid_by UUID REFERENCES users (id),
    paid_on DATE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (amount_fen > 0),
    CHECK (people >= 0),
    CHECK (quantity >= 0),
    CHECK (form <> 'cash' OR amount_fen IS NOT NULL),
    CHECK (hero_id IS NULL OR dependant_id IS NULL),
    CHECK (approved_by <> prepared_by),
    CHECK (paid_by <> approved_by AND paid_by <> prepared_by)
);
CREATE INDEX disbursements_organization ON disbursements (organization_id, id);
CREATE INDEX disbursements_programme ON disbursements (programme_id);
CREATE INDEX disbursements_batch ON disbursements (batch_id);
CREATE INDEX disbursements_hero ON disbursements (hero_id);
CREATE INDEX disbursements_dependant ON disbursements (dependant_id);
CREATE INDEX disbursements_prepared_by ON disbursements (prepared_by);
CREATE INDEX disbursements_approved_by ON disbursements (approved_by);
CREATE INDEX disbursements_paid_by ON disbursements (paid_by);
CREATE INDEX disbursements_year ON disbursements (year, id);
