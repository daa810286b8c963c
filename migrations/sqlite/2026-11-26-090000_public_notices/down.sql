DROP INDEX honours_document;
DROP TABLE notice_objections;
DROP TABLE public_notice_corrections;
DROP TABLE public_notice_lines;
DROP TABLE public_notices;
