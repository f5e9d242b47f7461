
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
help-push-priority = How urgent, 0 to 9; higher goes first (default: 4)
help-push-max-tries = How often it is tried before it is dead; 0: without end (default: 5)
help-push-order-key = Jobs with the same order key run one after the other, in the order of pushing
help-push-on-crash = After a crash: “resume” from the checkpoint, “retry” from the start, “hold” for an operator (default: resume)
help-push-lines = A job for each line of standard input
help-push-null = A job for each part of standard input that ends with a zero byte, as of “find -print0”
help-push-examples =
    With --lines and --json, a line is {"{"}"payload": "…"{"}"} and, if wanted, "key", "delay", "at", "priority",
    "max_tries", "order_key" and "on_crash". Options hold for every line that does not say otherwise.

    Examples
      roda push thumbs photo.jpg
      roda push mail --key order-4711 --max-tries 10 < letter.txt
      roda push report --at 2026-12-31T23:00:00Z --on-crash retry monthly
      find . -name '*.wav' -print0 | roda push encode -0
help-work = Run a command for each job of a queue, one after the other or several at once
help-work-queue = The queue
help-work-jobs = How many jobs at once (default: 1)
help-work-timeout = End a command that takes longer; the try counts as failed
help-work-idle-exit = End when the queue has nothing left to do
help-work-command = The command and its arguments, after “--”
help-work-examples =
    The command gets the payload on standard input, and RODA_JOB_ID, RODA_QUEUE, RODA_ATTEMPT, RODA_FENCE,
    RODA_KEY and RODA_TRIES. Exit 0: done. 85: progress is saved, run it again. Anything else: tried again
    later, at last dead. “roda checkpoint” keeps its progress. It and all that it started have ended before
    the job can run anywhere else. Ctrl-C: takes no more jobs, finishes the running ones; twice: ends them.

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
help-queue-stats = Show how many jobs of a queue are in which state
help-queue-stats-queue = The queue
help-checkpoint = Inside a job: keep its progress, from which it goes on after a crash
help-checkpoint-save = Keep standard input (up to 24 KiB) as the progress of this job
help-checkpoint-save-done = So much is done, for people
help-checkpoint-save-total = Of so much
help-checkpoint-save-examples =
    Examples
      echo "$line" | roda checkpoint save --done "$line" --total 9000
      start=$(roda checkpoint load); start=${"{"}start:-0{"}"}
help-checkpoint-load = Print the progress of this job; nothing if there is none

# Errors: usage
error-usage-work-command = “{ $argument }” stands where only a queue and options do
    .hint = the command comes after “--”: roda work QUEUE -- CMD
error-not-built = this is not built yet
    .hint = wait for the next version
