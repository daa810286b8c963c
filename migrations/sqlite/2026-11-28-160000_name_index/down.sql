DROP TABLE name_index;
