-- Where a person's money is sent. The number is sealed; it stands whole in the file for the bank alone.
CREATE TABLE payee_accounts (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    person_id BLOB NOT NULL REFERENCES persons (id),
    holder_name TEXT NOT NULL,
    -- What the holder is to the person; NULL is the person themself.
    holder_relation TEXT,
    bank_name TEXT NOT NULL,
    number_sealed BLOB NOT NULL,
    number_hash BLOB NOT NULL,
    number_masked TEXT NOT NULL,
    -- Whether a card's check digit fits; some cards in use don't keep to it.
    card_checks BOOLEAN,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (status IN ('active', 'closed'))
);
CREATE INDEX payee_accounts_organization ON payee_accounts (organization_id, id);
CREATE INDEX payee_accounts_person ON payee_accounts (person_id);
CREATE INDEX payee_accounts_number ON payee_accounts (number_hash);
-- Money for one person goes to one place.
CREATE UNIQUE INDEX payee_accounts_active ON payee_accounts (person_id) WHERE status = 'active';

-- Payments that go to the bank in one file.
CREATE TABLE bank_transfers (
    id BLOB NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    -- The bank account that the payments were posted from.
    account_id BLOB NOT NULL REFERENCES accounts (id),
    batch_id BLOB REFERENCES welfare_batches (id),
    lines INTEGER NOT NULL,
    amount_fen BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    prepared_by BLOB NOT NULL REFERENCES users (id),
    -- When the file was first given out: from then on only the bank can tell what became of it.
    sent_at TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (lines > 0 AND amount_fen > 0),
    CHECK (state IN ('prepared', 'sent', 'settled', 'cancelled')),
    CHECK ((state IN ('sent', 'settled')) = (sent_at IS NOT NULL))
);
CREATE INDEX bank_transfers_organization ON bank_transfers (organization_id, id);
CREATE INDEX bank_transfers_account ON bank_transfers (account_id);
CREATE INDEX bank_transfers_batch ON bank_transfers (batch_id);
CREATE INDEX bank_transfers_prepared_by ON bank_transfers (prepared_by);

CREATE TABLE bank_transfer_lines (
    id BLOB NOT NULL PRIMARY KEY,
    -- The reference that goes to the bank and comes back with its result.
    code TEXT NOT NULL UNIQUE,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    transfer_id BLOB NOT NULL REFERENCES bank_transfers (id),
    position INTEGER NOT NULL,
    disbursement_id BLOB NOT NULL REFERENCES disbursements (id),
    payee_account_id BLOB NOT NULL REFERENCES payee_accounts (id),
    amount_fen BIGINT NOT NULL,
    state TEXT NOT NULL,
    settled_on DATE,
    bank_reason TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (amount_fen > 0),
    CHECK (state IN ('waiting', 'paid', 'bounced', 'cancelled')),
    CHECK (settled_on IS NULL OR state IN ('paid', 'bounced')),
    UNIQUE (transfer_id, position)
);
CREATE INDEX bank_transfer_lines_organization ON bank_transfer_lines (organization_id, id);
CREATE INDEX bank_transfer_lines_disbursement ON bank_transfer_lines (disbursement_id);
CREATE INDEX bank_transfer_lines_payee_account ON bank_transfer_lines (payee_account_id);
-- Nothing is sent twice: again only when the bank has sent it back.
CREATE UNIQUE INDEX bank_transfer_lines_once ON bank_transfer_lines (disbursement_id) WHERE state IN ('waiting', 'paid');

-- What a bank's file says that fits no line, or not as it stands.
CREATE TABLE bank_result_mismatches (
    id BLOB NOT NULL PRIMARY KEY,
    transfer_id BLOB NOT NULL REFERENCES bank_transfers (id),
    reference TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    mismatch TEXT NOT NULL,
    bank_reason TEXT,
    settled_on DATE,
    created_at TEXT NOT NULL,
    CHECK (mismatch IN ('unknown_line', 'amount_differs', 'contradicts')),
    CHECK (outcome IN ('paid', 'bounced')),
    UNIQUE (transfer_id, reference, amount_fen, outcome, mismatch)
);
