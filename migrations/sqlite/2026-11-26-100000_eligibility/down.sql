ALTER TABLE disbursements DROP COLUMN attended_days;
DROP TABLE insurance_policies;
DROP TABLE eligibility_rules;
