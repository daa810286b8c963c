ALTER TABLE imports DROP COLUMN ignored_columns;
