-- Where from, what came of it, and whom it is about.
ALTER TABLE audit_events ADD COLUMN address TEXT;
ALTER TABLE audit_events ADD COLUMN outcome TEXT NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused'));
ALTER TABLE audit_events ADD COLUMN person_id UUID;
CREATE INDEX audit_events_person ON audit_events (person_id, id) WHERE person_id IS NOT NULL;
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_action ON audit_events (action, id);
CREATE INDEX audit_events_resource ON audit_events (resource, id);
-- Nearly all is done: only what was refused is looked for by its outcome.
CREATE INDEX audit_events_refused ON audit_events (id) WHERE outcome = 'refused';

-- The chain. It has no foreign key: that a row of the log is gone must be seen, and not be refused.
CREATE TABLE audit_links (
    sequence BIGINT PRIMARY KEY,
    day DATE NOT NULL,
    event_id UUID NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_links_day ON audit_links (day, sequence);

CREATE TABLE audit_checkpoints (
    day DATE PRIMARY KEY,
    sequence BIGINT NOT NULL,
    count BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    kid TEXT NOT NULL,
    signature TEXT NOT NULL
);

-- Rows are only added.
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER audit_events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
CREATE TRIGGER audit_links_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_links FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
CREATE TRIGGER audit_checkpoints_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
