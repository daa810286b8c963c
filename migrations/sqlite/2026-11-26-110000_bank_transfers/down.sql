DROP TABLE bank_result_mismatches;
DROP TABLE bank_transfer_lines;
DROP TABLE bank_transfers;
DROP TABLE payee_accounts;
