-- What figures sum is found, or read, in an index: how many volunteers an association has on a day, and what was given by a programme in a
-- year. The tables themselves are wide, and a report asks them many times.
CREATE INDEX volunteers_stock ON volunteers (organization_id, registered_on, left_on);
CREATE INDEX disbursements_sums ON disbursements (programme_id, year, state);
DROP INDEX disbursements_programme;
