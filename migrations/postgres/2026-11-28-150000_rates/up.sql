-- How often callers may ask, where the servers share that: when a caller's bucket is full again, in microseconds since 1970.
-- Lost with the server's power, which gives everybody a full bucket; so not in the write-ahead log.
CREATE UNLOGGED TABLE rates (
    class TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    full_at BIGINT NOT NULL,
    PRIMARY KEY (class, caller)
);
CREATE INDEX rates_full ON rates (full_at);
