
# Jobs. English. Both catalogues have the same keys, in the same order.

# Labels
value-queue = QUEUE
value-payload = PAYLOAD
value-key = KEY
value-id = ID
value-state = STATE

# Help
help-push = Add jobs to a queue; returns when they are durable here, and prints their ids
help-push-queue = The queue; it begins with its first job
help-push-payload = What the job is about; “-”, or nothing on a pipe, takes all of standard input
help-push-key = Add it only once: the same key and payload again give the same id
help-push-delay = Start it no sooner than this from now
help-push-at = Start it no sooner than then: 2026-05-04T03:02:01Z
help-push-cron = Run it again and again: minute, hour, day, month, weekday, in UTC; or @hourly, @daily, …
help-push-priority = How urgent, 0 to 9; higher goes first (default: 4)
help-push-max-tries = How often it is tried before it is dead; 0: without end (default: 5)
help-push-order-key = Jobs with the same order key run one after the other, in the order of pushing
help-push-on-crash = After a crash: “resume” from the checkpoint, “retry” from the start, “hold” for an operator (default: resume)
help-push-copies = Return only when so many members have it on disk, this one included (default: local, this one alone)
help-push-wait = Wait no longer than this for --copies; the job is stored here all the same
help-push-lines = A job for each line of standard input
help-push-null = A job for each part of standard input that ends with a zero byte, as of “find -print0”
help-push-examples =
    With --lines and --json, a line is {"{"}"payload": "…"{"}"} and, if wanted, "key", "delay", "at", "cron",
    "priority", "max_tries", "order_key" and "on_crash". Options hold for every line that does
    not say otherwise.

    Examples
      roda push thumbs photo.jpg
      roda push mail --key order-4711 --max-tries 10 < letter.txt
      roda push report --at 2026-12-31T23:00:00Z --on-crash retry monthly
      roda push report --cron '30 3 * * MON-FRI' --on-crash retry daily
      find . -name '*.wav' -print0 | roda push encode -0
help-work = Run a command for each job of a queue, one after the other or several at once
help-work-queue = The queue
help-work-jobs = How many jobs at once (default: 1)
help-work-timeout = End a command that takes longer; the try counts as failed
help-work-idle-exit = End when the queue has nothing left to do
help-work-command = The command and its arguments, after “--”
help-work-examples =
    The command gets the payload on standard input, and RODA_JOB_ID, RODA_QUEUE, RODA_ATTEMPT,
    RODA_FENCE, RODA_KEY and RODA_TRIES. Exit 0: done. 85: progress is saved, run it again. Anything
    else: tried again later, at last dead. “roda checkpoint” keeps its progress. It and all that it
    started have ended before the job can run anywhere else. Ctrl-C: takes no more jobs, finishes
    the running ones; twice: ends them.

    Examples
      roda work thumbs -j 4 -- ./make-thumbnail
      roda work mail --timeout 30s -- sendmail -t
      roda work encode --idle-exit -- xargs -I FILE flac FILE
help-jobs = List jobs, the newest first
help-jobs-queue = Only those of this queue (default: all)
help-jobs-state = Only those that are waiting, running, done, dead, cancelled, held or duplicate
help-jobs-lines = At most N; 0: all (default: 100)
help-jobs-watch = Show it anew every half second
help-jobs-examples =
    Examples
      roda jobs
      roda jobs thumbs --state dead
      roda jobs --json -n 0 | jq -r .id
help-job = See and steer a job
help-job-show = Show all about a job: its options, progress and attempts
help-job-show-id = The job; at least 4 digits before the “-”
help-job-wait = Wait until jobs have ended; exit 1 unless all are done, 75 if that took too long
help-job-wait-id = The jobs; at least 4 digits before each “-”
help-job-wait-timeout = Wait no longer than this
help-job-wait-examples =
    Examples
      roda job wait "$(roda push thumbs photo.jpg)"
      roda job wait --timeout 10m 3f2a-17 3f2a-18
help-job-retry = Run jobs again that are dead, cancelled or held
help-job-retry-id = The jobs; at least 4 digits before each “-”
help-job-cancel = Cancel jobs: one that runs is ended, one that waits never starts
help-job-cancel-id = The jobs; at least 4 digits before each “-”
help-job-log = Print the end of what a job printed
help-job-log-id = The job; at least 4 digits before the “-”
help-job-log-attempt = In this attempt, as a number (default: the last one that printed anything)
help-queue = See and steer queues
help-queue-list = List the queues
help-queue-pause = Start no more jobs of a queue, on any machine; those that run go on
help-queue-pause-queue = The queue
help-queue-resume = Start jobs of a queue again
help-queue-resume-queue = The queue
help-queue-purge = Cancel all jobs of a queue that wait now
help-queue-purge-queue = The queue
help-queue-retain = For how long this machine lists finished jobs of a queue; without times, tell those that hold
help-queue-retain-queue = The queue
help-queue-retain-done = So long after they ended, jobs that are done or cancelled
help-queue-retain-dead = So long after they ended, dead jobs
help-queue-stats = Show how many jobs of a queue are in which state
help-queue-stats-queue = The queue
help-checkpoint = Inside a job: keep its progress, from which it goes on after a crash
help-checkpoint-save = Keep standard input (up to 16 MiB) as the progress of this job
help-checkpoint-save-done = So much is done, for people
help-checkpoint-save-total = Of so much
help-checkpoint-save-examples =
    Examples
      n=$(roda checkpoint load); n=${"{"}n:-0{"}"}
      echo "$n" | roda checkpoint save --done "$n" --total 9000
help-checkpoint-load = Print the progress of this job; nothing if there is none

# Labels of tables
jobs-head-id = ID
jobs-head-queue = QUEUE
jobs-head-state = STATE
jobs-head-tries = TRIES
jobs-head-progress = PROGRESS
jobs-head-node = NODE
jobs-head-took = TOOK
jobs-head-code = CODE
jobs-head-pushed = PUSHED
jobs-head-waiting = WAITING
jobs-head-running = RUNNING
jobs-head-done = DONE
jobs-head-dead = DEAD
jobs-head-cancelled = CANCELLED
jobs-head-held = HELD
jobs-head-duplicate = DUPLICATE
job-head-attempt = ATTEMPT
job-head-started = STARTED
job-head-outcome = OUTCOME
job-waiting = waiting
job-running = running
job-done = done
job-dead = dead
job-cancelled = cancelled
job-held = held
job-duplicate = duplicate
job-cancelling = being cancelled
job-recurs = { $state }, rounds: { $rounds }
job-recurs-until = { $state } until { $until }, rounds: { $rounds }
job-outcome-failed = failed
job-outcome-again = once more
job-outcome-returned = given back
job-outcome-cut-off = cut off
job-outcome-lost = lost
job-label-id = Job
job-label-queue = Queue
job-label-state = State
job-label-pushed = Pushed
job-label-not-before = Not before
job-label-cron = Comes (UTC)
job-label-rounds = Rounds
job-label-duplicate = Same as
job-label-key = Key
job-label-order-key = Order key
job-label-priority = Priority
job-label-tries = Tries
job-label-on-crash = On a crash
job-label-progress = Progress
job-label-checkpoint = Checkpoint
job-label-code = Exit code
job-label-payload = Payload
job-checkpoint-elsewhere = not on this node
job-tries = { $tries } failed, at most { $most }
job-tries-endless = any number
job-last-round-done = the last one done { $ended }
job-last-round-dead = the last one dead { $ended } (exit code { $code })

# Results
push-stored =
    { $count ->
        [one] { $count } job was stored before the error.
       *[other] { $count } jobs were stored before the error.
    }
jobs-none = There are no such jobs.
jobs-more =
    { $count ->
        [one] There are more: “-n N” shows N of them, “-n 0” all.
       *[other] These are { $count }, and there are more: “-n N” shows N of them, “-n 0” all.
    }
job-is = { $job }: { $state }
job-wait-held = { $job } is held: it waits for “roda job retry” or “roda job cancel”
job-retried = { $job } will be tried again: { $state }
job-cancel-told = { $job }: { $state }
queues-none = There are no queues.
queue-is-paused = paused
queue-paused = { $queue } is paused: no more of its jobs are started.
queue-resumed = { $queue } goes on.
queue-retained = { $queue }: jobs that are done or cancelled are listed for { $done }, dead ones for { $dead }.
queue-purged =
    { $count ->
        [one] { $count } waiting job of { $queue } cancelled.
       *[other] { $count } waiting jobs of { $queue } cancelled.
    }
worker-no-quorum = { $reachable } of { $voters } voters reachable, { $needed } needed; waiting
worker-draining =
    { $count ->
        [one] No more jobs; { $count } still runs. Once more ends it.
       *[other] No more jobs; { $count } still run. Once more ends them.
    }
worker-giving-back =
    { $count ->
        [one] { $count } job is being ended and given back.
       *[other] { $count } jobs are being ended and given back.
    }
worker-paused = { $queue } is paused: this worker waits until “roda queue resume { $queue }”
worker-timeout = { $job } has run for { $time } (--timeout) and is being ended
worker-failed = { $job } failed (exit code { $code })
worker-done = { $job } done
worker-again = { $job } has saved its progress and runs again
worker-returned = { $job } given back
worker-cut-off = { $job } was cut off and is held: “roda job retry” or “roda job cancel”
worker-cancelled = { $job } cancelled

# Errors: usage
error-usage-work-command = “{ $argument }” stands where only a queue and options do
    .hint = the command comes after “--”: roda work QUEUE -- CMD
error-usage-no-payload = there is no payload
    .hint = write it after the queue, or give it on standard input: … | roda push QUEUE
error-usage-moment = “{ $value }” is no moment
    .hint = write 2026-05-04T03:02:01Z, or 2026-05-04T00:02:01-03:00
error-usage-past = { $value } has passed
    .hint = check the year and the zone, or leave --at out to start at once
error-usage-no-job = this command does not run inside a job
    .hint = “roda work QUEUE -- CMD” runs CMD for each job; CMD can use “roda checkpoint”

# Errors: jobs
error-queue-empty = the name of a queue cannot be empty
    .hint = use letters, digits, “-”, “_” and “.”
error-queue-too-long = the name of a queue has at most 100 bytes, this one has { $bytes }
    .hint = choose a shorter name
error-queue-bad-character = the name of a queue cannot contain { $character }
    .hint = use letters, digits, “-”, “_” and “.”
error-queue-bad-start = the name of a queue cannot start with { $character }
    .hint = start with a letter or a digit
error-unknown-queue = there is no queue “{ $queue }”
    .hint = “roda queue list” lists them; “roda push { $queue } PAYLOAD” begins this one
error-job-id = “{ $job }” is no id of a job
    .hint = an id looks like 3f2a9c01-17: at least 4 digits, “-” and a number; “roda jobs” lists them
error-unknown-job = there is no job “{ $job }”
    .hint = “roda jobs” lists them; one that was added elsewhere a moment ago may still be on its way
error-ambiguous-job = “{ $job }” fits several jobs
    .hint = give more digits before the “-”, as “roda jobs --json” shows them
error-unknown-attempt = job { $job } has no attempt { $attempt }; it has had { $count }
    .hint = “roda job show { $job }” lists them
error-job-payload-too-long = a payload has at most { $most } bytes, this one has more
    .hint = put the data into a file, and its path into the payload; or “--lines” for a job for each line
error-job-line-too-long = line or part { $line } has more than { $most } bytes; those before it are stored ({ $stored })
    .hint = put the data into a file, and its path into the payload, then go on from there
error-job-line-json = line { $line } is no job: { $reason }; those before it are stored ({ $stored })
    .hint = write {"{"}"payload": "…"{"}"}, one object on each line, then go on from there
error-job-key-empty = a key cannot be empty
    .hint = leave it out, or choose what tells this job from others, such as an order number
error-job-key-too-long = a key has at most { $most } bytes, this one has { $bytes }
    .hint = a hash of a long key is a key too
error-job-key-conflict = key “{ $key }” belongs to job { $job }, which has another payload or other options
    .hint = nothing was stored; choose another key, or see the job: roda job show { $job }
error-job-copies = “{ $value }” is no number of members
    .hint = write “local”, “majority”, or a number such as 2
error-job-copies-too-many = { $wanted } members cannot have it: the group has { $members }
    .hint = nothing was stored; ask for fewer, or for “majority”
error-job-copies-timeout = not in time on { $wanted } members: { $copies } of { $members } have it
    .hint = the job is stored here and will be done; “roda members” shows who is away. Do not push it again without --key
error-job-copies-interrupted = not yet on { $wanted } members: { $copies } of { $members } have it
    .hint = the job is stored here and will be done; “roda job cancel ID” takes it back
error-job-cron-text = a cron expression has at most 200 printable characters
    .hint = five fields: minute, hour, day, month, weekday; every night at 3:30 UTC is “30 3 * * *”
error-job-cron-fields = a cron expression has 5 fields, “{ $value }” has { $count }
    .hint = minute, hour, day, month, weekday, in UTC; quote them: --cron '30 3 * * *'
error-job-cron-minute = “{ $value }” is no minute of a cron expression
    .hint = 0 to 59, as in “30”, “0,30”, “10-20”, “*/5”
error-job-cron-hour = “{ $value }” is no hour of a cron expression
    .hint = 0 to 23, in UTC, as in “3”, “8-18”, “*/6”
error-job-cron-day = “{ $value }” is no day of the month of a cron expression
    .hint = 1 to 31, or L for the last one
error-job-cron-month = “{ $value }” is no month of a cron expression
    .hint = 1 to 12, or JAN to DEC
error-job-cron-weekday = “{ $value }” is no day of the week of a cron expression
    .hint = 0 (Sunday) to 6, or SUN to SAT, as in “MON-FRI”
error-job-cron-never = “{ $value }” never comes
    .hint = is there such a day in this month? L is the last day of any month
error-job-ended = job { $job } has ended already ({ $state })
    .hint = “roda job show { $job }” tells how; a dead one runs again by “roda job retry { $job }”
error-job-is-duplicate = job { $job } is a duplicate of { $counts }, which is the one that counts
    .hint = name that one: roda job show { $counts }
error-job-not-ended = job { $job } is { $state }, so it cannot be tried again
    .hint = only jobs that are dead, cancelled or held can; “roda job cancel { $job }” ends one that runs
error-job-attempt-over = attempt { $attempt } of job { $job } is over: it does not count any more
    .hint = nothing was stored; end this process, the job runs elsewhere or has ended
error-job-is-dead = job { $job } is dead: it failed too often, at last with exit code { $code }
    .hint = “roda job log { $job }” shows what it printed, “roda job retry { $job }” tries it again
error-job-round-is-dead = this round of job { $job } is dead: it failed too often, at last with exit code { $code }
    .hint = the next round comes all the same; “roda job show { $job }” says when, “roda job log { $job }” what it printed
error-job-is-cancelled = job { $job } was cancelled
    .hint = “roda job retry { $job }” runs it after all
error-job-wait-timeout = job { $job } has not ended in time: it is { $state }
    .hint = wait longer with --timeout D, or see what keeps it: roda job show { $job }
error-checkpoint-too-long = a checkpoint has at most { $most } bytes, this one has more
    .hint = put the data into a file that every worker sees, and its path into the checkpoint
error-checkpoints-full = the large checkpoints on this node have { $most } bytes, the most there may be
    .hint = they go when their jobs are done or cancelled; “roda jobs” shows which are not
checkpoint-skipped = warning: newer checkpoints that are damaged or on no machine that answers: { $skipped }; this is the one before
checkpoint-none-left = warning: no checkpoint is left: { $skipped } are damaged or on no machine that answers; the job begins at zero
error-request-worker = “{ $worker }” is no name of a worker
    .hint = docs/control-api.md shows what it needs
