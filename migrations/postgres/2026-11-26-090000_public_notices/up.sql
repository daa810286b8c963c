-- What the public is told of a batch or of an award, and for how long.
CREATE TABLE public_notices (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    -- What it is made of: a batch, or the honours that one document gave.
    batch_id UUID REFERENCES welfare_batches (id),
    document_number TEXT,
    title TEXT NOT NULL,
    introduction TEXT,
    amounts TEXT NOT NULL,
    days INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    -- Set when it is published, and what its lines come to.
    starts_on DATE,
    ends_on DATE,
    line_count BIGINT,
    people BIGINT,
    total_fen BIGINT,
    prepared_by UUID NOT NULL REFERENCES users (id),
    published_by UUID REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK ((batch_id IS NULL) <> (document_number IS NULL)),
    CHECK (amounts IN ('each', 'total', 'none')),
    CHECK (days BETWEEN 1 AND 365),
    CHECK (state IN ('draft', 'published', 'concluded', 'withdrawn')),
    CHECK ((state = 'withdrawn') = (reason IS NOT NULL)),
    CHECK ((state = 'draft') = (published_by IS NULL)),
    CHECK (published_by <> prepared_by),
    CHECK ((published_by IS NULL) = (starts_on IS NULL)),
    CHECK ((published_by IS NULL) = (ends_on IS NULL)),
    CHECK ((published_by IS NULL) = (line_count IS NULL)),
    CHECK (ends_on > starts_on),
    CHECK (total_fen IS NULL OR amounts <> 'none')
);
CREATE INDEX public_notices_organization ON public_notices (organization_id, id);
CREATE INDEX public_notices_batch ON public_notices (batch_id);
CREATE INDEX public_notices_prepared_by ON public_notices (prepared_by);
CREATE INDEX public_notices_published_by ON public_notices (published_by);
-- The public's list: of all, and of an organization and those below it.
CREATE INDEX public_notices_state ON public_notices (state, id);
CREATE INDEX public_notices_organization_state ON public_notices (organization_id, state, id);

-- What is told of each: masked when it was published, so that nobody who reads it comes near a name. The record that a line stands
-- for may go; the line stays until it is corrected.
CREATE TABLE public_notice_lines (
    notice_id UUID NOT NULL REFERENCES public_notices (id),
    position INTEGER NOT NULL,
    naming TEXT NOT NULL,
    shown_name TEXT,
    organization_name TEXT NOT NULL,
    what TEXT NOT NULL,
    people BIGINT,
    amount_fen BIGINT,
    disbursement_id UUID REFERENCES disbursements (id) ON DELETE SET NULL,
    honour_id UUID REFERENCES honours (id) ON DELETE SET NULL,
    PRIMARY KEY (notice_id, position),
    CHECK (position > 0),
    CHECK (naming IN ('named', 'collective', 'protected', 'secret')),
    CHECK ((naming = 'named') = (shown_name IS NOT NULL)),
    CHECK (disbursement_id IS NULL OR honour_id IS NULL)
);
CREATE INDEX public_notice_lines_disbursement ON public_notice_lines (disbursement_id);
CREATE INDEX public_notice_lines_honour ON public_notice_lines (honour_id);

-- What was put right after publication. Rows are added and never changed.
CREATE TABLE public_notice_corrections (
    notice_id UUID NOT NULL REFERENCES public_notices (id),
    number INTEGER NOT NULL,
    note TEXT NOT NULL,
    corrected_on DATE NOT NULL,
    corrected_by UUID NOT NULL REFERENCES users (id),
    changed_lines BIGINT NOT NULL,
    -- JSON: the masked lines before and after, by position.
    changes TEXT NOT NULL,
    total_fen_before BIGINT,
    total_fen_after BIGINT,
    PRIMARY KEY (notice_id, number),
    CHECK (number BETWEEN 1 AND 100)
);
CREATE INDEX public_notice_corrections_corrected_by ON public_notice_corrections (corrected_by);

-- Who objects and what they say stays inside; the answer is for the public.
CREATE TABLE notice_objections (
    id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    notice_id UUID NOT NULL REFERENCES public_notices (id),
    received_on DATE NOT NULL,
    channel TEXT NOT NULL,
    objector TEXT,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    answer TEXT,
    answered_on DATE,
    answered_by UUID REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (state IN ('received', 'answered')),
    CHECK ((state = 'answered') = (outcome IS NOT NULL)),
    CHECK ((state = 'answered') = (answer IS NOT NULL)),
    CHECK ((state = 'answered') = (answered_on IS NOT NULL)),
    CHECK ((state = 'answered') = (answered_by IS NOT NULL)),
    CHECK (answered_on >= received_on)
);
CREATE INDEX notice_objections_organization ON notice_objections (organization_id, id);
CREATE INDEX notice_objections_notice ON notice_objections (notice_id, id);
CREATE INDEX notice_objections_answered_by ON notice_objections (answered_by);

-- An award is looked for by its document.
CREATE INDEX honours_document ON honours (document_number) WHERE document_number IS NOT NULL;
