-- In which way names are indexed: one row.
CREATE TABLE name_index (version INTEGER PRIMARY KEY);
INSERT INTO name_index (version) VALUES (1);
