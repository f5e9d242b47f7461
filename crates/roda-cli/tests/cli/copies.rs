//! `roda push` that waits for others, and recurring jobs, beside a node that answers what the test wants;
//! and both with real nodes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake_node::{FakeNode, ended};
use crate::roda::Home;
use crate::wrapper::wait_until;

const ID: &str = "3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a-7";

/// A node of a group of three that stores job 7, and answers so about its copies.
fn node(copies: u32) -> FakeNode {
    let node = FakeNode::new();
    let pushed = json!({"jobs": [{"id": ID, "queue": "mail", "new": true}]});
    node.answer("POST /v1/queues/mail/jobs", 200, &pushed.to_string());
    let member = json!({"node": "ab", "nick": "ana", "presence": "online"});
    node.answer(
        "GET /v1/members",
        200,
        &json!([member, member, member]).to_string(),
    );
    let told = json!({"id": ID, "copies": copies, "wanted": 2, "members": 3});
    let path = format!("GET /v1/jobs/{ID}/copies?at_least=");
    node.answer(&path, 200, &format!("{told}\n"));
    node
}

#[test]
fn a_push_ends_when_enough_members_have_it() {
    let enough = node(2);
    let pushed = enough
        .home
        .ok(&["push", "mail", "x", "--copies", "majority"]);
    assert_eq!(pushed, format!("{ID}\n"));
    enough.request("POST /v1/queues/mail/jobs");
    let asked = enough.request("GET /v1/jobs/").line;
    assert!(asked.contains("/copies?at_least=majority "), "{asked}");

    let local = node(1);
    local.home.ok(&["push", "mail", "x"]);
    local.home.ok(&["push", "mail", "x", "--copies", "local"]);
    let all = local.all_requests();
    assert!(!all.iter().any(|request| request.line.contains("/copies")));
}

#[test]
fn a_push_that_too_few_have_in_time_says_that_it_is_stored() {
    let node = node(1);
    let push = ["push", "mail", "x", "--copies", "2", "--wait", "0ms"];
    let ended = node.home.run(&push);
    assert_eq!(
        (ended.code, ended.stdout),
        (Some(75), format!("{ID}\n")),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.starts_with(
            "error: not in time on 2 members: 1 of 3 have it\nhint: the job is stored"
        ),
        "{}",
        ended.stderr
    );
    let ended = node.home.run(&[&push[..], &["--json"]].concat());
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["code"], "job-copies-timeout", "{error}");
    assert_eq!(error["error"]["values"]["copies"], 1);
}

#[test]
fn what_the_group_is_too_small_for_is_not_stored() {
    let node = node(1);
    let ended = node.home.run(&["push", "mail", "x", "--copies", "4"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .starts_with("error: 4 members cannot have it: the group has 3"),
        "{}",
        ended.stderr
    );
    let all = node.all_requests();
    assert!(!all.iter().any(|request| request.line.starts_with("POST")));
}

#[test]
fn who_ends_the_wait_is_told_that_the_job_is_stored() {
    let alone = Home::new();
    alone.create("ana");
    let other = Home::new();
    other.join(&alone, "bia");
    let id = alone.ok(&["push", "mail", "x", "--copies", "2", "--wait", "20s"]);
    assert!(other.ok(&["jobs", "mail", "--json"]).contains(id.trim()));
    other.ok(&["down"]);
    let mut command = alone.command(&["push", "mail", "y", "--copies", "2"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The id is there although nobody else has the job.
    let mut id = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut id)
        .unwrap();
    assert!(alone.ok(&["jobs", "mail", "--json"]).contains(id.trim()));
    // Before it waits, the signal ends it without a word; so it waits for sure.
    wait_until("it waits", || takes_interrupts(&child));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = ended(child);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .starts_with("error: not yet on 2 members: 1 of 2 have it\nhint: the job is stored"),
        "{}",
        ended.stderr
    );
}

/// Whether the process has something of its own to do at SIGINT.
fn takes_interrupts(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let mut lines = status.lines();
    let caught = lines.find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

#[test]
fn the_wait_for_a_recurring_job_ends_with_its_round() {
    let job = |rounds: u32, last: Value| {
        let mut job = json!({
            "id": ID, "queue": "mail", "state": "waiting", "pushed": "2026-05-04T03:02:01.123Z",
            "priority": 4, "tries": 0, "max_tries": 5, "attempts": 1, "generation": 0,
            "on_crash": "resume", "cron": "0 * * * *", "rounds": rounds,
            "not_before": "2026-05-04T04:00:00.000Z",
        });
        if !last.is_null() {
            job["last_round"] = last;
        }
        job.to_string() + "\n"
    };
    let end = |state: &str, code: i32| json!({"ended": "2026-05-04T03:02:02.123Z", "state": state, "code": code});
    for (last, code, error) in [
        (end("done", 0), 0, ""),
        (
            end("dead", 3),
            1,
            "error: this round of job 3f2a3f2a-7 is dead: it failed too often, at last with exit code 3",
        ),
    ] {
        let node = FakeNode::new();
        let body = job(4, end("done", 0)) + &job(5, last);
        node.answer(&format!("GET /v1/jobs/{ID}/wait"), 200, &body);
        let ended = node.home.run(&["job", "wait", ID]);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.starts_with(error), "{}", ended.stderr);
    }
    let node = FakeNode::new();
    node.answer(
        &format!("GET /v1/jobs/{ID}/wait"),
        200,
        &job(4, end("done", 0)),
    );
    let ended = node.home.run(&["job", "wait", ID, "--timeout", "0ms"]);
    assert_eq!(ended.code, Some(75), "an earlier round does not count");
}

#[test]
fn a_recurring_job_waits_for_its_time_and_is_seen_and_ended() {
    let home = Home::new();
    home.create("ana");
    let push = ["push", "mail", "x", "--key", "nightly", "--cron", "@daily"];
    let id = home.ok(&push);
    assert_eq!(home.ok(&push), id, "the same key and times");
    let id = id.trim();
    let shown = home.ok(&["job", "show", id]);
    assert!(
        shown.contains("\nComes (UTC)    0 0 * * *\nRounds         0\n"),
        "{shown}"
    );
    let job: Value = serde_json::from_str(&home.ok(&["job", "show", id, "--json"])).unwrap();
    assert_eq!(
        (&job["state"], &job["cron"], &job["rounds"]),
        (&json!("waiting"), &json!("0 0 * * *"), &json!(0))
    );
    let next = job["not_before"].as_str().unwrap();
    assert!(next.ends_with("T00:00:00.000Z"), "{next}");
    let listed = home.ok(&["jobs", "mail"]);
    assert!(listed.contains("waiting until "), "{listed}");
    assert!(listed.contains(" 00:00:00, rounds: 0"), "{listed}");
    home.ok(&["job", "cancel", id]);
    let ended = home.run(&["job", "wait", id]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}
