-- Holds of locks under which something was written, by topic: the first entry of each author under
-- each fence, and the lock's frontier that this holder had. What is late follows from this table
-- alone. Fences stand like clocks, with the top bit flipped.
CREATE TABLE hold (
    topic  INTEGER NOT NULL,
    lock   TEXT NOT NULL,
    fence  INTEGER NOT NULL,
    author INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    seen   BLOB NOT NULL,
    PRIMARY KEY (topic, lock, fence, author)
) STRICT, WITHOUT ROWID;
