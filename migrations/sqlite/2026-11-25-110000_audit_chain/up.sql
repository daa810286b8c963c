-- Where from, what came of it, and whom it is about.
ALTER TABLE audit_events ADD COLUMN address TEXT;
ALTER TABLE audit_events ADD COLUMN outcome TEXT NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused'));
ALTER TABLE audit_events ADD COLUMN person_id BLOB;
CREATE INDEX audit_events_person ON audit_events (person_id, id) WHERE person_id IS NOT NULL;
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_action ON audit_events (action, id);
CREATE INDEX audit_events_resource ON audit_events (resource, id);
-- Nearly all is done: only what was refused is looked for by its outcome.
CREATE INDEX audit_events_refused ON audit_events (id) WHERE outcome = 'refused';

-- The chain. It has no foreign key: that a row of the log is gone must be seen, and not be refused.
CREATE TABLE audit_links (
    sequence INTEGER NOT NULL PRIMARY KEY,
    day DATE NOT NULL,
    event_id BLOB NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX audit_links_day ON audit_links (day, sequence);

CREATE TABLE audit_checkpoints (
    day DATE NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    count BIGINT NOT NULL,
    hash BLOB NOT NULL,
    kid TEXT NOT NULL,
    signature TEXT NOT NULL
) WITHOUT ROWID;

-- Rows are only added. A REPLACE deletes without asking the triggers of a delete, so an insert is asked, too.
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events BEGIN SELECT RAISE(ABORT, 'rows of audit_events are only added'); END;
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events BEGIN SELECT RAISE(ABORT, 'rows of audit_events are only added'); END;
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'rows of audit_events are only added'); END;
CREATE TRIGGER audit_links_no_update BEFORE UPDATE ON audit_links BEGIN SELECT RAISE(ABORT, 'rows of audit_links are only added'); END;
CREATE TRIGGER audit_links_no_delete BEFORE DELETE ON audit_links BEGIN SELECT RAISE(ABORT, 'rows of audit_links are only added'); END;
CREATE TRIGGER audit_links_no_replace BEFORE INSERT ON audit_links
WHEN EXISTS (SELECT 1 FROM audit_links WHERE sequence = NEW.sequence) OR EXISTS (SELECT 1 FROM audit_links WHERE event_id = NEW.event_id)
BEGIN SELECT RAISE(ABORT, 'rows of audit_links are only added'); END;
CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'rows of audit_checkpoints are only added'); END;
CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'rows of audit_checkpoints are only added'); END;
CREATE TRIGGER audit_checkpoints_no_replace BEFORE INSERT ON audit_checkpoints WHEN EXISTS (SELECT 1 FROM audit_checkpoints WHERE day = NEW.day)
BEGIN SELECT RAISE(ABORT, 'rows of audit_checkpoints are only added'); END;
