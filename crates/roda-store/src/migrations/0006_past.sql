-- Jobs that have been over for long: their rows in the table of jobs and what was said about them are
-- gone. `places` says which entries that were, as roda_proto's CBOR of pairs of an author's number and
-- an entry's; what they say is read from the log again when somebody asks, or says more about the job.
-- `author` is the number of who pushed it, `key` the beginning of its idempotency key's BLAKE3.
CREATE TABLE job_past (
    author INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    queue  INTEGER NOT NULL,
    state  INTEGER NOT NULL,
    key    INTEGER,
    places BLOB NOT NULL,
    PRIMARY KEY (author, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_past_by_key ON job_past (queue, key) WHERE key IS NOT NULL;
CREATE INDEX job_past_cancelled ON job_past (queue, author, seq) WHERE state = 4;

-- The same for old rounds of recurring jobs, which are never over. `base` is the state, as
-- roda_proto::job::Job, that all of a job's packed rounds had led to; it stands in the newest part.
CREATE TABLE job_round (
    job    INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    base   BLOB NOT NULL,
    places BLOB NOT NULL,
    PRIMARY KEY (job, part)
) STRICT, WITHOUT ROWID;

-- For how long finished jobs of a queue keep their rows on this node, in ms: those that are done or
-- cancelled, and those that are dead. Without a row, as long as the program says.
CREATE TABLE queue_retention (
    topic INTEGER PRIMARY KEY,
    over  INTEGER NOT NULL,
    dead  INTEGER NOT NULL
) STRICT;
