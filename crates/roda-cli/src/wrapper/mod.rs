//! `roda lock NAMES -- CMD`: runs a command while this node holds locks.
//!
//! Three watch over the command, each able to end it alone: the node, which kills it when this wrapper
//! dies or is stopped; the wrapper, which kills it by its own clock when the node dies or is stopped;
//! and the kernel, which kills the command's first process together with the wrapper.

mod child;
mod lease;
mod link;
mod program;
mod running;
mod signals;

use std::ffi::OsString;
use std::io::{IsTerminal as _, PipeReader, PipeWriter};
use std::time::Duration;

use roda::Timings;
use rustix::process::Signal;
use tokio::time::{Instant, sleep_until};

use self::child::{Child, Plan};
use self::lease::Lease;
use self::link::Link;
use self::running::Running;
use crate::api::lock_types::{HoldEvent, HoldRequest};
use crate::commands::App;
use crate::error::{Exit, Failure, Result};
use crate::tree::HOLD_VARIABLE;

pub(crate) use child::{exec, markers};
pub(crate) use program::{OWN_PROGRAM, check, start_failure};
pub(crate) use signals::Signals;

/// What to run under which locks.
pub(crate) struct Wish {
    /// The locks and how to get them.
    pub(crate) request: HoldRequest,
    /// The command with its arguments.
    pub(crate) command: Vec<OsString>,
    /// Who wants it.
    pub(crate) wisher: Wisher,
}

/// Who wants a command to run under locks: what happens before the locks are there depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wisher {
    /// Somebody who waits for the command. Without a majority of the voters for too long it is not started.
    Caller,
    /// A worker, whose lock nobody else wants. What starts it at boot cannot know when the others are up, so
    /// it waits for a majority; asked to end meanwhile it has nothing to finish.
    Worker,
}

/// Gets the locks, runs the command and lets them go; how the command ended.
///
/// The command inherits the reading end of `pipe`.
///
/// # Errors
/// The command was not started.
pub(crate) async fn run(
    app: &App,
    mut wish: Wish,
    pipe: Option<(PipeReader, PipeWriter)>,
) -> Result<Exit> {
    let Some(program) = wish.command.first() else {
        return Err(Failure::new("command-not-found").with("command", ""));
    };
    check(program)?;
    let mut signals = Signals::new();
    signals.listen(&signals::ENDING)?;
    wish.request.inside = outer_holds();
    let mut link = tokio::select! {
        link = Link::open(app, &wish.request) => link?,
        signal = signals.next() => return Ok(ended_by(wish.wisher, signal)),
    };
    let mut child = Child::start(plan(app, &wish, &link), pipe)?;
    let granted = tokio::select! {
        granted = wait(app, &wish, &mut link, &child) => granted?,
        signal = signals.next() => return Ok(ended_by(wish.wisher, signal)),
    };
    signals.listen(&signals::RUNNING[..running_signals(&child)])?;
    child.go(granted.fence);
    Running::new(app, link, child, signals, granted.lease)?
        .until_end()
        .await
}

/// Ctrl-Z on a terminal reaches the command by itself, and should stop this process as it does others.
fn running_signals(child: &Child) -> usize {
    let all = signals::RUNNING.len();
    if child.tree.has_own_group {
        all
    } else {
        all - 1
    }
}

fn outer_holds() -> Vec<String> {
    let outer = std::env::var(HOLD_VARIABLE).unwrap_or_default();
    let outer = outer.split(',').filter(|hold| !hold.is_empty());
    outer.map(ToOwned::to_owned).collect()
}

fn ended_by(wisher: Wisher, signal: Signal) -> Exit {
    match wisher {
        Wisher::Caller => Exit::Signal(u8::try_from(signal.as_raw()).unwrap_or(0)),
        Wisher::Worker => Exit::Done,
    }
}

fn plan<'a>(app: &App, wish: &'a Wish, link: &'a Link) -> Plan<'a> {
    let session = link.session.as_millis().to_string();
    let mut options: Vec<OsString> = Vec::new();
    if let Some(language) = &app.global.lang {
        options.extend(["--lang".into(), language.into()]);
    }
    if app.ui.json {
        options.push("--json".into());
    }
    Plan {
        hold: &link.hold,
        command: &wish.command,
        environment: vec![
            ("RODA_LOCK", wish.request.locks.join(",").into()),
            ("RODA_LEASE_MS", session.into()),
            ("RODA_HOME", app.home.path().into()),
        ],
        is_on_terminal: std::io::stdin().is_terminal(),
        options,
    }
}

/// The locks are there.
struct Granted {
    fence: u64,
    lease: Lease,
}

/// Waits for the locks. Cancelled, the wish is withdrawn with the link.
async fn wait(app: &App, wish: &Wish, link: &mut Link, child: &Child) -> Result<Granted> {
    link.register(&child.request()).await?;
    let timings = Timings::new(link.session);
    let patience = Patience {
        app,
        wish,
        started: Instant::now(),
        timings,
    };
    let mut quorum: Option<(Instant, Failure)> = None;
    let (mut has_told, mut has_told_voters) = (false, false);
    loop {
        let (deadline, failure) = patience.deadline(quorum.as_ref());
        let event = tokio::select! {
            event = link.next() => event,
            () = sleep_until(deadline) => return Err(failure),
            () = sleep_until(patience.started + TELL_AFTER), if !has_told => {
                has_told = true;
                patience.tell_of_waiting();
                continue;
            }
        };
        match event {
            Some(HoldEvent::NoQuorum {
                reachable,
                voters,
                needed,
            }) => {
                let failure = Failure::new("lock-no-quorum")
                    .with("reachable", reachable)
                    .with("voters", voters)
                    .with("needed", needed);
                patience.tell_of_voters(&failure, &mut has_told_voters);
                let since = quorum.map_or_else(Instant::now, |(since, _)| since);
                quorum = Some((since, failure));
            }
            Some(HoldEvent::Queued) => quorum = None,
            Some(HoldEvent::CatchingUp) => {
                quorum = None;
                patience.tell_of_catching_up();
            }
            Some(HoldEvent::Granted { fence, lease }) => {
                let lease = Lease::new(timings, lease);
                return Ok(Granted { fence, lease });
            }
            Some(HoldEvent::Failed { error }) => return Err(error),
            Some(HoldEvent::Released(_)) | None => {
                return Err(Failure::new("daemon-lost").with("reason", "…"));
            }
            Some(HoldEvent::Hold { .. } | HoldEvent::State { .. } | HoldEvent::Unknown) => {}
        }
    }
}

/// How long to wait for what, and what to say meanwhile.
struct Patience<'a> {
    app: &'a App,
    wish: &'a Wish,
    started: Instant,
    timings: Timings,
}

impl Patience<'_> {
    /// When to give up, and with which words, if nothing changes.
    fn deadline(&self, quorum: Option<&(Instant, Failure)>) -> (Instant, Failure) {
        let forever = || (self.started + FOREVER, Failure::new("lock-busy"));
        match (self.wish.request.wait_ms, quorum) {
            // The node keeps this time itself; this is for one that hangs.
            (Some(wait), _) => {
                let most = self.started + Duration::from_millis(wait).min(FOREVER) + HANG_MAX;
                let locks = self.wish.request.locks.join(",");
                (most, Failure::new("lock-busy").with("locks", locks))
            }
            (None, Some((since, failure))) => match self.wish.wisher {
                // Long enough for another voter to take the lead.
                Wisher::Caller => (*since + self.timings.expiry(), failure.clone()),
                Wisher::Worker => forever(),
            },
            (None, None) => forever(),
        }
    }

    /// Says what a worker waits for, once: nobody may be looking, but a service manager keeps it.
    fn tell_of_voters(&self, quorum: &Failure, has_told: &mut bool) {
        if self.wish.wisher == Wisher::Worker && !std::mem::replace(has_told, true) {
            let ui = &self.app.ui;
            let values = quorum.args.iter();
            let values: Vec<_> = values
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            ui.note(&ui.text("worker-no-quorum", &values));
        }
    }

    fn tell_of_waiting(&self) {
        if std::io::stderr().is_terminal() {
            let locks = self.wish.request.locks.join(",");
            let ui = &self.app.ui;
            ui.note(&ui.text("lock-waiting", &[("locks", locks.into())]));
        }
    }

    fn tell_of_catching_up(&self) {
        if std::io::stderr().is_terminal() {
            self.app.ui.note(&self.app.ui.text("lock-catching-up", &[]));
        }
    }
}

/// A wait shorter than this is not worth a word.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// How much longer than it should a node may take.
const HANG_MAX: Duration = Duration::from_secs(10);
/// A year: Tokio's clock does not reach to the end of time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
