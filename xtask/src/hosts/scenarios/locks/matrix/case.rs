//! One holder, one who waits, and something that is hit by a signal.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

use crate::hosts::Bench;
use crate::hosts::command::wait_for;
use crate::hosts::net::Filter;
use crate::hosts::node::Node;
use crate::hosts::process::{self, now_ns};
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::scenarios::locks::arena::{Arena, Watch};
use crate::hosts::scenarios::report::{settle, wait_waiting};

/// How long it is watched what a signal leads to: more than a session needs to be over everywhere.
const WATCHED: Duration = Duration::from_millis(7_500);
/// How long the rest may take, once nothing is broken any more.
const SOON: Duration = Duration::from_secs(30);
const HOLDER: &str = "holder";
const NEXT: &str = "next";

/// What is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The holder's `roda lock`.
    Wrapper,
    /// The shell that it runs.
    Shell,
    /// What the shell runs.
    Child,
    /// The node on the holder's machine.
    Daemon,
    /// Every process on the holder's machine. It is also cut off when they are killed.
    Host,
    /// The node that leads, on another machine.
    Leader,
}

/// What is hit by what.
pub(super) struct Case {
    pub(super) target: Target,
    pub(super) signal: Signal,
}

/// All of them.
pub(super) const CASES: &[Case] = &{
    const fn row(target: Target) -> [Case; 3] {
        [
            Case::new(target, Signal::TERM),
            Case::new(target, Signal::KILL),
            Case::new(target, Signal::STOP),
        ]
    }
    let [a, b, c] = row(Target::Wrapper);
    let [d, e, f] = row(Target::Shell);
    let [g, h, i] = row(Target::Child);
    let [j, k, l] = row(Target::Daemon);
    let [m, n, o] = row(Target::Host);
    let [p, q, r] = row(Target::Leader);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r]
};

/// What came of it. Times are since the signal.
pub(super) struct Row {
    pub(super) target: Target,
    pub(super) signal: Signal,
    /// When all of the holder's processes were dead.
    pub(super) dead_ns: u64,
    /// When the next one was inside.
    pub(super) next_ns: u64,
    /// The signal did not end the hold; the holder left when it was told to, at this time.
    pub(super) kept_until_ns: Option<u64>,
    /// What was stopped went on at this time.
    pub(super) continued_ns: Option<u64>,
    /// Of the holder's `roda lock`.
    pub(super) code: i32,
    /// The next one came while the last one stood still with its whole machine.
    pub(super) is_frozen: bool,
}

impl Case {
    pub(super) const fn new(target: Target, signal: Signal) -> Self {
        Self { target, signal }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, target: Target, signal: Signal) -> bool {
        self.target == target && self.signal == signal
    }
}

/// Plays one case from a healthy group to a healthy group.
pub(super) fn play(bench: &Bench, group: &Group<'_>, case: &Case, name: &str) -> Result<Row> {
    let played = Scene::set(bench, group, case, name)
        .and_then(Scene::play)
        .and_then(|row| settle(group, 3).map(|_| row));
    played.with_context(|| format!("{:?} hit by {:?}", case.target, case.signal))
}

struct Scene<'s> {
    group: &'s Group<'s>,
    case: &'s Case,
    arena: Arena,
    /// Where the holder is.
    home: &'s Node<'s>,
    holder: Attempt,
    next: Attempt,
    watch: Watch,
    /// Whom the signal goes to.
    hit: Vec<Pid>,
}

impl<'s> Scene<'s> {
    /// One holds the lock and one waits for it, on machines that do not lead.
    fn set(bench: &Bench, group: &'s Group<'s>, case: &'s Case, name: &str) -> Result<Self> {
        let report = settle(group, 3)?;
        let (leading, others): (Vec<_>, Vec<_>) = group
            .nodes
            .iter()
            .partition(|node| node.nick == report.leader);
        let leader = *leading.first().context("the leader is no node")?;
        let (home, away) = (others[0], others[1]);
        let arena = Arena::new(bench, name)?;
        let mut command = vec!["sh".to_owned(), "-c".to_owned(), "\"$@\"; :".to_owned()];
        command.push("sh".to_owned());
        command.extend(arena.hold(HOLDER, "family"));
        let holder = arena.lock(home, HOLDER, &[name], &command)?;
        let inside = arena.wait_entered(HOLDER, SOON)?;
        let watch = arena.watch(HOLDER)?;
        let next = arena.lock(away, NEXT, &[name], &arena.hold(NEXT, "alone"))?;
        wait_waiting(leader, name, 1, SOON)?;
        let child = Pid::from_raw(inside.pid).context("a process id is positive")?;
        let daemon = |node| process::daemon(node).context("the node does not run");
        let hit = match case.target {
            Target::Wrapper => vec![holder.pid()],
            Target::Shell => vec![process::parent(child)?],
            Target::Child => vec![child],
            Target::Daemon => vec![daemon(home)?],
            Target::Host => home.host.processes()?,
            Target::Leader => vec![daemon(leader)?],
        };
        Ok(Self {
            group,
            case,
            arena,
            home,
            holder,
            next,
            watch,
            hit,
        })
    }

    fn play(self) -> Result<Row> {
        let (target, signal) = (self.case.target, self.case.signal);
        if self.case.is(Target::Host, Signal::KILL) {
            self.home.host.filter(&Filter::isolated())?;
        }
        let hit_ns = now_ns();
        for pid in &self.hit {
            process::signal(*pid, signal);
        }
        let since = |at: u64| at.saturating_sub(hit_ns);
        let came = self.arena.wait_entered(NEXT, WATCHED).is_ok();
        let continued_ns = self.repair()?.map(since);
        let kept_until_ns = if !came && self.watch.is_alive() {
            let now = now_ns();
            self.arena.dismiss(HOLDER)?;
            Some(since(now))
        } else {
            None
        };
        let died = self.watch.died(SOON)?;
        let entered = self.arena.wait_entered(NEXT, SOON)?.at_ns;
        self.arena.dismiss(NEXT)?;
        self.next.finish(SOON)?.expect(0)?;
        let code = self.holder.finish(SOON)?.code();
        let journal = self.arena.journal()?;
        // A machine on which nothing runs can end nothing either; nothing it does can be seen.
        let is_frozen = self.case.is(Target::Host, Signal::STOP) && journal.overlap().is_some();
        if !is_frozen {
            journal.ensure_alone()?;
        }
        Ok(Row {
            target,
            signal,
            dead_ns: since(died),
            next_ns: since(entered),
            kept_until_ns,
            continued_ns,
            code,
            is_frozen,
        })
    }

    /// Lets go on what was stopped, and starts what has ended. Returns when something went on.
    fn repair(&self) -> Result<Option<u64>> {
        let mut continued = None;
        if self.case.signal == Signal::STOP {
            continued = Some(now_ns());
            for pid in &self.hit {
                process::signal(*pid, Signal::CONT);
            }
        }
        self.home.host.filter(&Filter::default())?;
        for node in &self.group.nodes {
            wait_for("the node to run", SOON, || {
                Ok(node.up().map_err(|error| format!("{error:#}")))
            })?;
        }
        Ok(continued)
    }
}
