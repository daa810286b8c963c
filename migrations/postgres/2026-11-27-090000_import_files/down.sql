DROP TABLE import_mappings;
ALTER TABLE imports DROP COLUMN rows_left_out;
ALTER TABLE imports DROP COLUMN sheet;
ALTER TABLE imports DROP COLUMN compression;
ALTER TABLE imports DROP COLUMN encoding;
ALTER TABLE imports DROP COLUMN format;
