-- States of checkpoints that are too long for an entry, by their hash. Only some nodes have one: the
-- one whose job saved it, and those that may take the job over. `added` is the wall time, in ms since
-- 1970; the bytes stand apart, so that lengths and times are read without them.
CREATE TABLE blob (
    hash  BLOB PRIMARY KEY CHECK (length(hash) = 32),
    len   INTEGER NOT NULL,
    added INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_bytes (
    hash  BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;

-- Which blobs the checkpoints of jobs name that may still be run: `age` is 0 for the newest, `saved_by`
-- the author of the entry. It follows from the table of jobs, and is kept up with it.
CREATE TABLE blob_use (
    job      INTEGER NOT NULL,
    age      INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    len      INTEGER NOT NULL,
    saved_by BLOB NOT NULL,
    PRIMARY KEY (job, age)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_use_by_hash ON blob_use (hash);

-- Entries that name blobs said nothing to earlier versions: the index of jobs is made anew.
DELETE FROM job;
DELETE FROM job_fact;
DELETE FROM orphan;
DELETE FROM queue;
DELETE FROM queue_fact;
