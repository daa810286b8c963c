CREATE INDEX name_grams_record ON name_grams (record_id);
