# English. Both catalogues have the same keys, in the same order.

# Labels
label-error = error:
label-hint = hint:
label-usage = Usage:
label-commands = Commands
label-arguments = Arguments
label-options = Options
value-options = OPTIONS
value-command = COMMAND
value-dir = DIR
value-lang = LANG
value-iface = IFACE
value-network = NETWORK
value-nick = NICK
value-name = NAME
value-duration = DURATION
value-token = TOKEN
value-member = MEMBER
value-topic = TOPIC
value-text = TEXT
value-time = TIME
value-regex = REGEX
value-room = ROOM
value-group-port = GROUP:PORT
value-file = FILE
value-shell = SHELL
value-bytes = BYTES
value-locks = LOCKS
value-lock = LOCK
value-cmd = CMD

# Help
help = Give the machines of one network a group log, encrypted and reliable, with no server
help-after =
    Durations: 500ms, 10s, 5m, 2h, 7d. “roda help exit-codes” explains exit codes.
    Try it: roda demo
help-common-help = Print help
help-common-version = Print version
help-common-home = Directory of the node (or RODA_HOME; default: the system's place for data)
help-common-no-spawn = Fail instead of starting a node in the background
help-common-json = Print one JSON object per line; errors are JSON too
help-common-lang = Language of texts: en or pt-BR (default: from the environment)
help-common-verbose = Write more to the node's log; repeat for even more
help-common-iface = Network interface, by name or address; repeat for several; remembered
help-common-lock-timing = How long locks outlive a lost machine: 3, 6 or 15 s (“wired”, “default”, “wifi”); remembered
help-common-nick = Name of this node for people; remembered
help-create = Make a group and this machine's identity
help-create-name = Name of the group (default: roda)
help-invite = Print a token with which others join
help-invite-uses = How many may join with it (default: 1)
help-invite-expires = How long it is valid (default: 1d)
help-join = Join a group
help-join-token = The invite token; “-” reads it from standard input; without it, RODA_TOKEN or a prompt
help-join-timeout = How long to wait for a member (default: 30s)
help-members = List the members: who is online, who is behind
help-remove = Remove a member and change the group key
help-remove-member = Its name, or at least 4 digits of its node
help-leave = Leave the group for good
help-up = Run the node
help-up-detach = In the background
help-down = Stop the node cleanly
help-status = Show how the node is
help-say = Append messages to a topic; returns when they are durable here
help-say-topic = The topic; it begins with its first message
help-say-text = The message; “-” takes each line of standard input as one
help-say-fenced = Under the lock that this command runs under (RODA_LOCK, RODA_FENCE): refused once a later holder has written
help-say-fence = The fence, in place of RODA_FENCE
help-say-lock = The lock, in place of RODA_LOCK
help-history = Read a topic
help-history-topic = The topic
help-history-lines = Only the last N messages
help-history-follow = Go on with what comes
help-history-since = Only from then on: 2026-05-04T03:02:01Z, or ago: 10m, 2h, 3d
help-history-grep = Only messages that match this regular expression
help-topics = List the topics
help-chat = Talk: lines typed are sent, lines of others are shown; ends with the input
help-chat-room = The topic to talk in (default: chat)
help-chat-plain-multicast = Talk to a classroom program in bare datagrams instead: not encrypted (default: 224.1.1.1:5007)
help-chat-iface = Interface for bare datagrams
help-mirror = Keep a file that is a replica of a topic, or list such files
help-mirror-topic = The topic
help-mirror-file = The file; the same bytes on every member
help-mirror-stop = Keep it no longer; the file stays
help-mirror-list = List the mirrors (as without arguments)
help-lock = Run a command while this node holds one or more locks; nobody else in the group does
help-lock-names = The locks, comma separated; all at once, never a deadlock
help-lock-priority = How urgent, 0 to 9; waiting raises it by and by (default: 0)
help-lock-wait = Wait no longer than this; exit 75 if that was not enough
help-lock-try = Do not wait: exit 75 unless it can be had at once
help-lock-permits = Share with others that say the same: at most N at once
help-lock-shared = Share with any number of others that say the same (readers)
help-lock-fresh = First catch up with what was written to this topic under the lock; repeatable
help-lock-command = The command and its arguments, after “--”
help-lock-examples =
    The command gets RODA_LOCK, RODA_FENCE, RODA_LEASE_MS and RODA_LOST_FD (a descriptor that becomes
    readable when the lock is at risk). It and all it started end before anybody else is let in;
    whatever it leaves in the background is ended with it. If the lock is lost: exit 76.

    Examples
      roda lock printer -- lp report.pdf
      roda lock --try nightly -- ./backup.sh
      roda lock --wait 30s --priority 5 db,cache -- ./migrate
      roda lock --permits 3 licence -- render scene.blend
      roda lock release --force printer
help-lock-release = Have whoever holds a lock stopped, and wait until it is free
help-lock-release-force = That this is meant: what runs under the lock is stopped, on whichever machine
help-lock-release-name = The lock
help-locks = Show who has which lock, and who waits for it
help-locks-names = Only these locks (default: all)
help-locks-all = Also those that Roda takes for queues and workers
help-locks-watch = Show it anew every half second
help-locks-examples =
    FENCE grows with every grant. PRIORITY: as asked, and as it counts after waiting.
    AT MOST BEFORE: how many others can still come first, whatever their priority.

    Examples
      roda locks
      roda locks --watch printer
      roda locks --json
help-backup = Write all of this node to one file, while it runs or while it is down
help-backup-file = The file; it will have the node's keys, so keep it as safe as the node's directory
help-backup-force = Replace the file if it is there
help-backup-examples =
    The file has the identity and its keys, the log, jobs, contacts, mirrors and the settings of
    “roda up”. Whoever reads it can read everything and speak as this node. It is checked before
    it gets its name; an earlier one is replaced as a whole or not at all.

    Examples
      roda backup /media/stick/ana.roda
      roda backup --force --json ~/backups/ana.roda
help-restore = Bring back a node from a backup, in a directory that has none
help-restore-file = What “roda backup” wrote
help-restore-examples =
    The node is who it was, and writes a log of its own from then on; what it had written after
    the backup comes back from the others. The original must not run any more.

    Examples
      roda restore /media/stick/ana.roda
      roda --home /srv/roda restore ana.roda
help-verify = Check the database, every log and every signature
help-completions = Print a completion script
help-completions-shell = bash, elvish, fish, powershell or zsh
help-demo = Show it all: three nodes on this machine, with loss, a crash and its healing
help-demo-fast = Without pauses for a reader
help-bench = Measure this installation
help-bench-multicast = Measure message rate and latency, beside plain multicast and NATS
help-bench-multicast-receivers = Numbers of receivers, with commas (default: 1,4)
help-bench-multicast-size = Bytes of a message, 16 to 1100 (default: 100)
help-bench-multicast-loss = Share of datagrams that receivers drop, 0 to 1 (default: 0)
help-bench-multicast-seconds = Seconds at full speed (default: 3)
help-bench-multicast-runs = Runs, of which the median is told (default: 3)
help-bench-multicast-iface = Interface (default: lo)
help-bench-jobs = Measure how many jobs a node takes and finishes, beside its disk
help-bench-jobs-jobs = Jobs that a worker finishes (default: 20000)
help-bench-jobs-backlog = Instead compare a queue in which so many jobs wait with a short one
help-bench-jobs-seconds = Seconds of pushing (default: 3)
help-bench-jobs-runs = Runs, of which the median is told (default: 3)
help-bench-jobs-iface = Interface (default: lo)
help-bench-lock = Measure how fast a lock goes from hand to hand
help-bench-lock-contenders = Numbers of contenders, with commas (default: 5,20)
help-bench-lock-nodes = Nodes that they are on (default: one each)
help-bench-lock-voters = Begin only when so many vote (default: as many as the group chooses)
help-bench-lock-seconds = Seconds of contention (default: 5)
help-bench-lock-runs = Runs, of which the median is told (default: 3)
help-bench-lock-iface = Interface (default: lo)
help-help = Show help for a command, or “exit-codes”
help-help-about = The command

# Exit codes
exit-done = done
exit-failed = failed
exit-usage = wrong usage
exit-busy = not obtained in time
exit-lost = lock or job lost while running; the child was stopped
exit-not-started = Roda failed before the child started
exit-not-executable = child not executable
exit-not-found = child not found
exit-signal = child or Roda ended by signal n; otherwise the child's own code

# Results
create-done = Group “{ $group }” made. This node is { $nick } ({ $node }).
create-next = Invite others with: roda invite
invite-note =
    { $uses ->
        [one] For one machine, until { $expires }. There, type: roda join -
       *[other] For { $uses } machines, until { $expires }. There, type: roda join -
    }
join-waiting = Looking for a member…
join-prompt = Invite token:
join-done =
    { $members ->
        [one] Joined “{ $group }” as { $nick } ({ $node }); { $members } member.
       *[other] Joined “{ $group }” as { $nick } ({ $node }); { $members } members.
    }
presence-here = here
presence-online = online
presence-suspect = silent
presence-down = down
members-level = up to date
members-behind =
    { $count ->
        [one] { $count } entry behind
       *[other] { $count } entries behind
    }
remove-done = Removed { $node }; the group has a new key.
leave-done = Left “{ $group }”.
up-ready = Ready: “{ $group }”, process { $pid }.
down-done = Stopped process { $pid }.
down-idle = No node was running.
status-group = Group
status-node = Node
status-members = Members
status-members-value = { $online } of { $members } online
status-carrier = Carrier
carrier-none = none yet: no other member is heard
carrier-multicast = multicast
carrier-unicast = unicast: multicast does not arrive
carrier-mixed = mixed: multicast does not arrive from every member
status-interfaces = Interfaces
status-groups = Multicast
status-port = Port
status-entries = Entries
status-stable = Stable until
status-epoch = Group key
status-process = Process
status-home = Home
status-socket = Socket
status-socket-value = { $path } (the home's path is too long for a socket)
status-counters = Counted
status-rejected = Refused
status-problem = Problem:
message-late = (late)
say-done =
    { $count ->
        [one] { $count } message stored.
       *[other] { $count } messages stored.
    }
say-stored =
    { $count ->
        [one] { $count } message was stored before the error.
       *[other] { $count } messages were stored before the error.
    }
chat-welcome = Talking in “{ $room }”. Ctrl-D ends.
plain-warning =
    WARNING: plain multicast to { $group }. Nothing is encrypted, signed, repaired or stored;
    everyone on this network can read and forge every line.
mirror-done = { $path } is now a replica of “{ $topic }”.
mirror-stopped = { $path } is no longer kept; the file stays.
mirror-line = { $topic }  { $path }  messages: { $messages }  waiting: { $waiting }
mirror-fault = { "  " }problem: { $reason }
lock-waiting = Waiting for { $locks }… Ctrl-C gives up; “roda locks” shows the queue.
lock-catching-up = Catching up with what earlier holders wrote…
lock-left-behind =
    { $count ->
        [one] The command left { $count } process behind; it is being ended before the lock is let go.
       *[other] The command left { $count } processes behind; they are being ended before the lock is let go.
    }
lock-released = { $lock } is free.
locks-voters = Voters: { $voters }; { $reachable } of { $count } reachable, { $leader } leads
locks-none = Nobody holds or waits for a lock.
locks-head-lock = LOCK
locks-head-state = STATE
locks-head-node = NODE
locks-head-since = FOR
locks-head-fence = FENCE
locks-head-priority = PRIORITY
locks-head-bound = AT MOST BEFORE
locks-inside = holds
locks-next = next
locks-revoked = being stopped
locks-waiting = waits
locks-shared = shared
locks-free = free
backup-done = { $entries ->
    [one] 1 entry, checked
   *[other] { $entries } entries, checked
  }: { $file } ({ $bytes }).
backup-keys = It has the node's keys: keep it as safe as the node itself.
backup-copied = Copied:
backup-checked = Entries checked:
restore-done = { $nick } ({ $node }) of “{ $group }” is back in { $home }, as it was on { $made }, with { $entries ->
    [one] 1 entry
   *[other] { $entries } entries
  }.
restore-founder = It founded the group. If no other member voted about locks, there are no locks any more, and no job starts.
restore-next = Make sure that the original does not run, then start it with: roda up
verify-well = All is well: { $entries } entries in { $batches } signed batches of { $authors } logs; faults: { $faults }.
verify-faults = Faults: { $faults }. Checked: { $entries } entries in { $batches } signed batches of { $authors } logs.

# Demonstration
demo-group = 1. Three nodes on this machine found a group, over loopback, with nothing configured.
demo-speak = 2. All speak. Each node drops { $loss } % of all datagrams that arrive.
demo-hello-1 = Hello, circle!
demo-hello-2 = Hi ana, no server here?
demo-hello-3 = None. We are the server.
demo-identical = three histories, identical to the byte: { $messages } messages, { $bytes } bytes of JSON
demo-mirror = 3. Each keeps a file of the topic.
demo-mirrors = three files, identical to the byte: { $messages } messages, { $bytes } bytes
demo-kill = 4. kill -9 for { $node }. The others go on talking.
demo-heal = 5. { $node } comes back and gets what it missed.
demo-healed = healed: three histories and three files, identical to the byte: { $messages } messages, { $bytes } bytes
demo-lock = 6. A lock. { $node } holds it, another node waits. kill -9 for whoever holds it.
demo-turn = the next one is in, { $millis } ms after the kill, with a larger fence: { $before } → { $after }
demo-job = 7. A job. { $node } runs it and saves each step. kill -9 for its worker.
demo-resumed = { $node } goes on after step { $step } of { $steps }, { $millis } ms after the kill; the job is done, once
demo-counters = Repairs sent: { $repairs }. Repair requests (NACKs): { $nacks }.
demo-yourself = Now you, on two machines of one network:
demo-commands =
    first   $ roda create
    first   $ roda invite
    second  $ roda join -          # then paste the token
    both    $ roda chat
    one     $ roda say log "disk replaced"
    other   $ roda history log --follow
    both    $ roda lock printer -- sh -c 'echo my turn; sleep 3'
    one     $ roda push render clip-1
    other   $ roda work render -- ./render.sh
    either  $ roda status

# Benchmark
bench-no-nats = nats-server is not installed, so NATS is left out.
bench-loss-note = The loss does not touch NATS: its TCP runs over a network that loses nothing here.
bench-system = system
bench-receivers = receivers
bench-rate = msg/s
bench-goodput = MB/s
bench-lost = lost
bench-p50 = p50 µs
bench-p99 = p99 µs
bench-cpu-send = µs/sent
bench-cpu-receive = µs/recvd
bench-repairs = repairs
bench-nacks = NACKs
bench-contenders = contenders
bench-handoffs = hand-offs/s
bench-fairness = max/min
bench-alone = alone µs
bench-api-acquire = API get µs
bench-api-release = API let µs
bench-voters = voters
bench-push = push/s
bench-push-many = push/s (64)
bench-sqlite = bare SQLite/s
bench-sqlite-many = bare SQLite (64)
bench-work = done/s
bench-waiting = waiting
bench-list = lists/s
bench-resident = MB
bench-fdatasync = syncs/s
bench-ring = ring/s
bench-ring-p50 = ring µs

# Errors: usage
error-usage-unknown-argument = there is no option or argument “{ $argument }” here
    .hint = “--help” after the command lists what it takes; put “--” before a text that starts with “-”
error-usage-unknown-command = there is no command “{ $command }”
    .hint = “roda help” lists the commands
error-usage-similar-command = there is no command “{ $command }”
    .hint = did you mean “{ $similar }”?
error-usage-missing-argument = something is missing: { $argument }
    .hint = “--help” after the command shows what it takes
error-usage-missing-command = a command is missing
    .hint = “roda help” lists the commands
error-usage-conflict = “{ $argument }” does not go with “{ $other }”
    .hint = leave one of them out
error-usage-missing-value = “{ $argument }” needs a value
    .hint = “--help” after the command shows which
error-usage-invalid-value = “{ $value }” is no value for “{ $argument }”
    .hint = “--help” after the command shows which values there are
error-usage-utf8 = an argument is not valid UTF-8
    .hint = write names and texts in UTF-8
error-usage-other = the command line makes no sense: { $reason }
    .hint = “roda help” shows how it is done
error-usage-duration = “{ $value }” is no duration
    .hint = write a number and a unit: 500ms, 10s, 5m, 2h or 7d
error-usage-expires = an invite that is valid for { $value } lets nobody in
    .hint = say how long somebody may take to join: --expires 10m, or leave it out for a day
error-usage-fenced = this command runs under no lock
    .hint = run it by “roda lock LOCK -- …”, or name the hold: --lock LOCK --fence N
error-usage-fenced-lock = this command runs under several locks: { $locks }
    .hint = say under which of them to write: --lock LOCK
error-usage-since = “{ $value }” is no moment
    .hint = write 2026-05-04T03:02:01Z, or how long ago: 10m, 2h, 3d
error-usage-regex = “{ $pattern }” is no regular expression: { $reason }
    .hint = put “\” before characters with a special meaning, as in “\(”
error-usage-group = “{ $value }” is no multicast group with a port
    .hint = write it like 224.1.1.1:5007
error-usage-empty-name = the group needs a name
    .hint = leave it out to call the group “roda”
error-usage-no-token = there is no invite token
    .hint = give it as an argument, in RODA_TOKEN, or with “-” on standard input; a member gets one by “roda invite”
error-usage-lock-command = “{ $argument }” stands where only locks and options do
    .hint = the command comes after “--”: roda lock LOCKS -- CMD
error-usage-lock-force = to have the holder of “{ $lock }” stopped, say so with --force
    .hint = “roda locks” shows who it is; then: roda lock release --force { $lock }
error-usage-no-spawn = this command starts a node, and --no-spawn forbids it
    .hint = leave --no-spawn out

# Errors: home and process
error-no-home = there is no directory for the node
    .hint = set HOME, or name a directory with --home
error-no-group = { $home } has no group yet
    .hint = make one with “roda create”, or join one with “roda join TOKEN”
error-already-in-group = { $home } already belongs to a group
    .hint = choose another directory with --home, or leave the group first with “roda leave”
error-already-running = another Roda already runs on { $home }
    .hint = stop it with “roda down”; if that finds none, a program that uses the library has this home
error-not-running = no node runs on { $home }
    .hint = start one with “roda up --detach”, or leave --no-spawn out
error-restart-needed = the node on { $home } already runs, with other settings
    .hint = stop it with “roda down”, then start it with the new settings
error-socket-directory = { $path } belongs to somebody else or is open to others
    .hint = remove it, or set XDG_RUNTIME_DIR to a private directory, or choose a shorter --home
error-config = { $path } cannot be understood: { $reason }
    .hint = mend the file, or delete it to start with the defaults
error-daemon-start = the node could not be started: { $reason }
    .hint = run “roda up” to see more
error-leftovers-alive = processes that an earlier run of this node left cannot be killed: { $processes }
    .hint = they may wait for a disk or a network file system; see to them, then start the node again
error-daemon-died = the node ended while it started
    .hint = its last words are in { $home }/daemon.log
error-daemon-inside-lock = no node runs on { $home }, and one that starts under a lock would be stopped with it
    .hint = start it first, outside of “roda lock”: roda up --detach
error-daemon-lost = the connection to the node was lost ({ $reason })
    .hint = the node may have been stopped; try again, or see daemon.log in its home
error-daemon-answer = the node answered something unexpected: { $reason }
    .hint = after an update, restart it: “roda down”, then try again
error-runtime = the program could not start: { $reason }
    .hint = the system may be out of memory or threads
error-file = { $path }: { $reason }
    .hint = check that the path exists and is of the right kind
error-disk-full = the disk is full
    .hint = what was acknowledged is safe; make room, then try again
error-read-only = { $path } cannot be written
    .hint = check its owner, its permissions and how the disk is mounted, or choose another --home
error-output = the output cannot be written: { $reason }
    .hint = check where standard output goes
error-input = standard input cannot be read: { $reason }
    .hint = check where standard input comes from

# Errors: group
error-token-none = this is no invite token
    .hint = a token starts with “roda1”; a member gets one by “roda invite”
error-token-damaged = the invite token is damaged or cut off
    .hint = copy the whole line, or ask for a new one: “roda invite”
error-token-newer = the invite token was made by a newer version of Roda
    .hint = update Roda on this machine
error-token-expired = the invite token has expired
    .hint = ask a member for a new one: “roda invite --expires 1d”; if it is fresh, compare the clocks
error-refused-used-up = the invite token has been used up
    .hint = ask a member for a new one: “roda invite --uses N”
error-refused-unknown-invite = the group does not know this invite
    .hint = ask a member that is online for a new one: “roda invite”
error-refused-other-group = the member that answered belongs to another group
    .hint = ask for a new token: “roda invite”
error-refused-busy = the member that answered could not admit this node now
    .hint = try again in a moment
error-join-timeout = no member answered within { $waited }
    .hint = check that a member is online on this network (“roda status” there) and no firewall blocks UDP and TCP; choose the interface with --iface
error-unknown-member = no member is called “{ $member }”
    .hint = “roda members” lists them; a name, or at least 4 digits of the node
error-ambiguous-member = “{ $member }” fits several members
    .hint = give more digits of the node, as “roda members --json” shows them
error-remove-self = a node cannot remove itself
    .hint = to leave the group, use “roda leave”
error-not-member = this node is not a member of the group any more
    .hint = somebody removed it; join again with a new token and another --home
error-group-full = the group is full
    .hint = remove members that are gone: “roda remove MEMBER”
error-unknown-interface = there is no usable interface “{ $interface }”
    .hint = “ip address” lists names and addresses
error-port-in-use = the port is in use ({ $reason })
    .hint = another program has it without sharing; stop that one
error-network = network: { $reason }
    .hint = check the interface and its address; choose one with --iface

# Errors: topics and messages
error-topic-empty = a topic name cannot be empty
    .hint = use letters, digits, “-”, “_” and “.”
error-topic-too-long = a topic name has at most 128 bytes, this one has { $bytes }
    .hint = choose a shorter name
error-topic-bad-character = a topic name cannot contain { $character }
    .hint = use letters, digits, “-”, “_” and “.”
error-topic-bad-start = a topic name cannot start with { $character }
    .hint = start with a letter or a digit
error-unknown-topic = topic “{ $topic }” has no messages
    .hint = “roda topics” lists those that have; “roda say { $topic } TEXT” begins this one
error-empty-text = a message cannot be empty
    .hint = “roda say TOPIC TEXT”, or “roda say TOPIC -” to read lines from standard input
error-old-fence = the lock has passed on: a holder with fence { $newest } has written to this topic, so fence { $fence } may not any more
    .hint = nothing was stored; stop what runs under the old fence, and take the lock again
error-fence-not-held = this node does not hold lock “{ $lock }” with fence { $fence }
    .hint = nothing was stored; the lock was lost or released, take it again: “roda lock { $lock } -- …”
error-too-long = a message has at most { $most } bytes, this one has { $bytes }
    .hint = split it into several messages
error-line-too-long = line { $line } has more than { $most } bytes; lines before it are stored ({ $stored })
    .hint = split the line, then go on from there
error-line-not-utf8 = line { $line } is not valid UTF-8 at byte { $byte }; lines before it are stored ({ $stored })
    .hint = convert the text, for example with “iconv -f latin1 -t utf-8”, then go on from there
error-plain-too-long = a plain message has at most { $most } bytes, this one has { $bytes }; it was not sent
    .hint = the other program would cut it off; send it in parts
error-not-a-mirror = { $path } exists and is no mirror of this topic
    .hint = choose a path at which there is nothing yet; the file was not touched
error-unknown-mirror = { $path } is no mirror
    .hint = “roda mirror --list” shows them

# Errors: locks
error-lock-name-empty = the name of a lock cannot be empty
    .hint = use letters, digits, “-”, “_”, “.”, “:” and “/”; several locks are separated by commas
error-lock-name-too-long = the name of a lock has at most 128 bytes, this one has { $bytes }
    .hint = choose a shorter name
error-lock-name-bad-character = the name of a lock cannot contain { $character }
    .hint = use letters, digits, “-”, “_”, “.”, “:” and “/”; several locks are separated by commas
error-lock-name-bad-start = the name of a lock cannot start with { $character }
    .hint = start with a letter or a digit
error-lock-name-twice = lock “{ $lock }” is named twice
    .hint = name each lock once
error-lock-name-reserved = “{ $lock }” is a name for Roda itself, like all that begin with “roda/”
    .hint = choose another name
error-lock-name-too-many = at most { $most } locks can be held at once, not { $count }
    .hint = a lock with a wider meaning may do in place of several
error-lock-busy = others have { $locks }
    .hint = “roda locks” shows who; --wait D waits longer, and without --wait and --try it waits its turn
error-lock-no-quorum = { $reachable } of { $voters } voters reachable, { $needed } needed
    .hint = nobody gets a lock until then; “roda members” shows who is missing, --wait D waits for them
error-lock-no-leader = no leading voter answers
    .hint = the voters may be choosing one, which takes a second or two; try again, or see “roda members”
error-lock-held-by-parent = lock “{ $lock }” is held by your own parent
    .hint = a command that runs under a lock has it already; leave out the inner “roda lock”
error-lock-full = too many locks or waiters
    .hint = “roda locks” shows them; try again when there are fewer
error-lock-not-held = nobody holds lock “{ $lock }”
    .hint = “roda locks” shows which are held
error-lock-lost = the lock was lost before the command could start
    .hint = try again
error-lock-lost-not-renewed = the lock is being lost: too few voters answer. The command is being stopped
    .hint = “roda locks” and “roda members” show who is missing
error-lock-lost-session-ended = the lock was lost: the group gave this node up. The command is being stopped
    .hint = was this machine asleep or cut off? “roda status” shows how it is now
error-lock-lost-revoked = an operator has released the lock by force. The command is being stopped
    .hint = find out who and why before you start it again
error-lock-lost-stopped = the node stops, and the lock ends with it. The command is being stopped
    .hint = start the node with “roda up --detach”, then try again
error-lock-lost-node = the lock is being lost: the node does not answer. The command is being stopped
    .hint = see daemon.log in the node's home; “roda status” shows whether it runs
error-unknown-hold = there is no hold “{ $hold }”, or it is over
    .hint = docs/control-api.md shows how one begins
error-command-not-found = there is no command “{ $command }”
    .hint = check its name and PATH
error-command-not-executable = “{ $path }” is no program that can be executed
    .hint = check its permissions (chmod +x), or name its interpreter before it

# Errors: database
error-newer-database = the database was written by a newer version of Roda ({ $found }, this one knows { $known })
    .hint = update Roda; nothing was changed
error-damaged-database = the database is damaged: { $reason }
    .hint = “roda verify” tells more; copy the home before you try anything; the other members still have the log
error-backup-exists = { $path } is there already
    .hint = choose another name, or replace it with --force
error-backup-in-home = { $path } is within the node's own directory and would be lost with it
    .hint = write it to another disk or machine
error-damaged-backup = { $path } is no backup that can be restored: { $reason }
    .hint = nothing was changed; use a file that “roda backup” wrote, and copy it again as a whole
error-restore-home-taken = { $home } is not empty
    .hint = choose a directory that does not exist yet: roda --home DIR restore FILE
error-original-alive = the node of which this one is a backup still runs, at { $address }
    .hint = stop it for good, then start this one; to have one more member, use “roda invite” instead
error-store = the database failed: { $reason }
    .hint = what was acknowledged is safe; “roda verify” checks it
error-stopped = the node is stopping
    .hint = try again in a moment

# Errors: requests of programs
error-not-found = the control API has no such path
    .hint = docs/control-api.md lists them
error-request-body = the body of the request is wrong: { $reason }
    .hint = docs/control-api.md shows it
error-request-query = the query of the request is wrong: { $reason }
    .hint = docs/control-api.md shows it
error-request-child = the process cannot be registered: { $reason }
    .hint = docs/control-api.md shows what it needs
error-request-path = { $path } is not an absolute path
    .hint = write it from “/” on

# Errors: demonstration and benchmark
error-demo-command = “roda { $command }” failed: { $reason }
    .hint = try the same by hand with --home
error-demo-different = the nodes did not become identical within { $seconds } s
    .hint = on a very busy machine try again; otherwise this is a bug worth reporting
error-bench-worker = a process of the benchmark failed: { $reason }
    .hint = its own message stands above
error-bench-nats = nats-server did not start
    .hint = run it by hand to see why
error-bench-voters = the group came to { $found } voters
    .hint = up to two nodes have one, up to six have three, more have five
error-bench-overlap = two were inside the lock at once
    .hint = this must never happen: please report it

# Errors: anything else
error-other = { $reason }
    .hint = “roda status” and daemon.log in the home may tell more
