DROP TABLE report_snapshots;
DROP TABLE report_outlines;
DROP TABLE work_items;
