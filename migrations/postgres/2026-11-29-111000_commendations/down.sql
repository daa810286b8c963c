DROP TABLE nominations;
DROP TABLE commendation_rounds;
