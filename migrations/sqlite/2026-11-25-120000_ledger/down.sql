DROP INDEX disbursements_reversed_by;
ALTER TABLE disbursements DROP COLUMN reversed_on;
ALTER TABLE disbursements DROP COLUMN reversed_by;
DROP TABLE ledger_entries;
DROP TABLE ledger_transactions;
DROP TABLE vouchers;
DROP TABLE accounts;
