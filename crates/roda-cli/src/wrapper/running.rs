//! From the moment when the command runs until nothing of it does and the lock is free.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};

use super::child::Child;
use super::lease::Lease;
use super::link::Link;
use super::signals::Signals;
use roda::boottime::{self, Alarm};

use crate::api::lock_types::{HoldEvent, LeaseReply, ReasonReply, StateReply};
use crate::commands::App;
use crate::error::{Exit, Failure, Result};

/// A command that runs under a lock.
pub(super) struct Running<'a> {
    app: &'a App,
    link: Option<Link>,
    child: Child,
    signals: Signals,
    ended: Incoming,
    alarm: Alarm,
    lease: Lease,
    phase: Phase,
    /// How the command itself ended, once it has.
    exit: Option<Exit>,
    released: Option<Option<ReasonReply>>,
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The lock is being renewed.
    Safe,
    /// It is not.
    AtRisk,
    /// The command has ended by itself; what it left behind is ended too, at last by force.
    Sweeping {
        /// From then on by force.
        kill_at: Duration,
    },
    /// The lock is being lost; the command is asked to end.
    Stopping {
        /// From then on it is killed. Never later than this, whatever else is heard.
        kill_at: Duration,
    },
    /// It is being killed.
    Killing,
}

impl<'a> Running<'a> {
    /// The command has just been let go.
    pub(super) fn new(
        app: &'a App,
        link: Link,
        child: Child,
        signals: Signals,
        lease: Lease,
    ) -> Result<Self> {
        Ok(Self {
            app,
            link: Some(link),
            child,
            signals,
            ended: signal(SignalKind::child()).map_err(fault)?,
            alarm: Alarm::new().map_err(fault)?,
            lease,
            phase: Phase::Safe,
            exit: None,
            released: None,
        })
    }

    /// Returns when nothing of the command runs any more and the lock is free, or lost.
    pub(super) async fn until_end(mut self) -> Result<Exit> {
        while !self.reap() {
            if self.exit.is_some() {
                self.sweep();
            }
            let moment = Some(self.next_moment());
            tokio::select! {
                biased;
                event = next(&mut self.link) => self.on_event(event),
                _ = self.ended.recv() => {}
                signal = self.signals.next() => self.on_signal(signal),
                rung = self.alarm.wait(moment) => {
                    rung.map_err(fault)?;
                    self.on_time().await;
                }
            }
        }
        let is_lost = matches!(self.phase, Phase::Stopping { .. } | Phase::Killing);
        let exit = self.exit.unwrap_or(Exit::Lost);
        let reported = match (&self.link, self.released) {
            (_, Some(lost)) => lost,
            (Some(link), None) => link.release().await.lost,
            (None, None) => None,
        };
        if let (false, Some(reason)) = (is_lost, reported) {
            // The node was faster: it has killed the command before this process knew why.
            self.app.ui.failure(&Failure::new(reason.code()));
        }
        Ok(if is_lost || reported.is_some() {
            Exit::Lost
        } else {
            exit
        })
    }

    /// Takes note of everything that has ended; true if nothing is left.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid.as_raw_pid() == self.child.tree.root.pid {
                        self.exit = Some(exit(status));
                    }
                }
                // This process inherits every orphan of the tree, so without children it is gone.
                Err(Errno::CHILD) => {
                    self.exit.get_or_insert(Exit::Lost);
                    return true;
                }
                Err(Errno::INTR) => {}
                // Some live. If they are all from before, the tree is gone nevertheless.
                Ok(None) | Err(_) => {
                    return self.exit.is_some()
                        && !self.child.tree.strangers.is_empty()
                        && self.child.tree.members().is_empty();
                }
            }
        }
    }

    /// The command has ended, but not all that it started: nothing may run on without the lock.
    fn sweep(&mut self) {
        let most = boottime::now() + SWEEP_MAX;
        match &mut self.phase {
            Phase::Safe | Phase::AtRisk => self.phase = Phase::Sweeping { kill_at: most },
            Phase::Stopping { kill_at } if *kill_at > most => *kill_at = most,
            Phase::Stopping { .. } | Phase::Sweeping { .. } | Phase::Killing => return,
        }
        let count = self.child.tree.signal(Signal::TERM);
        if count > 0 {
            let ui = &self.app.ui;
            ui.note(&ui.text("lock-left-behind", &[("count", count.into())]));
        }
    }

    fn next_moment(&self) -> Duration {
        let soon = boottime::now() + STEP;
        match self.phase {
            Phase::Safe | Phase::AtRisk => self.lease.stop_at(),
            Phase::Stopping { kill_at } if self.exit.is_none() => kill_at,
            Phase::Stopping { .. } | Phase::Sweeping { .. } | Phase::Killing => soon,
        }
    }

    /// A moment has come, or something is being waited for step by step.
    async fn on_time(&mut self) {
        let now = boottime::now();
        match self.phase {
            Phase::Safe | Phase::AtRisk if now >= self.lease.stop_at() => {
                if now > self.lease.stop_at() + LATE && self.is_renewed_meanwhile().await {
                    return;
                }
                self.stop(self.unrenewed());
                self.kill_if_due();
            }
            Phase::Safe | Phase::AtRisk => {}
            Phase::Stopping { .. } | Phase::Sweeping { .. } | Phase::Killing => self.kill_if_due(),
        }
    }

    /// Why the lease ends: a node that has said that it cannot renew the lock does answer.
    fn unrenewed(&self) -> ReasonReply {
        match (self.phase, &self.link) {
            (Phase::AtRisk, Some(_link)) => ReasonReply::NotRenewed,
            _ => ReasonReply::NodeLost,
        }
    }

    /// Awake late: this process itself was stopped, and what the node has said since waits unread.
    async fn is_renewed_meanwhile(&mut self) -> bool {
        while let Ok(event) = tokio::time::timeout(STEP, next(&mut self.link)).await {
            self.on_event(event);
            if self.link.is_none() {
                break;
            }
        }
        boottime::now() < self.lease.stop_at() || !matches!(self.phase, Phase::Safe | Phase::AtRisk)
    }

    fn kill_if_due(&mut self) {
        let is_due = match self.phase {
            Phase::Safe | Phase::AtRisk => false,
            Phase::Sweeping { kill_at } | Phase::Stopping { kill_at } => boottime::now() >= kill_at,
            Phase::Killing => true,
        };
        if is_due {
            if matches!(self.phase, Phase::Stopping { .. }) {
                self.phase = Phase::Killing;
            }
            let _: bool = self.child.tree.kill();
        }
    }

    fn on_event(&mut self, event: Option<HoldEvent>) {
        match event {
            Some(HoldEvent::State {
                state,
                reason,
                lease,
            }) => self.on_state(state, reason, lease),
            Some(HoldEvent::Released(reply)) => {
                self.released = Some(reply.lost);
                self.link = None;
                if let Some(reason) = reply.lost {
                    self.stop(reason);
                }
            }
            // The lease goes on without a node that could renew it.
            None => {
                self.link = None;
                if self.phase == Phase::Safe {
                    self.set_at_risk();
                }
            }
            Some(
                HoldEvent::Hold { .. }
                | HoldEvent::Queued
                | HoldEvent::NoQuorum { .. }
                | HoldEvent::CatchingUp
                | HoldEvent::Granted { .. }
                | HoldEvent::Failed { .. }
                | HoldEvent::Unknown,
            ) => {}
        }
    }

    fn on_state(&mut self, state: StateReply, reason: Option<ReasonReply>, lease: LeaseReply) {
        self.lease = self.lease.renewed(lease);
        let reason = reason.unwrap_or(ReasonReply::NotRenewed);
        match state {
            StateReply::Safe if self.phase == Phase::AtRisk => {
                self.phase = Phase::Safe;
                self.child.tell("safe");
            }
            StateReply::AtRisk if self.phase == Phase::Safe => self.set_at_risk(),
            StateReply::Safe | StateReply::AtRisk => {}
            StateReply::Stop => self.stop(reason),
            StateReply::Kill => {
                self.stop(reason);
                self.phase = Phase::Killing;
                let _: bool = self.child.tree.kill();
            }
        }
    }

    fn set_at_risk(&mut self) {
        self.phase = Phase::AtRisk;
        self.child.tell("at-risk");
    }

    /// Asks everything to end, once.
    fn stop(&mut self, reason: ReasonReply) {
        match self.phase {
            Phase::Stopping { .. } | Phase::Killing => return,
            Phase::Safe | Phase::AtRisk | Phase::Sweeping { .. } => {}
        }
        self.phase = Phase::Stopping {
            kill_at: self.lease.kill_at(),
        };
        self.child.tell("stop");
        // Who is asked and has stopped would not hear it before it goes on.
        let _: usize = self.child.tree.signal(Signal::TERM);
        let _: usize = self.child.tree.signal(Signal::CONT);
        self.app.ui.failure(&Failure::new(reason.code()));
    }

    fn on_signal(&self, signal: Signal) {
        let has_own_group = self.child.tree.has_own_group;
        // On a terminal the command is in the same group, and got these itself.
        let is_from_terminal = [Signal::INT, Signal::QUIT, Signal::WINCH].contains(&signal);
        if has_own_group || !is_from_terminal {
            self.child.signal(signal);
        }
        if has_own_group && signal == Signal::TSTP {
            // The shell that stopped this process wants it to stop; the node goes on renewing.
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        }
    }
}

/// The next event; never without a node.
async fn next(link: &mut Option<Link>) -> Option<HoldEvent> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Child(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) => Exit::Signal(u8::try_from(signal).unwrap_or(0)),
        (None, None) => Exit::Failed,
    }
}

fn fault(error: std::io::Error) -> Failure {
    Failure::new("runtime").with("reason", error.to_string())
}

/// How long what a command has left behind has for ending by itself.
const SWEEP_MAX: Duration = Duration::from_secs(1);
/// Between two looks at what is being ended.
const STEP: Duration = Duration::from_millis(20);
/// An alarm that is later than this was slept through.
const LATE: Duration = Duration::from_millis(50);
