-- How far along the audit log's chain it was told what happened: one row.
CREATE TABLE outbox_position (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO outbox_position (id, sequence) SELECT 1, COALESCE(MAX(sequence), 0) FROM audit_links;

CREATE TABLE webhooks (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    event_types TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    former_secret_until TEXT,
    secret_sealed BLOB NOT NULL,
    former_secret_sealed BLOB,
    -- When its oldest delivery is tried next; null where none waits.
    due_at TEXT,
    -- Attempts that have failed since the last that did not.
    failures INTEGER NOT NULL,
    leased_by BLOB,
    leased_until TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);
CREATE INDEX webhooks_organization ON webhooks (organization_id, id);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

-- What a webhook is told: both what waits and the log of what was.
CREATE TABLE webhook_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    webhook_id BLOB NOT NULL REFERENCES webhooks (id),
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    event_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    sequence BIGINT,
    position BIGINT NOT NULL,
    event_at TEXT NOT NULL,
    event_organization_id BLOB NOT NULL,
    resource TEXT NOT NULL,
    record_id BLOB NOT NULL,
    state TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    delivered_at TEXT,
    attempt_count INTEGER NOT NULL,
    attempts TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (event_id, webhook_id)
);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_organization ON webhook_deliveries (organization_id, id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, position, id) WHERE state = 'waiting';

-- What somebody is told in the service itself.
CREATE TABLE notifications (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    record_id BLOB NOT NULL,
    event_id BLOB NOT NULL,
    at TEXT NOT NULL,
    read_at TEXT,
    UNIQUE (event_id, user_id, kind)
);
CREATE INDEX notifications_own ON notifications (user_id, id);
CREATE INDEX notifications_unread ON notifications (user_id, id) WHERE read_at IS NULL;
