DROP INDEX disbursements_reversed_by;
ALTER TABLE disbursements DROP COLUMN reversed_on;
ALTER TABLE disbursements DROP COLUMN reversed_by;
DROP INDEX disbursements_second_approved_by;
ALTER TABLE disbursements DROP COLUMN second_approved_by;
DROP TABLE ledger_entries;
DROP TABLE ledger_transactions;
DROP TABLE vouchers;
DROP TABLE accounts;
