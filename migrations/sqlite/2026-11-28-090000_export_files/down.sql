DELETE FROM jobs WHERE kind = 'export';
DROP TABLE export_file_pieces;
DROP TABLE export_files;
