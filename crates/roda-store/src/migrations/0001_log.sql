-- Everything here is written with synchronous = FULL: what was committed survives power loss.
--
-- Clocks (hlc_*, created) are unsigned 64-bit numbers with the top bit flipped, so that SQLite's
-- signed order is theirs. Sequence numbers start at 1 and have no gaps.

-- Who this node is. One row. `place` tells this file from a copy of it.
CREATE TABLE identity (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    seed        BLOB NOT NULL CHECK (length(seed) = 32),
    incarnation BLOB NOT NULL CHECK (length(incarnation) = 8),
    group_id    BLOB NOT NULL CHECK (length(group_id) = 16),
    group_name  TEXT NOT NULL,
    place       TEXT NOT NULL
) STRICT;

-- Group keys.
CREATE TABLE epoch (
    tag     INTEGER PRIMARY KEY,
    secret  BLOB NOT NULL CHECK (length(secret) = 32),
    created INTEGER NOT NULL
) STRICT;

-- At or below this clock the node writes no entry any more. One row.
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    hlc INTEGER NOT NULL
) STRICT;

-- Authors and the newest batch of each. Rows stay when a log is voided (head_seq = 0), so that a
-- number never changes its meaning.
CREATE TABLE author (
    number      INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    node        BLOB NOT NULL CHECK (length(node) = 32),
    incarnation BLOB NOT NULL CHECK (length(incarnation) = 8),
    head_seq    INTEGER NOT NULL,
    head_hash   BLOB NOT NULL CHECK (length(head_hash) = 32),
    head_hlc    INTEGER NOT NULL
) STRICT;

-- Authors that signed two logs; possibly known by nothing else.
CREATE TABLE frozen (
    author BLOB PRIMARY KEY CHECK (length(author) = 16)
) STRICT, WITHOUT ROWID;

-- The logs. `number` is the order in which batches were stored. `bytes` comes last: reading what
-- stands before it does not touch its overflow pages.
CREATE TABLE batch (
    number    INTEGER PRIMARY KEY,
    author    INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    hlc_first INTEGER NOT NULL,
    hlc_last  INTEGER NOT NULL,
    control   INTEGER NOT NULL,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    bytes     BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX batch_by_seq ON batch (author, first);
CREATE INDEX batch_with_control ON batch (number) WHERE control = 1;

-- Topics that have messages.
CREATE TABLE topic (
    number   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    entries  INTEGER NOT NULL,
    hlc_last INTEGER NOT NULL
) STRICT;

-- Where a topic's messages are: a run of messages of one batch, none further than one second of
-- clock from the first. That bound is what lets a reader start at any clock, or walk backwards,
-- with this one index. `first` is the sequence number of the run's first message.
CREATE TABLE piece (
    topic     INTEGER NOT NULL,
    hlc_first INTEGER NOT NULL,
    batch     INTEGER NOT NULL,
    hlc_last  INTEGER NOT NULL,
    author    INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (topic, hlc_first, batch)
) STRICT, WITHOUT ROWID;

-- Small settings of the runtime.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Where members were last heard.
CREATE TABLE contact (
    node     BLOB PRIMARY KEY CHECK (length(node) = 32),
    datagram TEXT NOT NULL,
    stream   TEXT NOT NULL,
    heard    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Files that are kept replicas of a topic.
CREATE TABLE mirror (
    path  BLOB PRIMARY KEY,
    topic TEXT NOT NULL
) STRICT, WITHOUT ROWID;
