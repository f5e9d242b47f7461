-- What became of the jobs of queues: a fold of the entries of kind 3 that this file's logs hold, kept
-- up with every append. Authors stand by their id, because the canonical order does. Clocks have the
-- top bit flipped, as everywhere.

-- Topics in which something was said about jobs. The counts are those of the table below.
CREATE TABLE queue (
    topic     INTEGER PRIMARY KEY,
    paused    INTEGER NOT NULL,
    purged    INTEGER NOT NULL,
    waiting   INTEGER NOT NULL,
    running   INTEGER NOT NULL,
    done      INTEGER NOT NULL,
    dead      INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    held      INTEGER NOT NULL,
    duplicate INTEGER NOT NULL
) STRICT;

-- Pauses (1), their ends (0), and purges (2).
CREATE TABLE queue_fact (
    topic  INTEGER NOT NULL,
    hlc    INTEGER NOT NULL,
    author BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    PRIMARY KEY (topic, hlc, author, seq)
) STRICT, WITHOUT ROWID;

-- Jobs by the place of their push, with their state: `fold` as roda_proto::job::Job, the rest so that
-- it is found. A queue's purges may be missing in `fold`; everywhere else they are taken in.
-- `due` is when a waiting job may run, in ms since 1970, 0 for at once; `blocked` tells that another
-- one with its order key goes first; `began` is when its present generation did.
CREATE TABLE job (
    number    INTEGER PRIMARY KEY,
    queue     INTEGER NOT NULL,
    author    BLOB NOT NULL CHECK (length(author) = 16),
    seq       INTEGER NOT NULL,
    hlc       INTEGER NOT NULL,
    shard     INTEGER NOT NULL,
    priority  INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    blocked   INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    began     INTEGER NOT NULL,
    retried   INTEGER NOT NULL,
    worker    BLOB,
    claimer   BLOB,
    order_key TEXT,
    key       TEXT,
    key_hash  BLOB,
    fold      BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX job_by_place ON job (author, seq);
CREATE INDEX job_by_state ON job (queue, state);
CREATE INDEX job_ready ON job (queue, shard, priority, hlc)
    WHERE state = 0 AND blocked = 0 AND due = 0;
CREATE INDEX job_delayed ON job (queue, shard, priority, due)
    WHERE state = 0 AND blocked = 0 AND due > 0;
CREATE INDEX job_running ON job (worker, claimer) WHERE state = 1;
CREATE INDEX job_by_key ON job (queue, key, duplicate) WHERE key IS NOT NULL;
CREATE INDEX job_by_order ON job (queue, order_key, state, hlc, author, seq)
    WHERE order_key IS NOT NULL;
CREATE INDEX job_in_order ON job (queue, order_key)
    WHERE order_key IS NOT NULL AND state = 0 AND blocked = 0;

-- What other entries say about a job: `kind` as roda_proto::job::FactKind.
CREATE TABLE job_fact (
    job    INTEGER NOT NULL,
    author BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    hlc    INTEGER NOT NULL,
    kind   BLOB NOT NULL,
    PRIMARY KEY (job, author, seq)
) STRICT, WITHOUT ROWID;

-- The same about jobs that are not known, or not of the topic in which it was said.
CREATE TABLE orphan (
    of_author BLOB NOT NULL,
    of_seq    INTEGER NOT NULL,
    author    BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    topic     INTEGER NOT NULL,
    hlc       INTEGER NOT NULL,
    kind      BLOB NOT NULL,
    PRIMARY KEY (of_author, of_seq, author, seq)
) STRICT, WITHOUT ROWID;
