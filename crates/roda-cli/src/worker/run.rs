//! The worker's loop: one thread, everything that happens one after the other.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rustix::process::{Signal, WaitOptions, set_child_subreaper};
use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Plan;
use super::asking::Asking;
use super::job::{End, Job, Why, outcome};
use super::leftovers::Roots;
use super::link::{Answer, Fault, Link, POLL_MAX};
use super::lost::{LockState, LockWatch};
use super::output::{Form, Printer};
use super::start::{start, told};
use super::tell;
use crate::api::blob::Blob;
use crate::api::job_types::OnCrashReply;
use crate::api::work_types::{
    ClaimedReply, EndedAttempt, EndsRequest, KnownAttempt, OutcomeRequest, PollReply, PollRequest,
};
use crate::commands::App;
use crate::error::{Exit, Failure, Result};
use crate::output::words;
use crate::wrapper::Signals;

/// A worker with its jobs.
pub(super) struct Worker<'a> {
    app: &'a App,
    plan: Plan,
    link: Link,
    watch: LockWatch,
    signals: Signals,
    child_ended: Incoming,
    printer: Printer,
    printed: mpsc::Receiver<()>,
    roots: Roots,
    /// All attempts from the claim until the node knows how they ended.
    known: BTreeMap<String, KnownAttempt>,
    /// Claimed, for want of a slot not begun.
    backlog: VecDeque<ClaimedReply>,
    running: BTreeMap<i32, Job>,
    finishing: JoinSet<EndedAttempt>,
    /// Not told yet.
    ends: Vec<EndedAttempt>,
    poll: Asking<PollReply>,
    report: Asking<()>,
    /// Being told.
    reporting: Vec<EndedAttempt>,
    has_told_of_pause: bool,
    /// When the first signal came: no more jobs.
    draining_since: Option<Instant>,
    failure: Option<Failure>,
}

/// How the loop ends.
enum Over {
    /// All that was begun has been told.
    Drained,
    /// Nothing may be told any more.
    Lost,
}

impl<'a> Worker<'a> {
    /// Without a job yet.
    pub(super) fn new(app: &'a App, plan: Plan) -> Result<Self> {
        let fault =
            |error: std::io::Error| Failure::new("runtime").with("reason", error.to_string());
        // Orphans of a job come to this process, so that it sees when nothing of it is left.
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|errno| fault(errno.into()))?;
        let mut signals = Signals::new();
        signals.listen(&[Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT])?;
        let form = match (app.ui.json, app.global.verbose) {
            (true, _) => Form::Json,
            (false, 0) => Form::Raw,
            (false, _) => Form::Named,
        };
        let (printer, printed) = Printer::start(form);
        Ok(Self {
            link: Link::new(app.home.socket(), plan.worker.clone()),
            watch: LockWatch::new()?,
            signals,
            child_ended: signal(SignalKind::child()).map_err(fault)?,
            printer,
            printed,
            roots: Roots::default(),
            known: BTreeMap::new(),
            backlog: VecDeque::new(),
            running: BTreeMap::new(),
            finishing: JoinSet::new(),
            ends: Vec::new(),
            poll: Asking::Idle(None),
            report: Asking::Idle(None),
            reporting: Vec::new(),
            has_told_of_pause: false,
            draining_since: None,
            failure: None,
            app,
            plan,
        })
    }

    /// Works until it is told to end, the queue has nothing left, or the lock is lost.
    pub(super) async fn until_end(mut self) -> Result<Exit> {
        let over = self.work().await;
        let exit = match over {
            Over::Drained => {
                self.poll.withdraw();
                // What was claimed but never arrived here goes back at once.
                drop(timeout(GIVE_BACK_MAX, self.give_back()).await);
                Exit::Done
            }
            Over::Lost => self.until_nothing_runs().await,
        };
        let Self {
            printer,
            mut printed,
            failure,
            ..
        } = self;
        drop(printer);
        drop(timeout(PRINT_MAX, printed.recv()).await);
        match failure {
            Some(failure) if exit == Exit::Done => Err(failure),
            _ => Ok(exit),
        }
    }

    async fn work(&mut self) -> Over {
        loop {
            self.reap();
            // Read here, before anything is told: a command that the wrapper has ended because the lock is
            // being lost has not failed.
            if matches!(self.watch.now(), LockState::Lost | LockState::Alone) {
                return Over::Lost;
            }
            self.begin_backlog();
            let now = Instant::now();
            for job in self.running.values_mut() {
                if job.on_time(now) {
                    tell::timed_out(self.app, job, self.plan.timeout);
                }
            }
            self.tell_ends();
            self.ask();
            if self.draining_since.is_some() && self.known.is_empty() {
                return Over::Drained;
            }
            let moment = self.next_moment();
            tokio::select! {
                biased;
                _state = self.watch.changed() => {}
                signal = self.signals.next() => self.on_signal(signal),
                _ = self.child_ended.recv() => {}
                Some(end) = self.finishing.join_next() => {
                    // A task that panicked leaves its attempt to be found lost.
                    if let Ok(end) = end {
                        self.on_end(end);
                    }
                }
                answer = self.report.answer() => if self.on_report(answer) {
                    return Over::Lost;
                },
                answer = self.poll.answer() => if self.on_poll(answer) {
                    return Over::Lost;
                },
                () = sleep_until(moment) => {}
            }
        }
    }

    fn next_moment(&self) -> Instant {
        let jobs = self.running.values().filter_map(Job::next_moment);
        let asking = [self.poll.next_moment(), self.report.next_moment()];
        let moments = jobs.chain(asking.into_iter().flatten());
        moments.min().unwrap_or_else(|| Instant::now() + POLL_MAX)
    }

    /// Takes note of everything that has ended, orphans too.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let Some(job) = self.running.remove(&pid.as_raw_pid()) {
                self.roots.remove(pid.as_raw_pid());
                self.finishing.spawn(job.finish(status, self.roots.clone()));
            }
        }
    }

    fn begin_backlog(&mut self) {
        while self.known.len() - self.backlog.len() < self.plan.slots {
            let Some(claimed) = self.backlog.pop_front() else {
                return;
            };
            self.begin(&claimed);
        }
    }

    fn begin(&mut self, claimed: &ClaimedReply) {
        let queue = self.plan.queue.as_str();
        let command = &self.plan.command;
        match start(command, self.app.home.path(), queue, claimed, &self.printer) {
            Ok(started) => {
                self.roots.add(started.root);
                let pid = started.root.pid;
                let job = Job::new(claimed, started, self.plan.timeout);
                self.running.insert(pid, job);
            }
            Err(failure) => {
                self.app.ui.failure(&failure);
                let code = i32::from(match failure.exit() {
                    Exit::Failed => Exit::NotStarted.code(),
                    other => other.code(),
                });
                let (message, _hint) = words(self.app.ui.catalogue(), &failure);
                self.on_end(EndedAttempt {
                    id: claimed.id.clone(),
                    attempt: claimed.attempt,
                    // It never began, so nothing was cut off.
                    outcome: outcome(End::Exited(code), None, claimed.tries, OnCrashReply::Resume),
                    millis: 0,
                    output: Blob::from(message.into_bytes()),
                });
            }
        }
    }

    fn on_end(&mut self, end: EndedAttempt) {
        tell::ended(self.app, &self.printer, &end);
        self.ends.push(end);
    }

    /// Tells the node how attempts ended, as many as there are by now.
    fn tell_ends(&mut self) {
        if !self.report.is_due() {
            return;
        }
        let room = ENDS_MAX.saturating_sub(self.reporting.len());
        let more = self.ends.len().min(room);
        self.reporting.extend(self.ends.drain(..more));
        if self.reporting.is_empty() {
            return;
        }
        self.report.ask(self.link.clone().ends(EndsRequest {
            fence: self.plan.fence,
            queue: self.plan.queue.to_string(),
            ends: self.reporting.clone(),
        }));
    }

    /// Asks the node what there is to do. Without a free slot: which jobs are to be cancelled.
    fn ask(&mut self) {
        let is_draining = self.draining_since.is_some();
        if !self.poll.is_due() || (is_draining && self.known.is_empty()) {
            return;
        }
        let free = if is_draining {
            0
        } else {
            self.plan.slots.saturating_sub(self.known.len())
        };
        self.poll.ask(self.link.clone().poll(PollRequest {
            fence: self.plan.fence,
            queue: self.plan.queue.to_string(),
            free,
            known: self.known.values().cloned().collect(),
            wait_ms: u64::try_from(POLL_MAX.as_millis()).unwrap_or(0),
            until_idle: self.plan.is_until_idle && !is_draining,
            paused: self.has_told_of_pause,
        }));
    }

    /// True if the lock is lost.
    fn on_poll(&mut self, answer: Answer<PollReply>) -> bool {
        let reply = match answer {
            Ok(reply) => reply,
            Err(fault) => return self.on_fault(fault),
        };
        for claimed in reply.jobs {
            self.take(claimed);
        }
        for id in &reply.cancel {
            self.cancel(id);
        }
        let is_waiting = self.plan.is_until_idle && !reply.idle;
        if reply.paused && is_waiting && !std::mem::replace(&mut self.has_told_of_pause, true) {
            tell::paused(self.app, self.plan.queue.as_str());
        }
        if reply.idle && self.plan.is_until_idle && self.known.is_empty() {
            self.draining_since.get_or_insert_with(Instant::now);
        }
        false
    }

    fn take(&mut self, claimed: ClaimedReply) {
        let known = KnownAttempt {
            id: claimed.id.clone(),
            attempt: claimed.attempt,
            cancelling: false,
        };
        if self.known.contains_key(&claimed.id) {
            return;
        }
        self.known.insert(claimed.id.clone(), known);
        if self.draining_since.is_some() {
            self.ends.push(returned(claimed, OutcomeRequest::Returned));
        } else {
            self.printer.tell(&told(&claimed));
            self.backlog.push_back(claimed);
        }
    }

    fn cancel(&mut self, id: &str) {
        let Some(known) = self.known.get_mut(id) else {
            return;
        };
        known.cancelling = true;
        if let Some(job) = self.running.values_mut().find(|job| job.id() == id) {
            job.stop(Why::Cancel);
        }
        let place = self.backlog.iter().position(|job| job.id == id);
        if let Some(claimed) = place.and_then(|at| self.backlog.remove(at)) {
            self.on_end(returned(claimed, OutcomeRequest::Cancelled));
        }
    }

    /// True if the lock is lost.
    fn on_report(&mut self, answer: Answer<()>) -> bool {
        match answer {
            Ok(()) => {}
            Err(Fault::Final(failure)) => {
                // The same again would fail the same way. Without its end an attempt counts as lost.
                self.on_fault(Fault::Final(failure));
            }
            Err(fault) => return self.on_fault(fault),
        }
        for end in self.reporting.drain(..) {
            self.known.remove(&end.id);
        }
        // There is room now, of which a question under way does not know; it may come to the node after the
        // ends did. What its answer would have brought, the next one brings again.
        self.poll.withdraw();
        false
    }

    /// True if the lock is lost.
    fn on_fault(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Lost => {
                for job in self.running.values_mut() {
                    job.kill();
                }
                true
            }
            Fault::Passing(failure) => {
                if self.app.global.verbose > 0 {
                    self.app.ui.failure(&failure);
                }
                false
            }
            Fault::Final(failure) => {
                self.failure.get_or_insert(failure);
                self.drain();
                false
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match self.draining_since {
            None => {
                self.drain();
                // Those that have not begun have just been given back.
                tell::draining(self.app, self.running.len());
            }
            // A service manager may send the same signal to every process, and the wrapper passes its own on.
            Some(since) if since.elapsed() < ONE_SIGNAL && signal != Signal::QUIT => return,
            Some(_) => self.stop_all(),
        }
        if signal == Signal::QUIT {
            self.stop_all();
        }
    }

    /// No more jobs: those that have not begun go back.
    fn drain(&mut self) {
        if self.draining_since.is_some() {
            return;
        }
        self.draining_since = Some(Instant::now());
        // The next question, without a free slot, makes the node answer this one.
        self.poll.withdraw();
        for claimed in std::mem::take(&mut self.backlog) {
            self.on_end(returned(claimed, OutcomeRequest::Returned));
        }
    }

    fn stop_all(&mut self) {
        tell::giving_back(self.app, self.running.len());
        for job in self.running.values_mut() {
            job.stop(Why::Return);
        }
    }

    /// Asks once more which jobs are this worker's by the log, and gives back those it never got.
    async fn give_back(&self) {
        let request = PollRequest {
            fence: self.plan.fence,
            queue: self.plan.queue.to_string(),
            ..PollRequest::default()
        };
        let Ok(reply) = self.link.clone().poll(request).await else {
            return;
        };
        let jobs = reply.jobs.into_iter();
        let ends: Vec<_> = jobs
            .map(|job| returned(job, OutcomeRequest::Returned))
            .collect();
        if ends.is_empty() {
            return;
        }
        // Whatever cannot be told is found lost.
        drop(
            self.link
                .clone()
                .ends(EndsRequest {
                    fence: self.plan.fence,
                    queue: self.plan.queue.to_string(),
                    ends,
                })
                .await,
        );
    }

    /// The lock is being lost. The wrapper has asked everything to end and kills what does not; without a
    /// wrapper, this process does.
    async fn until_nothing_runs(&mut self) -> Exit {
        self.poll.withdraw();
        self.report.withdraw();
        loop {
            self.reap();
            if self.watch.now() == LockState::Alone {
                for job in self.running.values_mut() {
                    job.kill();
                }
            }
            if self.running.is_empty() && self.finishing.is_empty() {
                return Exit::Lost;
            }
            tokio::select! {
                _ = self.child_ended.recv() => {}
                _state = self.watch.changed() => {}
                Some(_end) = self.finishing.join_next() => {}
            }
        }
    }
}

fn returned(claimed: ClaimedReply, outcome: OutcomeRequest) -> EndedAttempt {
    EndedAttempt {
        id: claimed.id,
        attempt: claimed.attempt,
        outcome,
        millis: 0,
        output: Blob::default(),
    }
}

/// Signals that come so shortly after one another mean the same.
const ONE_SIGNAL: Duration = Duration::from_millis(300);
/// Ends of one request: with 8 KiB of output each, far below what the node takes.
const ENDS_MAX: usize = 256;
/// How long a worker that ends tries to give back what it never got.
const GIVE_BACK_MAX: Duration = Duration::from_secs(2);
/// How long it waits for a slow reader of its output.
const PRINT_MAX: Duration = Duration::from_secs(5);
