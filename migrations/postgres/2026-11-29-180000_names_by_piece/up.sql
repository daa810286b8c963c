-- The pieces of a record's name are taken out by the name that they were made of, so by their key. This index was half of the
-- entries that it takes to write a name.
DROP INDEX name_grams_record;
