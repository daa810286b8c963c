-- How far along the audit log's chain it was told what happened: one row.
CREATE TABLE outbox_position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO outbox_position (id, sequence) SELECT 1, COALESCE(MAX(sequence), 0) FROM audit_links;

CREATE TABLE webhooks (
    id UUID PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    event_types TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    former_secret_until TIMESTAMPTZ,
    secret_sealed BYTEA NOT NULL,
    former_secret_sealed BYTEA,
    -- When its oldest delivery is tried next; null where none waits.
    due_at TIMESTAMPTZ,
    -- Attempts that have failed since the last that did not.
    failures INTEGER NOT NULL,
    leased_by UUID,
    leased_until TIMESTAMPTZ,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);
CREATE INDEX webhooks_organization ON webhooks (organization_id, id);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

-- What a webhook is told: both what waits and the log of what was.
CREATE TABLE webhook_deliveries (
    id UUID PRIMARY KEY,
    webhook_id UUID NOT NULL REFERENCES webhooks (id),
    organization_id UUID NOT NULL REFERENCES organizations (id),
    event_id UUID NOT NULL,
    event_type TEXT NOT NULL,
    sequence BIGINT,
    position BIGINT NOT NULL,
    event_at TIMESTAMPTZ NOT NULL,
    event_organization_id UUID NOT NULL,
    resource TEXT NOT NULL,
    record_id UUID NOT NULL,
    state TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    delivered_at TIMESTAMPTZ,
    attempt_count INTEGER NOT NULL,
    attempts TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (event_id, webhook_id)
);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_organization ON webhook_deliveries (organization_id, id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, position, id) WHERE state = 'waiting';

-- What somebody is told in the service itself.
CREATE TABLE notifications (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    record_id UUID NOT NULL,
    event_id UUID NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    read_at TIMESTAMPTZ,
    UNIQUE (event_id, user_id, kind)
);
CREATE INDEX notifications_own ON notifications (user_id, id);
CREATE INDEX notifications_unread ON notifications (user_id, id) WHERE read_at IS NULL;
