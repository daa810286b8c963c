DROP INDEX audit_events_actor;
CREATE INDEX audit_events_actor ON audit_events (actor_id);
ALTER TABLE disbursements DROP COLUMN paid_on_precision;
ALTER TABLE appointments DROP COLUMN from_on_precision;
ALTER TABLE memberships DROP COLUMN joined_on_precision;
