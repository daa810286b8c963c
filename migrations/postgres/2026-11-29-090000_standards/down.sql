DROP TABLE assessment_evidence;
DROP TABLE assessment_items;
DROP TABLE assessments;
DROP TABLE standards;
