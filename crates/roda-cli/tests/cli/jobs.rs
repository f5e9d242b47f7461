//! Commands about jobs beside a node that answers what the test wants.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fake_node::FakeNode;

fn id(number: u64) -> String {
    format!("{}-{number}", "3f2a".repeat(8))
}

fn job(number: u64, state: &str) -> Value {
    json!({
        "id": id(number), "queue": "mail", "state": state, "pushed": "2026-05-04T03:02:01.123Z",
        "priority": 4, "tries": 1, "max_tries": 5, "attempts": 1, "generation": 0,
        "on_crash": "resume", "code": 3,
    })
}

fn pushed(numbers: &[u64]) -> String {
    let jobs = numbers
        .iter()
        .map(|number| json!({"id": id(*number), "queue": "mail", "new": true}));
    json!({"jobs": jobs.collect::<Vec<_>>()}).to_string()
}

#[test]
fn a_payload_comes_from_the_argument_or_from_standard_input() {
    let node = FakeNode::new();
    node.answer("POST /v1/queues/mail/jobs", 200, &pushed(&[7]));
    let arguments = [
        "push",
        "mail",
        "olá",
        "--key",
        "k",
        "--delay",
        "2s",
        "--priority",
        "9",
    ];
    assert_eq!(node.home.ok(&arguments), format!("{}\n", id(7)));
    let expected = json!({"jobs": [{
        "payload": "olá", "key": "k", "delay_ms": 2000, "priority": 9, "on_crash": "resume",
    }]});
    assert_eq!(node.request("POST /v1/queues/mail/jobs").body, expected);

    let ended = node
        .home
        .run_with_input(&["push", "mail", "--json"], b"\xff\n");
    assert_eq!(ended.code, Some(0));
    let line: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(line, json!({"id": id(7), "queue": "mail", "new": true}));
    let body = node.request("POST /v1/queues/mail/jobs").body;
    assert_eq!(body["jobs"][0]["payload"], json!({"hex": "ff0a"}));
}

#[test]
fn lines_and_parts_become_jobs_of_their_own() {
    let node = FakeNode::new();
    node.answer("POST /v1/queues/mail/jobs", 200, &pushed(&[7, 8]));
    let ended = node.home.run_with_input(
        &["push", "mail", "--lines", "--max-tries", "2"],
        b"a\n\nb\n",
    );
    assert_eq!(ended.stdout, format!("{}\n{}\n", id(7), id(8)));
    let jobs = node.request("POST /v1/queues/mail/jobs").body["jobs"].clone();
    assert_eq!(
        (&jobs[0]["payload"], &jobs[1]["payload"]),
        (&json!("a"), &json!("b"))
    );
    assert_eq!(jobs[1]["max_tries"], 2);

    node.home
        .run_with_input(&["push", "mail", "-0"], b"a\nb\0c\0");
    let jobs = node.request("POST /v1/queues/mail/jobs").body["jobs"].clone();
    assert_eq!(jobs[0]["payload"], "a\nb");

    let lines =
        b"{\"payload\":\"x\",\"order_key\":\"o\"}\n{\"payload\":\"y\",\"delay\":\"soon\"}\n";
    let ended = node
        .home
        .run_with_input(&["push", "mail", "--lines", "--json"], lines);
    let jobs = node.request("POST /v1/queues/mail/jobs").body["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "the good one is stored");
    assert_eq!(jobs[0]["order_key"], "o");
    assert_eq!(ended.code, Some(1));
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["code"], "job-line-json");
    assert_eq!(error["error"]["values"]["line"], 2);
    assert_eq!(error["error"]["values"]["stored"], 1);
}

#[test]
fn waiting_tells_by_the_exit_code_how_a_job_ended() {
    let node = FakeNode::new();
    for (number, states, code, error) in [
        (1, &["waiting", "running", "done"][..], 0, ""),
        (
            2,
            &["dead"],
            1,
            "error: job 3f2a3f2a-2 is dead: it failed too often, at last with exit code 3",
        ),
        (
            3,
            &["running", "cancelled"],
            1,
            "error: job 3f2a3f2a-3 was cancelled",
        ),
    ] {
        let lines: Vec<String> = states
            .iter()
            .map(|state| job(number, state).to_string())
            .collect();
        let path = format!("GET /v1/jobs/3f2a-{number}/wait");
        node.answer(&path, 200, &format!("{}\n", lines.join("\n")));
        let ended = node.home.run(&["job", "wait", &format!("3f2a-{number}")]);
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert_eq!((ended.code, first), (Some(code), error));
    }
    let waiting = format!("{0}\n{0}\n", job(4, "held"));
    node.answer("GET /v1/jobs/3f2a-4/wait?timeout_ms=", 200, &waiting);
    let ended = node
        .home
        .run(&["job", "wait", "3f2a-1", "3f2a-4", "--timeout", "0s"]);
    assert_eq!(ended.code, Some(75));
    assert_eq!(ended.stdout, "3f2a3f2a-1: done\n");
    let told = "3f2a3f2a-4 is held: it waits for “roda job retry” or “roda job cancel”\n\
                error: job 3f2a3f2a-4 has not ended in time: it is held\n";
    assert!(ended.stderr.starts_with(told), "{}", ended.stderr);
}

#[test]
fn a_job_that_counts_elsewhere_is_waited_for_there() {
    let node = FakeNode::new();
    let mut duplicate = job(5, "duplicate");
    duplicate["duplicate_of"] = id(6).into();
    node.answer("GET /v1/jobs/3f2a-5/wait", 200, &format!("{duplicate}\n"));
    let path = format!("GET /v1/jobs/{}/wait", id(6));
    node.answer(&path, 200, &format!("{}\n", job(6, "done")));
    assert_eq!(
        node.home.ok(&["job", "wait", "3f2a-5"]),
        "3f2a3f2a-6: done\n"
    );
}

#[test]
fn what_the_node_says_of_an_id_is_told() {
    let node = FakeNode::new();
    for (code, status, error) in [
        ("ambiguous-job", 409, "error: “3f2a-1” fits several jobs"),
        ("unknown-job", 404, "error: there is no job “3f2a-1”"),
    ] {
        let body = json!({"error": {"code": code, "args": {"job": "3f2a-1"}, "message": "m"}});
        node.answer("GET /v1/jobs/3f2a-1", status, &body.to_string());
        let ended = node.home.run(&["job", "show", "3f2a-1"]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.starts_with(error), "{}", ended.stderr);
    }
}

#[test]
fn the_log_of_a_job_is_that_of_the_last_attempt_that_printed() {
    let node = FakeNode::new();
    let attempt = |number: u64, output: Option<&str>| {
        let mut attempt = json!({
            "attempt": format!("7-{number}"), "worker": "ab", "started": "2026-05-04T03:02:02.000Z",
            "node": {"node": "ab", "nick": "ana"}, "outcome": "failed", "code": 3,
        });
        if let Some(output) = output {
            attempt["output"] = output.into();
        }
        attempt
    };
    let mut detail = job(1, "dead");
    detail["payload"] = "x".into();
    detail["tried"] = json!([
        attempt(1, Some("first\n")),
        attempt(2, Some("second\n")),
        attempt(3, None)
    ]);
    node.answer("GET /v1/jobs/3f2a-1", 200, &detail.to_string());
    assert_eq!(node.home.ok(&["job", "log", "3f2a-1"]), "second\n");
    assert_eq!(
        node.home.ok(&["job", "log", "3f2a-1", "--attempt", "1"]),
        "first\n"
    );
    let ended = node.home.run(&["job", "log", "3f2a-1", "--attempt", "9"]);
    assert!(
        ended
            .stderr
            .starts_with("error: job 3f2a3f2a-1 has no attempt 9; it has had 3")
    );
}

#[test]
fn a_checkpoint_goes_with_its_attempt_and_comes_back() {
    let node = FakeNode::new();
    let inside = |arguments: &[&str]| {
        let mut command = node.home.command(arguments);
        command.env("RODA_JOB_ID", id(1)).env("RODA_ATTEMPT", "7-2");
        command
    };
    let saving = inside(&["checkpoint", "save", "--done", "3", "--total", "9"])
        .stdin(Stdio::piped())
        .spawn();
    let mut saving = saving.unwrap();
    saving.stdin.take().unwrap().write_all(b"line 3").unwrap();
    assert_eq!(saving.wait().unwrap().code(), Some(0));
    let path = format!("/v1/jobs/{}/checkpoint", id(1));
    let asked = format!("PUT {path}?attempt=7-2&done=3&total=9");
    assert_eq!(node.request(&asked).body, "line 3");
    let from = format!("GET {path}/state");
    for (skipped, state, warning) in [
        (0, "line 3", ""),
        (1, "line 2", "warning: newer checkpoints that are damaged"),
        (2, "", "warning: no checkpoint is left: 2 are damaged"),
        (0, "", ""),
    ] {
        node.answer_with(&from, &format!("roda-skipped: {skipped}"), state);
        let loaded = inside(&["checkpoint", "load"]).output().unwrap();
        assert_eq!(String::from_utf8(loaded.stdout).unwrap(), state);
        let said = String::from_utf8(loaded.stderr).unwrap();
        assert!(said.starts_with(warning), "{said}");
        assert_eq!(said.is_empty(), warning.is_empty(), "{said}");
    }
    let reply = json!({"id": id(1), "checkpoint": null, "skipped": 2});
    node.answer(&format!("GET {path} "), 200, &reply.to_string());
    let loaded = inside(&["checkpoint", "load", "--json"]).output().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&loaded.stdout).unwrap(),
        reply
    );
}

#[test]
fn a_checkpoint_that_is_too_long_is_not_sent() {
    let node = FakeNode::new();
    let mut save = node.home.command(&["checkpoint", "save"]);
    save.env("RODA_JOB_ID", id(1)).env("RODA_ATTEMPT", "7-2");
    let saving = save.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut saving = saving.unwrap();
    let longer = vec![b'x'; 16 * 1024 * 1024 + 1];
    saving.stdin.take().unwrap().write_all(&longer).unwrap();
    let ended = saving.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    let error =
        "error: a checkpoint has at most 16777216 bytes, this one has more\nhint: put the data";
    assert!(said.starts_with(error), "{said}");
    assert!(node.is_unknown());
}
