-- A circular is prepared before it is issued: the facts as the service tells them, and beside them the text that people write.
ALTER TABLE circulars ADD COLUMN state TEXT NOT NULL DEFAULT 'issued' CHECK (state IN ('draft', 'issued', 'archived'));
ALTER TABLE circulars ADD COLUMN form_key TEXT;
ALTER TABLE circulars ADD COLUMN from_month TEXT;
ALTER TABLE circulars ADD COLUMN to_month TEXT;
ALTER TABLE circulars ADD COLUMN facts TEXT;
ALTER TABLE circulars ADD COLUMN generated_at TIMESTAMPTZ;
ALTER TABLE circulars ADD COLUMN text TEXT;
ALTER TABLE circulars ADD COLUMN issued_by UUID REFERENCES users (id);
CREATE INDEX circulars_issued_by ON circulars (issued_by);
-- What was entered before with a number twice stays as it is.
CREATE UNIQUE INDEX circulars_number ON circulars (organization_id, number) WHERE issued_by IS NOT NULL;
