DROP TABLE liaison_questionings;
DROP TABLE inspection_findings;
DROP INDEX inspections_plan;
ALTER TABLE inspections DROP COLUMN plan_id;
DROP TABLE inspection_plan_subjects;
DROP TABLE inspection_plans;
