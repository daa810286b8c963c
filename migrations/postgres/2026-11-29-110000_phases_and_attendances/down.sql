DROP TABLE training_attendances;
ALTER TABLE targets DROP COLUMN phase;
