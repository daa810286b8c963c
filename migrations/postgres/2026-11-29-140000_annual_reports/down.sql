DROP TABLE report_snapshots;
DROP FUNCTION report_snapshots_stay();
DROP TABLE report_outlines;
DROP TABLE work_items;
