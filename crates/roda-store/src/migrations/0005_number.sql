-- A job's number says where its push stands: the number of the batch times 65536, plus the place in it,
-- which is less as a batch has 64 KiB at most. So it is found by the index of batches, and needs none of
-- its own; numbers still grow in the order in which jobs came here.
CREATE TEMP TABLE renumbered (
    before INTEGER PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE
) STRICT;

INSERT INTO renumbered (before, number)
SELECT job.number, batch.number * 65536 + job.seq - batch.first
FROM job
JOIN author ON author.id = job.author
JOIN batch ON batch.author = author.number
    AND batch.first = (SELECT max(first) FROM batch
                       WHERE author = author.number AND first <= job.seq);

DROP INDEX job_by_place;

-- None, unless the database is damaged; verifying it tells what is missing.
DELETE FROM job WHERE number NOT IN (SELECT before FROM renumbered);
DELETE FROM job_fact WHERE job NOT IN (SELECT before FROM renumbered);
DELETE FROM blob_use WHERE job NOT IN (SELECT before FROM renumbered);

-- By way of negative numbers, because some new ones are others' old ones.
UPDATE job SET number = -(SELECT number FROM renumbered WHERE before = job.number);
UPDATE job SET number = -number;
UPDATE job_fact SET job = -(SELECT number FROM renumbered WHERE before = job_fact.job);
UPDATE job_fact SET job = -job;
UPDATE blob_use SET job = -(SELECT number FROM renumbered WHERE before = blob_use.job);
UPDATE blob_use SET job = -job;

DROP TABLE renumbered;

-- With the columns of its condition, though they are always 0, so that how many jobs are ready is read from
-- the index alone.
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (queue, shard, priority, hlc, state, blocked, due)
    WHERE state = 0 AND blocked = 0 AND due = 0;
