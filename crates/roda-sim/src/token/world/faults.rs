//! What goes wrong.

use std::time::Duration;

use roda_proto::token::{LockCommand, LockMessage, Recipient, Table};

use super::{Fault, Happening, Place, World};
use crate::invariants::Check;
use crate::token::client::Job;
use crate::token::clock::Clock;

impl World {
    pub(super) fn on_fault(&mut self, fault: Fault) -> Check {
        if self.is_healed {
            return Ok(());
        }
        if let Some(period) = fault.period(&self.options.faults) {
            let wait = self.random.exponential(period);
            self.after(wait, Happening::Fault(fault));
        }
        let node = self.random.below(self.nodes.len());
        match fault {
            Fault::Crash => {
                let is_machine = self.random.chance(0.3);
                self.crash(node, is_machine);
            }
            Fault::Pause => self.pause(node),
            Fault::Cut => self.cut(node),
            Fault::Split => self.split(),
            Fault::Reset => {
                let other = self.random.below(self.nodes.len());
                self.links.reset(node, other, self.now);
            }
            Fault::Election => return self.elect(),
            Fault::Force => self.force(node),
            Fault::Stop => return self.stop(node),
        }
        Ok(())
    }

    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let boot = self.random.bits();
        let (table, applied) = std::mem::take(&mut self.nodes[node].stored);
        // As from a snapshot on the disk.
        let bytes = minicbor::to_vec(&table).unwrap_or_default();
        let restored: Table = minicbor::decode(&bytes).unwrap_or_default();
        self.nodes[node].stored = (restored, applied);
        self.nodes[node].start(boot);
        self.trace.note(self.now, node, &[30], || "starts");
        let life = self.nodes[node].lives;
        self.after(Duration::ZERO, Happening::LearnLeader(Place { node, life }));
    }

    /// A process dies, or its whole machine with all that runs on it.
    pub(super) fn crash(&mut self, node: usize, is_machine: bool) {
        let Some(process) = self.nodes[node].process.as_ref() else {
            return;
        };
        self.trace.note(self.now, node, &[31], || {
            format!("dies, machine: {is_machine}")
        });
        let (life, session, until) = (process.life, process.session, process.valid_until);
        self.waiting.retain(|job, _| job.node != node);
        if is_machine {
            self.inside.retain(|job, _| job.node != node);
        } else {
            let left: Vec<Job> = self
                .inside
                .values()
                .filter(|hold| hold.job.life == life && hold.job.node == node)
                .filter(|hold| Some(hold.session) == session)
                .map(|hold| hold.job)
                .collect();
            let local = self.local(node);
            let longest = until.map_or(Duration::ZERO, |until| until.since(local));
            for job in left {
                self.end_within(job, longest);
            }
        }
        self.nodes[node].end();
        self.links.reset_all(node, self.now);
        if is_machine {
            let origin = roda_proto::Timestamp::from_micros(self.random.bits() >> 28);
            let rate = self.options.rates_ppm[node];
            self.nodes[node].clock = Clock::new(rate, self.now, origin);
        }
        let down = if self.is_healed {
            Duration::ZERO
        } else {
            self.random.exponential(self.options.faults.lasts)
        };
        self.after(down, Happening::Start(node));
    }

    fn pause(&mut self, node: usize) {
        if !self.nodes[node].is_running() {
            return;
        }
        self.trace.note(self.now, node, &[32], || "is stopped");
        self.nodes[node].paused = Some(Vec::new());
        let process = self.nodes[node].process.as_ref();
        if let Some(until) = process.and_then(|process| process.valid_until) {
            self.watch_holds(node, until);
        }
        let time = self.random.exponential(self.options.faults.lasts);
        self.after(time, Happening::Resume(node));
    }

    pub(super) fn resume(&mut self, node: usize) {
        let Some(mut missed) = self.nodes[node].paused.take() else {
            return;
        };
        self.trace.note(self.now, node, &[33], || "goes on");
        // Whether it looks at the clock or at what has come first is up to it.
        if self.random.chance(0.5) {
            missed.sort_by_key(|happening| !matches!(happening, Happening::Timer(_)));
        }
        for happening in missed {
            self.after(Duration::ZERO, happening);
        }
    }

    fn cut(&mut self, node: usize) {
        let other = self.random.below(self.nodes.len());
        let is_cut = !self.links.is_cut(node, other);
        self.trace.note(self.now, node, &[34], || {
            format!("does not reach {other}: {is_cut}")
        });
        self.links.cut(node, other, is_cut);
    }

    fn split(&mut self) {
        let nodes = self.nodes.len();
        let is_split = self.random.chance(0.5);
        let sides: Vec<bool> = (0..nodes).map(|_| self.random.chance(0.5)).collect();
        self.trace.note(self.now, usize::MAX, &[35], || {
            format!("split: {is_split}, {sides:?}")
        });
        for from in 0..nodes {
            for to in 0..nodes {
                let is_cut = is_split && sides[from] != sides[to];
                self.links.cut(from, to, is_cut);
            }
        }
    }

    fn force(&mut self, node: usize) {
        if !self.nodes[node].is_running() {
            return;
        }
        let by = self.nodes[node].id;
        if let Some(lock) = self.clients.any_lock() {
            let commands = vec![LockCommand::Force {
                lock,
                by,
                upto: roda_proto::token::Fence(u64::MAX),
            }];
            let message = LockMessage::Propose { commands };
            self.send_from_agent(node, Recipient::Leader, message);
        }
    }

    /// Asks a process to end; if it has not for long, it is ended.
    fn stop(&mut self, node: usize) -> Check {
        if !self.nodes[node].is_running() {
            return Ok(());
        }
        let local = self.local(node);
        self.trace.note(self.now, node, &[36], || "is to end");
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.is_closing = true;
            process.agent.close(local);
            let life = process.life;
            let patience = self.options.session_max() * 2;
            self.after(patience, Happening::End(Place { node, life }));
        }
        self.settle(node)
    }
}
