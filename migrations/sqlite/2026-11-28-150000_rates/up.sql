-- How often callers may ask, where the servers share that: when a caller's bucket is full again, in microseconds since 1970.
CREATE TABLE rates (
    class TEXT NOT NULL,
    caller TEXT NOT NULL,
    full_at BIGINT NOT NULL,
    PRIMARY KEY (class, caller)
) WITHOUT ROWID;
CREATE INDEX rates_full ON rates (full_at);
