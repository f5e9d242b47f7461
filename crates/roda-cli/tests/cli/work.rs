//! `roda work` beside a node that does what the test wants.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake_node::{FakeNode, SESSION, ended};
use crate::wrapper::{PATIENCE, lives, wait_until};

/// A lease that does not end during a test.
const LONG: u64 = 600_000;
const POLL: &str = "/poll";
const ENDS: &str = "/ends";

fn id(number: u64) -> String {
    format!("{}-{number}", "3f2a".repeat(8))
}

/// Runs `roda work q OPTIONS -- sh -c SCRIPT` up to its first question.
fn work(node: &FakeNode, options: &[&str], script: &str) -> Child {
    let child = spawn(node, options, script);
    until_asked(node);
    child
}

fn spawn(node: &FakeNode, options: &[&str], script: &str) -> Child {
    let mut command = node.home.command(&["--no-spawn", "work", "q"]);
    command.args(options).args(["--", "sh", "-c", script]);
    command.spawn().unwrap()
}

/// Grants a worker its lock and waits for its first question.
fn until_asked(node: &FakeNode) {
    let wish = node.request("POST /v1/holds ").body;
    let lock = wish["locks"][0].as_str().unwrap();
    let worker = lock.strip_prefix("roda/worker/").unwrap();
    assert_eq!(worker.len(), 32);
    node.request("POST /v1/holds/");
    node.grant(LONG);
    let poll = node.request(&format!("POST /v1/workers/{worker}/poll"));
    assert_eq!(
        (&poll.body["fence"], &poll.body["queue"]),
        (&json!(77), &json!("q"))
    );
}

fn claimed(number: u64) -> Value {
    json!({"id": id(number), "attempt": format!("9-{number}"), "tries": 1, "payload": format!("p{number}\n")})
}

fn offer(node: &FakeNode, numbers: &[u64]) {
    node.offer(numbers.iter().copied().map(claimed).collect());
}

/// The ends that the worker tells next.
#[track_caller]
fn ends(node: &FakeNode) -> Vec<Value> {
    let body = node.skip_to("POST /v1/workers/", ENDS).body;
    assert_eq!(body["fence"], 77);
    body["ends"].as_array().unwrap().clone()
}

/// The lines that a worker writes to standard error, as they come.
fn told_by(child: &mut Child) -> Receiver<String> {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (sender, told) = channel();
    // It reads on when nobody listens any more, or the worker would get a broken pipe.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    told
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_job_gets_its_payload_and_its_environment_and_its_end_is_told() {
    let node = FakeNode::new();
    let script = "cat; echo $RODA_JOB_ID $RODA_QUEUE $RODA_ATTEMPT $RODA_FENCE $RODA_TRIES [$RODA_KEY] \
                  [$RODA_LOCK$RODA_LOST_FD]; echo $RODA_HOME >&2";
    let child = work(&node, &["--idle-exit"], script);
    offer(&node, &[1]);
    let told = ends(&node);
    let home = node.home.path().display().to_string();
    let printed = format!("p1\n{} q 9-1 9 1 [] []\n", id(1));
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["id"], &told[0]["attempt"]),
        (&json!(id(1)), &json!("9-1"))
    );
    assert_eq!(told[0]["outcome"], "done");
    let output = told[0]["output"].as_str().unwrap();
    assert!(
        output.contains(&printed) && output.contains(&home),
        "{output}"
    );
    node.idle();
    let ended = ended(child);
    assert_eq!(ended.code, Some(0));
    assert_eq!((ended.stdout, ended.stderr), (printed, format!("{home}\n")));
}

#[test]
fn the_exit_code_decides_what_becomes_of_a_job() {
    let node = FakeNode::new();
    let script = "read p; case $p in p1) exit 0;; p2) exit 85;; p3) exit 3;; p4) kill -9 $$;; esac";
    let child = work(&node, &["--idle-exit"], script);
    for (number, outcome, code) in [
        (1, "done", Value::Null),
        (2, "again", Value::Null),
        (3, "failed", json!(3)),
        (4, "failed", json!(137)),
    ] {
        offer(&node, &[number]);
        let told = ends(&node);
        assert_eq!(
            (&told[0]["outcome"], &told[0]["code"]),
            (&json!(outcome), &code)
        );
        if outcome == "failed" {
            // One try has failed before.
            let wait = told[0]["retry_in_ms"].as_u64().unwrap();
            assert!((1600..=2400).contains(&wait), "{wait}");
        }
    }
    node.idle();
    let ended = ended(child);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("3f2a3f2a-3 failed (exit code 3)"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_job_that_is_to_be_held_after_a_crash_is_told_to_be_cut_off() {
    let node = FakeNode::new();
    let script = "read p; case $p in p1) kill -9 $$;; p2) exit 3;; esac";
    let child = work(&node, &["--idle-exit"], script);
    for (number, outcome, code) in [(1, "cut-off", json!(137)), (2, "failed", json!(3))] {
        let mut job = claimed(number);
        job["on_crash"] = "hold".into();
        node.offer(vec![job]);
        let told = ends(&node);
        let told = (&told[0]["outcome"], &told[0]["code"]);
        assert_eq!(told, (&json!(outcome), &code));
    }
    node.idle();
    let ended = ended(child);
    let told = "3f2a3f2a-1 was cut off and is held: “roda job retry” or “roda job cancel”\n";
    assert!(ended.stderr.starts_with(told), "{}", ended.stderr);
}

#[test]
fn nothing_of_a_job_runs_when_its_end_is_told() {
    let node = FakeNode::new();
    let path = node.home.file("left");
    let text = path.display();
    let script = format!(
        "(setsid sh -c 'trap \"\" TERM; echo $$ > {text}; while :; do sleep 1; done' &); \
         while [ ! -s {text} ]; do :; done"
    );
    let child = work(&node, &["--idle-exit"], &script);
    offer(&node, &[1]);
    assert_eq!(ends(&node)[0]["outcome"], "done");
    let left = fs::read_to_string(&path).unwrap();
    assert!(!lives(left.trim()), "it was told too early");
    node.idle();
    assert_eq!(ended(child).code, Some(0));
}

#[test]
fn as_many_jobs_as_there_are_slots_run_at_once() {
    let node = FakeNode::new();
    let go = node.home.file("go");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done; cat", go.display());
    let child = work(&node, &["-j", "3", "--idle-exit"], &script);
    offer(&node, &[1, 2]);
    let poll = node.skip_to("POST /v1/workers/", POLL).body;
    assert_eq!(poll["free"], 1);
    assert_eq!(poll["known"].as_array().unwrap().len(), 2);
    assert_eq!(
        poll["known"][0],
        json!({"id": id(1), "attempt": "9-1", "cancelling": false})
    );
    offer(&node, &[3]);
    assert_eq!(node.skip_to("POST /v1/workers/", POLL).body["free"], 0);
    fs::write(&go, "").unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(ends(&node));
    }
    assert!(told.iter().all(|end| end["outcome"] == "done"));
    node.idle();
    assert_eq!(ended(child).code, Some(0));
}

#[test]
fn a_job_that_is_cancelled_or_takes_too_long_is_ended() {
    let node = FakeNode::new();
    let child = work(
        &node,
        &["--timeout", "300ms", "--idle-exit"],
        "exec sleep 1000",
    );
    offer(&node, &[1]);
    let told = ends(&node);
    assert_eq!(
        (&told[0]["outcome"], &told[0]["code"]),
        (&json!("failed"), &json!(143))
    );
    let said = "has run for 300ms (--timeout) and is being ended";
    let output = told[0]["output"].as_str().unwrap();
    assert!(output.contains(said), "{output:?}");
    node.idle();
    let ended_child = ended(child);
    assert_eq!(ended_child.code, Some(0));
    assert!(ended_child.stderr.contains(said), "{}", ended_child.stderr);

    let node = FakeNode::new();
    let ready = node.home.file("ready");
    let script = format!(
        "trap 'sleep 0.5; exit 3' TERM; > {}; while :; do sleep 0.05; done",
        ready.display()
    );
    let child = work(&node, &["--idle-exit"], &script);
    offer(&node, &[2]);
    assert_eq!(
        node.skip_to("POST /v1/workers/", POLL).body["known"][0]["cancelling"],
        false
    );
    // Before that, it would die at once.
    wait_until("the command is ready", || ready.exists());
    node.cancel(&id(2));
    assert_eq!(
        node.skip_to("POST /v1/workers/", POLL).body["known"][0]["cancelling"],
        true
    );
    assert_eq!(ends(&node)[0]["outcome"], "cancelled");
    node.idle();
    assert_eq!(ended(child).code, Some(0));
}

#[test]
fn a_worker_that_is_asked_to_end_finishes_what_it_has_begun() {
    let node = FakeNode::new();
    let go = node.home.file("go");
    let script = format!(
        "echo begun; while [ ! -e {} ]; do sleep 0.01; done",
        go.display()
    );
    let child = work(&node, &[], &script);
    offer(&node, &[1]);
    node.skip_to("POST /v1/workers/", POLL);
    signal(&child, Signal::TERM);
    let poll = node.skip_to("POST /v1/workers/", POLL).body;
    assert_eq!(
        (&poll["free"], poll["known"].as_array().unwrap().len()),
        (&json!(0), 1)
    );
    // What comes all the same goes back.
    offer(&node, &[2]);
    let told = ends(&node);
    assert_eq!(
        (&told[0]["id"], &told[0]["outcome"]),
        (&json!(id(2)), &json!("returned"))
    );
    fs::write(&go, "").unwrap();
    assert_eq!(ends(&node)[0]["outcome"], "done");
    let ended = ended(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let last = node.skip_to("POST /v1/workers/", POLL).body;
    assert_eq!((&last["wait_ms"], &last["known"]), (&json!(0), &json!([])));
}

#[test]
fn a_worker_that_is_asked_twice_gives_its_jobs_back() {
    let node = FakeNode::new();
    let mut child = work(&node, &[], "trap '' TERM; while :; do sleep 0.05; done");
    let told = told_by(&mut child);
    offer(&node, &[1]);
    node.skip_to("POST /v1/workers/", POLL);
    signal(&child, Signal::INT);
    let first = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(first, "No more jobs; 1 still runs. Once more ends it.");
    // Signals that come shortly after one another mean the same.
    let mut second = String::new();
    wait_until("it hears the second one", || {
        signal(&child, Signal::INT);
        second = told.try_recv().unwrap_or_default();
        !second.is_empty()
    });
    assert_eq!(second, "1 job is being ended and given back.");
    // Not before it was ended by force.
    assert_eq!(ends(&node)[0]["outcome"], "returned");
    assert_eq!(ended(child).code, Some(0));
}

fn too_few_voters(node: &FakeNode) {
    node.send(&json!({"event": "no-quorum", "reachable": 1, "voters": 3, "needed": 2}));
}

#[test]
fn a_worker_without_a_majority_says_once_what_it_waits_for_and_waits_on() {
    let node = FakeNode::new();
    let child = spawn(&node, &["--idle-exit"], "cat");
    let hold = node.until_registered();
    too_few_voters(&node);
    too_few_voters(&node);
    // Time is what this is about: one that does not wait on gives up after one and a half sessions.
    std::thread::sleep(SESSION * 7 / 4);
    assert!(lives(&hold["pid"].to_string()), "it gave up");
    node.send(&json!({"event": "queued"}));
    node.grant(LONG);
    node.request("POST /v1/workers/");
    offer(&node, &[1]);
    assert_eq!(ends(&node)[0]["outcome"], "done");
    node.idle();
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "p1\n"));
    let told = "1 of 3 voters reachable, 2 needed; waiting\n";
    assert_eq!(ended.stderr, told);
}

#[test]
fn a_worker_that_waits_for_a_majority_ends_well_when_it_is_asked_to() {
    let node = FakeNode::new();
    let child = spawn(&node, &[], "cat");
    node.until_registered();
    too_few_voters(&node);
    signal(&child, Signal::INT);
    assert!(node.is_left(), "the wish is withdrawn");
    assert_eq!(ended(child).code, Some(0));
}

#[test]
fn nothing_is_told_of_jobs_that_end_because_the_lock_is_being_lost() {
    let node = FakeNode::new();
    let pid = node.home.file("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", pid.display());
    let child = work(&node, &[], &script);
    offer(&node, &[1]);
    let mut job = String::new();
    wait_until("the job begins", || {
        job = fs::read_to_string(&pid).unwrap_or_default();
        job.ends_with('\n')
    });
    node.state("stop", Some("not-renewed"), 1000);
    let ended = ended(child);
    assert_eq!(ended.code, Some(76), "{}", ended.stderr);
    assert!(!lives(job.trim()));
    let told = node.all_requests();
    assert!(told.iter().all(|request| !request.line.contains(ENDS)));
}

#[test]
fn a_node_that_is_away_for_a_moment_hears_of_the_end_later() {
    let node = FakeNode::new();
    let go = node.home.file("go");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done", go.display());
    let mut child = work(&node, &["--idle-exit", "-v"], &script);
    let told = told_by(&mut child);
    offer(&node, &[1]);
    node.skip_to("POST /v1/workers/", POLL);
    let socket = node.home.path().join("control.sock");
    let aside = node.home.path().join("aside.sock");
    fs::rename(&socket, &aside).unwrap();
    fs::write(&go, "").unwrap();
    let done = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(done, "3f2a3f2a-1 done");
    let failed = told.recv_timeout(PATIENCE).unwrap();
    assert!(failed.starts_with("error: "), "{failed}");
    fs::rename(&aside, &socket).unwrap();
    assert_eq!(ends(&node)[0]["outcome"], "done");
    node.idle();
    assert_eq!(ended(child).code, Some(0));
}

#[test]
fn a_worker_that_would_end_with_its_queue_says_once_that_it_is_paused() {
    let node = FakeNode::new();
    node.pause();
    let child = work(&node, &["--idle-exit"], "cat");
    let known = node.skip_to("POST /v1/workers/", POLL).body;
    assert_eq!(known["paused"], true);
    offer(&node, &[1]);
    assert_eq!(ends(&node)[0]["outcome"], "done");
    node.idle();
    let ended = ended(child);
    let told = "q is paused: this worker waits until “roda queue resume q”\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), told));
}

#[test]
fn for_programs_everything_is_a_line_of_json() {
    let node = FakeNode::new();
    let child = work(
        &node,
        &["--idle-exit", "--json"],
        "cat; echo oops >&2; exit 3",
    );
    offer(&node, &[1]);
    ends(&node);
    node.idle();
    let ended = ended(child);
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!((events[0], events[3]), ("started", "ended"));
    assert!(
        lines
            .iter()
            .any(|line| line["stream"] == "stderr" && line["text"] == "oops")
    );
    assert_eq!(
        (&lines[3]["outcome"], &lines[3]["code"]),
        (&json!("failed"), &json!(3))
    );
    assert_eq!(ended.stderr, "");
}
