-- What is paid in the benchmark: pairs of a fund and a bank account with money in them, and approved disbursements.
-- `{pairs}` and `{payments}` are numbers of rows; see `seed.sql` for the other words.

INSERT INTO accounts (id, code, organization_id, name, kind, status, version, created_at, updated_at)
SELECT {id(a, n)}, 'A' || (1000000 + n), {id(1, 2)}, '账户', CASE n % 2 WHEN 1 THEN 'unrestricted' ELSE 'bank' END, 'active', 1,
       '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers(2 * {pairs})};

INSERT INTO vouchers (id, code, organization_id, kind, debit_account_id, credit_account_id, amount_fen, occurred_on, summary, state,
                      prepared_by, posted_by, version, created_at, updated_at)
SELECT {id(b, n)}, 'B' || (1000000 + n), {id(1, 2)}, 'opening', {id(a, 2 * n)}, {id(a, 2 * n - 1)}, 100000000, '2022-01-01', '期初', 'posted',
       (SELECT id FROM users WHERE username = 'finance'), (SELECT id FROM users WHERE username = 'leader'), 3,
       '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({pairs})};

INSERT INTO ledger_entries (transaction_id, line, account_id, sequence, amount_fen, balance_fen)
SELECT {id(c, (n + 1) / 2)}, CASE n % 2 WHEN 1 THEN 2 ELSE 1 END, {id(a, n)}, 1, CASE n % 2 WHEN 1 THEN -100000000 ELSE 100000000 END, 100000000
FROM {numbers(2 * {pairs})};

INSERT INTO ledger_transactions (id, code, organization_id, kind, occurred_on, amount_fen, summary, voucher_id, posted_by, created_at)
SELECT {id(c, n)}, 'C' || (1000000 + n), {id(1, 2)}, 'opening', '2022-01-01', 100000000, '期初', {id(b, n)},
       (SELECT id FROM users WHERE username = 'leader'), '2024-07-01T00:00:00.000000Z'
FROM {numbers({pairs})};

INSERT INTO welfare_programmes (id, code, organization_id, name, kind, form, version, created_at, updated_at)
SELECT {id(d, n)}, 'D' || n, {id(1, 2)}, '困难救助', 'hardship', 'cash', 1, '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers(1)};

INSERT INTO disbursements (id, code, organization_id, programme_id, people, people_precision, form, amount_fen, quantity_precision, channel,
                           year, state, prepared_by, approved_by, version, created_at, updated_at)
SELECT {id(e, n)}, 'E' || (1000000 + n), {id(1, 2)}, {id(d, 1)}, 1, 'exact', 'cash', 1, 'exact', 'own', 2022, 'approved',
       (SELECT id FROM users WHERE username = 'clerk'), (SELECT id FROM users WHERE username = 'leader'), 3,
       '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({payments})};
