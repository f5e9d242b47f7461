-- Everything here is written with synchronous = FULL: what was committed survives power loss.
--
-- Unsigned 64-bit numbers stand here as signed ones with the same bits. `sum` is the first half of a
-- BLAKE3 hash over the row; it is checked at every read.

-- Whose log this is. One row. `raft_id` was drawn at random when the log was made. The upper half of
-- `generation` counts its openings, of those in a row that no other node has `noticed` only one; the
-- lower half is drawn at random. `place` tells this file from a copy of it.
CREATE TABLE meta (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    cluster    BLOB NOT NULL CHECK (length(cluster) = 16),
    raft_id    INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    noticed    INTEGER NOT NULL,
    place      TEXT NOT NULL
) STRICT;

-- The last vote. At most one row.
CREATE TABLE vote (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    term      INTEGER NOT NULL,
    leader    INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    sum       BLOB NOT NULL
) STRICT;

-- The log, without gaps. Rows up to the purged place are gone, whether deleted yet or not.
CREATE TABLE entry (
    place  INTEGER PRIMARY KEY,
    term   INTEGER NOT NULL,
    leader INTEGER NOT NULL,
    sum    BLOB NOT NULL,
    body   BLOB NOT NULL
) STRICT;

-- Places in the log: 'purged' (the last entry that is gone), 'committed' (known to be at a majority;
-- perhaps more is).
CREATE TABLE mark (
    name   TEXT PRIMARY KEY,
    place  INTEGER NOT NULL,
    term   INTEGER NOT NULL,
    leader INTEGER NOT NULL,
    sum    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What stands for the entries up to a place. At most one row.
CREATE TABLE snapshot (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    sum    BLOB NOT NULL,
    head   BLOB NOT NULL,
    state  BLOB NOT NULL
) STRICT;

-- The raft id that each other node last had, and the last generation seen of it: one that comes back
-- with an earlier one was put back to an earlier state, and its votes do not count.
CREATE TABLE known (
    node       BLOB PRIMARY KEY CHECK (length(node) = 32),
    raft_id    INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
