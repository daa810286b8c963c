DROP TABLE contact_changes;
DROP TABLE certificates;
DROP TABLE service_records;
