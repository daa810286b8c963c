DROP TABLE monthly_return_revisions;
DROP TABLE monthly_return_cells;
DROP TABLE monthly_returns;
DROP TABLE return_rounds;
DROP TABLE return_forms;
