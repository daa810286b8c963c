-- Which columns of a file an import knew and left alone, as JSON: what an export shows and nobody writes.
ALTER TABLE imports ADD COLUMN ignored_columns TEXT NOT NULL DEFAULT '[]';
