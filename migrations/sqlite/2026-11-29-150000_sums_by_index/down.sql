CREATE INDEX disbursements_programme ON disbursements (programme_id);
DROP INDEX disbursements_sums;
DROP INDEX volunteers_stock;
