-- What was a piece before: the last character of a name, which no pair begins with. The others only repeat pairs.
DELETE FROM name_grams WHERE length(gram) = 1 AND EXISTS (
    SELECT 1 FROM name_grams AS pair
    WHERE pair.record_id = name_grams.record_id AND pair.resource = name_grams.resource
      AND length(pair.gram) = 2 AND substr(pair.gram, 1, 1) = name_grams.gram
);
DROP INDEX audit_events_actor;
CREATE INDEX audit_events_actor ON audit_events (actor_id);
ALTER TABLE disbursements DROP COLUMN paid_on_precision;
ALTER TABLE appointments DROP COLUMN from_on_precision;
ALTER TABLE memberships DROP COLUMN joined_on_precision;
