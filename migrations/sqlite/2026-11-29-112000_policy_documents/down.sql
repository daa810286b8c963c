DROP TABLE policy_documents;
