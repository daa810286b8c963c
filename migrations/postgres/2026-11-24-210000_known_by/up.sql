-- Days that a source gives only as "by": `at_latest` says that it happened on the day or before it.
ALTER TABLE memberships ADD COLUMN joined_on_precision TEXT NOT NULL DEFAULT 'exact';
ALTER TABLE appointments ADD COLUMN from_on_precision TEXT NOT NULL DEFAULT 'exact';
ALTER TABLE disbursements ADD COLUMN paid_on_precision TEXT NOT NULL DEFAULT 'exact';

-- What one actor did lately is counted before they are shown a whole number.
DROP INDEX audit_events_actor;
CREATE INDEX audit_events_actor ON audit_events (actor_id, at);

-- A search for one character is a lookup of its own, and not a range: each character is a piece, and not only the last.
INSERT INTO name_grams (resource, gram, record_id)
SELECT DISTINCT resource, substr(gram, 1, 1), record_id FROM name_grams WHERE length(gram) = 2
ON CONFLICT DO NOTHING;
