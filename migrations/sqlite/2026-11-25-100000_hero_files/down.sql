DROP TABLE person_merges;
DROP TABLE person_distinctions;
DROP INDEX persons_merged_into;
DROP INDEX persons_name;
DROP INDEX persons_born;
ALTER TABLE persons DROP COLUMN merged_into_id;
ALTER TABLE persons DROP COLUMN born_on;
DROP TABLE consents;
DROP TABLE honours;
-- What was only proposed was not known before.
UPDATE heroes SET status = 'active' WHERE status IN ('proposed', 'confirmed');
DROP INDEX heroes_group;
ALTER TABLE heroes DROP COLUMN published;
ALTER TABLE heroes DROP COLUMN revocation_reason;
ALTER TABLE heroes DROP COLUMN revocation_number;
ALTER TABLE heroes DROP COLUMN revoked_on;
ALTER TABLE heroes DROP COLUMN group_id;
ALTER TABLE heroes DROP COLUMN application_source;
DROP TABLE hero_groups;
