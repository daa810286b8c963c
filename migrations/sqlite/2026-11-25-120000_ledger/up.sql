-- Where an association's money lies (bank, cash) and what it is for (funds). Names no number of a bank card or account.
CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- Kinds of programme that a fund is restricted to, with commas; NULL is any.
    purposes TEXT,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (kind IN ('bank', 'cash', 'unrestricted', 'restricted', 'fiscal', 'donation')),
    CHECK (purposes IS NULL OR kind NOT IN ('bank', 'cash')),
    CHECK (kind <> 'restricted' OR purposes IS NOT NULL)
);
CREATE INDEX accounts_organization ON accounts (organization_id, id);

-- What is to be posted other than a payment: prepared by one, posted by another.
CREATE TABLE vouchers (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL,
    debit_account_id BLOB NOT NULL REFERENCES accounts (id),
    credit_account_id BLOB NOT NULL REFERENCES accounts (id),
    amount_fen BIGINT NOT NULL,
    occurred_on DATE NOT NULL,
    summary TEXT NOT NULL,
    -- Of a donation: who gave it, and the receipt's number, without gaps in each organization and year.
    donor TEXT,
    receipt_year INTEGER,
    receipt_number INTEGER,
    state TEXT NOT NULL,
    reason TEXT,
    prepared_by BLOB NOT NULL REFERENCES users (id),
    posted_by BLOB REFERENCES users (id),
    reversed_by BLOB REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (amount_fen > 0),
    CHECK (debit_account_id <> credit_account_id),
    CHECK (state IN ('draft', 'submitted', 'posted', 'cancelled', 'reversed')),
    CHECK (posted_by <> prepared_by),
    CHECK (reversed_by <> posted_by),
    CHECK ((state IN ('posted', 'reversed')) = (posted_by IS NOT NULL)),
    CHECK ((state = 'reversed') = (reversed_by IS NOT NULL)),
    CHECK ((kind = 'donation') = (donor IS NOT NULL)),
    CHECK ((kind = 'donation' AND posted_by IS NOT NULL) = (receipt_number IS NOT NULL)),
    CHECK ((receipt_year IS NULL) = (receipt_number IS NULL)),
    UNIQUE (organization_id, receipt_year, receipt_number)
);
CREATE INDEX vouchers_organization ON vouchers (organization_id, id);
CREATE INDEX vouchers_debit_account ON vouchers (debit_account_id);
CREATE INDEX vouchers_credit_account ON vouchers (credit_account_id);
CREATE INDEX vouchers_prepared_by ON vouchers (prepared_by);
CREATE INDEX vouchers_posted_by ON vouchers (posted_by);
CREATE INDEX vouchers_reversed_by ON vouchers (reversed_by);

-- What an association means to spend in a year on one kind of programme; what it has spent is in the ledger.
CREATE TABLE budgets (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    year INTEGER NOT NULL,
    programme_kind TEXT NOT NULL,
    planned_fen BIGINT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (planned_fen >= 0),
    UNIQUE (organization_id, year, programme_kind)
);
CREATE INDEX budgets_organization ON budgets (organization_id, id);

-- What has happened to money. Rows are added and never changed.
CREATE TABLE ledger_transactions (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL,
    occurred_on DATE NOT NULL,
    amount_fen BIGINT NOT NULL,
    summary TEXT NOT NULL,
    voucher_id BLOB REFERENCES vouchers (id),
    disbursement_id BLOB REFERENCES disbursements (id),
    reverses_id BLOB UNIQUE REFERENCES ledger_transactions (id),
    posted_by BLOB NOT NULL REFERENCES users (id),
    created_at TEXT NOT NULL,
    CHECK (amount_fen > 0),
    CHECK ((kind = 'reversal') = (reverses_id IS NOT NULL)),
    CHECK ((voucher_id IS NULL) <> (disbursement_id IS NULL))
);
CREATE INDEX ledger_transactions_organization ON ledger_transactions (organization_id, id);
CREATE INDEX ledger_transactions_occurred ON ledger_transactions (occurred_on, id);
CREATE INDEX ledger_transactions_posted_by ON ledger_transactions (posted_by);
-- Nothing is paid, and no voucher posted, twice.
CREATE UNIQUE INDEX ledger_transactions_voucher ON ledger_transactions (voucher_id) WHERE reverses_id IS NULL;
CREATE UNIQUE INDEX ledger_transactions_disbursement ON ledger_transactions (disbursement_id) WHERE reverses_id IS NULL;
CREATE INDEX ledger_transactions_of_voucher ON ledger_transactions (voucher_id);
CREATE INDEX ledger_transactions_of_disbursement ON ledger_transactions (disbursement_id);

-- Debits above zero, credits below. Each carries the balance of its account after it, in the account's own direction; the
-- next of an account has the next sequence, so that two can't begin at the same balance.
CREATE TABLE ledger_entries (
    transaction_id BLOB NOT NULL REFERENCES ledger_transactions (id) DEFERRABLE INITIALLY DEFERRED,
    line INTEGER NOT NULL,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    sequence BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    balance_fen BIGINT NOT NULL,
    PRIMARY KEY (transaction_id, line),
    UNIQUE (account_id, sequence),
    CHECK (amount_fen <> 0),
    CHECK (balance_fen >= 0)
);

-- Entries come first and their transaction last: with it they are closed, and balanced or refused.
CREATE TRIGGER ledger_transactions_balance BEFORE INSERT ON ledger_transactions
WHEN (SELECT count(*) < 2 OR sum(amount_fen) <> 0 OR sum(max(amount_fen, 0)) <> NEW.amount_fen FROM ledger_entries WHERE transaction_id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'ledger: the entries of a transaction come to zero'); END;

CREATE TRIGGER ledger_entries_closed BEFORE INSERT ON ledger_entries
WHEN EXISTS (SELECT 1 FROM ledger_transactions WHERE id = NEW.transaction_id)
BEGIN SELECT RAISE(ABORT, 'ledger: a transaction takes no more entries'); END;

CREATE TRIGGER ledger_transactions_stay_update BEFORE UPDATE ON ledger_transactions
BEGIN SELECT RAISE(ABORT, 'ledger: what is posted stays; reverse it'); END;
CREATE TRIGGER ledger_transactions_stay_delete BEFORE DELETE ON ledger_transactions
BEGIN SELECT RAISE(ABORT, 'ledger: what is posted stays; reverse it'); END;
CREATE TRIGGER ledger_entries_stay_update BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger: what is posted stays; reverse it'); END;
CREATE TRIGGER ledger_entries_stay_delete BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger: what is posted stays; reverse it'); END;

-- From some amount on two approve.
ALTER TABLE disbursements ADD COLUMN second_approved_by BLOB REFERENCES users (id)
    CHECK (second_approved_by <> approved_by AND second_approved_by <> prepared_by AND second_approved_by <> paid_by);
CREATE INDEX disbursements_second_approved_by ON disbursements (second_approved_by);

-- After payment a disbursement can be reversed, by another than who paid it.
ALTER TABLE disbursements ADD COLUMN reversed_by BLOB REFERENCES users (id) CHECK (reversed_by <> paid_by);
ALTER TABLE disbursements ADD COLUMN reversed_on DATE;
CREATE INDEX disbursements_reversed_by ON disbursements (reversed_by);
