//! A node that grants, stays silent or dies exactly when a test wants it to.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::roda::{Ended, Home};

/// What a wrapper asked for, in order.
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) body: Value,
}

/// The session time of all holds here.
pub(crate) const SESSION: Duration = Duration::from_millis(1000);
/// The name of the hold.
pub(crate) const HOLD_LEN: usize = 32;

/// A home whose control socket is answered by this test.
pub(crate) struct FakeNode {
    pub(crate) home: Home,
    pub(crate) hold: String,
    requests: Receiver<Request>,
    events: Arc<Mutex<Vec<UnixStream>>>,
    answers: Arc<Answers>,
}

/// What is answered besides holds.
#[derive(Default)]
struct Answers {
    /// By the beginning of the request's first line: a status, with headers, and a body.
    fixed: Mutex<Vec<(String, String, String)>>,
    work: Mutex<Work>,
    changed: Condvar,
}

/// What there is for a worker.
#[derive(Default)]
struct Work {
    /// How many questions there were.
    asked: u64,
    /// Jobs that wait.
    ready: Vec<Value>,
    /// Jobs whose end it has not told.
    given: Vec<Value>,
    /// Jobs that it should end.
    cancel: Vec<Value>,
    is_idle: bool,
    is_paused: bool,
}

impl FakeNode {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        std::fs::create_dir(home.path()).unwrap();
        let listener = UnixListener::bind(home.path().join("control.sock")).unwrap();
        let (sender, requests) = channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let mut hold = format!(
            "{:x}{:x}",
            std::process::id(),
            std::ptr::addr_of!(home) as usize
        );
        hold.push_str(&"0".repeat(HOLD_LEN.saturating_sub(hold.len())));
        let node = Self {
            home,
            hold: hold.clone(),
            requests,
            events: Arc::clone(&events),
            answers: Arc::default(),
        };
        let answers = Arc::clone(&node.answers);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, events, hold) = (sender.clone(), Arc::clone(&events), hold.clone());
                let answers = Arc::clone(&answers);
                std::thread::spawn(move || {
                    serve(stream.unwrap(), &sender, &events, &hold, &answers);
                });
            }
        });
        node
    }

    /// Runs `roda lock a -- sh -c SCRIPT`.
    pub(crate) fn lock(&self, options: &[&str], script: &str) -> Child {
        let mut command = self.home.command(&["--no-spawn", "lock", "a"]);
        command.args(options).args(["--", "sh", "-c", script]);
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    /// The next request whose first line starts so.
    #[track_caller]
    pub(crate) fn request(&self, start: &str) -> Request {
        let request = self.requests.recv_timeout(PATIENCE).unwrap();
        assert!(request.line.starts_with(start), "{}", request.line);
        request
    }

    /// The next request whose first line starts so, whatever comes before it.
    #[track_caller]
    pub(crate) fn skip_to(&self, start: &str, part: &str) -> Request {
        loop {
            let request = self.requests.recv_timeout(PATIENCE).unwrap();
            if request.line.starts_with(start) && request.line.contains(part) {
                return request;
            }
        }
    }

    /// The requests so far.
    pub(crate) fn all_requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }

    /// Answers requests whose first line starts so from now on.
    pub(crate) fn answer(&self, start: &str, status: u16, body: &str) {
        self.answer_as(start, format!("{status} X"), body);
    }

    /// The same, well and with a header.
    pub(crate) fn answer_with(&self, start: &str, header: &str, body: &str) {
        self.answer_as(start, format!("200 X\r\n{header}"), body);
    }

    fn answer_as(&self, start: &str, head: String, body: &str) {
        let mut fixed = self.answers.fixed.lock().unwrap();
        fixed.push((start.to_owned(), head, body.to_owned()));
    }

    /// Gives a worker jobs.
    pub(crate) fn offer(&self, jobs: Vec<Value>) {
        self.change_work(|work| work.ready.extend(jobs));
    }

    /// Wants a job ended.
    pub(crate) fn cancel(&self, id: &str) {
        self.change_work(|work| work.cancel.push(id.into()));
    }

    /// Says from now on that there is nothing left to do, once there is not.
    pub(crate) fn idle(&self) {
        self.change_work(|work| work.is_idle = true);
    }

    /// Says from now on that the queue is paused.
    pub(crate) fn pause(&self) {
        self.change_work(|work| work.is_paused = true);
    }

    fn change_work(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.answers.work.lock().unwrap());
        self.answers.changed.notify_all();
    }

    /// Whether nobody asked for anything.
    pub(crate) fn is_unknown(&self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// Lets a wrapper come to the point where it waits for the lock; what it registered.
    pub(crate) fn until_registered(&self) -> Value {
        self.request("POST /v1/holds ");
        self.request("POST /v1/holds/").body
    }

    /// Grants the lock for `millis`.
    pub(crate) fn grant(&self, millis: u64) {
        let mut event = lease(millis);
        event["event"] = "granted".into();
        event["fence"] = 77.into();
        self.send(&event);
    }

    /// Tells the state of the hold, which is sure for `millis`.
    pub(crate) fn state(&self, state: &str, reason: Option<&str>, millis: u64) {
        let mut event = lease(millis);
        event["event"] = "state".into();
        event["state"] = state.into();
        event["reason"] = reason.into();
        self.send(&event);
    }

    pub(crate) fn send(&self, event: &Value) {
        // In one piece: a reader that is stopped can take few pieces.
        let line = format!("{event}\n");
        for stream in &mut *self.events.lock().unwrap() {
            stream.write_all(line.as_bytes()).unwrap();
        }
    }

    /// Breaks the connection as a killed node does.
    pub(crate) fn die(&self) {
        std::fs::remove_file(self.home.path().join("control.sock")).unwrap();
        for stream in self.events.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// Forgets wrappers that have ended.
    pub(crate) fn events_forgotten(&self) {
        self.events.lock().unwrap().clear();
    }

    /// Whether the wrapper has ended its connection.
    pub(crate) fn is_left(&self) -> bool {
        let mut streams = self.events.lock().unwrap();
        let stream = streams.last_mut().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match stream.read(&mut [0]) {
            Ok(len) => len == 0,
            // It ended before it had read all that was said to it.
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn lease(millis: u64) -> Value {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now =
        u64::try_from(now.tv_sec).unwrap() * 1000 + u64::try_from(now.tv_nsec).unwrap() / 1_000_000;
    json!({"remaining_ms": millis, "until_ms": now + millis})
}

fn serve(
    stream: UnixStream,
    requests: &Sender<Request>,
    events: &Mutex<Vec<UnixStream>>,
    hold: &str,
    answers: &Answers,
) {
    let mut out = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
        let mut len = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if header == "\r\n" {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        let body = match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(_no_json) => String::from_utf8_lossy(&body).into_owned().into(),
        };
        let is_hold = line.starts_with("POST /v1/holds ");
        let turn = answers.supersede(&line);
        // Before the answer: whoever gets it asks for more, which must come second here.
        let line = std::mem::take(&mut line);
        let (asked, wish) = (line.clone(), Value::clone(&body));
        if requests.send(Request { line, body }).is_err() {
            return;
        }
        if is_hold {
            let event = json!({
                "event": "hold", "hold": hold, "session_ms": SESSION.as_millis(),
            });
            events.lock().unwrap().push(out.try_clone().unwrap());
            write!(out, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{event}\n").unwrap();
            return;
        }
        let (head, body) = answers.to(&asked, &wish, turn);
        let len = body.len();
        drop(write!(
            out,
            "HTTP/1.1 {head}\r\ncontent-length: {len}\r\n\r\n{body}"
        ));
    }
}

impl Answers {
    /// Like a node: whoever asks later has earlier questions answered.
    fn supersede(&self, line: &str) -> u64 {
        let mut work = self.work.lock().unwrap();
        if line.starts_with("POST /v1/workers/") && line.contains("/poll") {
            work.asked += 1;
            self.changed.notify_all();
        }
        work.asked
    }

    fn to(&self, line: &str, body: &Value, turn: u64) -> (String, String) {
        if line.starts_with("POST /v1/workers/") {
            let reply = self.to_worker(line, body, turn).to_string();
            return ("200 X".to_owned(), reply);
        }
        let fixed = self.fixed.lock().unwrap();
        let found = fixed
            .iter()
            .rev()
            .find(|(start, ..)| line.starts_with(start));
        match found {
            Some((_, head, body)) => (head.clone(), body.clone()),
            None => ("200 X".to_owned(), "{}".to_owned()),
        }
    }

    fn to_worker(&self, line: &str, body: &Value, turn: u64) -> Value {
        let mut work = self.work.lock().unwrap();
        if !line.contains("/poll") {
            let ended = body["ends"].as_array().unwrap();
            work.given
                .retain(|job| ended.iter().all(|end| end["id"] != job["id"]));
            return json!({});
        }
        loop {
            let reply = work.reply(body["known"].as_array().unwrap());
            let paused = body["paused"].clone();
            let is_empty =
                reply == json!({"jobs": [], "cancel": [], "idle": false, "paused": paused});
            if !is_empty || work.asked != turn || body["wait_ms"] == 0 {
                return reply;
            }
            work = self.changed.wait(work).unwrap();
        }
    }
}

impl Work {
    /// Also what was given before and never arrived.
    fn reply(&mut self, known: &[Value]) -> Value {
        self.given.append(&mut self.ready);
        let is_known = |id: &Value| known.iter().any(|attempt| attempt["id"] == *id);
        let is_cancelling = |id: &Value| {
            known
                .iter()
                .any(|known| known["id"] == *id && known["cancelling"] == true)
        };
        let jobs: Vec<&Value> = self
            .given
            .iter()
            .filter(|job| !is_known(&job["id"]))
            .collect();
        let cancel = self
            .cancel
            .iter()
            .filter(|id| is_known(id) && !is_cancelling(id));
        json!({
            "jobs": jobs,
            "cancel": cancel.collect::<Vec<_>>(),
            "idle": self.is_idle && self.given.is_empty(),
            "paused": self.is_paused,
        })
    }
}

/// How a wrapper ended.
pub(crate) fn ended(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

const PATIENCE: Duration = Duration::from_secs(30);
