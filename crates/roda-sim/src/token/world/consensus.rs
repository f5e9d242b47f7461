//! Who leads, what is agreed on, and who gets to know.

use std::time::Duration;

use roda_proto::token::{Fence, LockCommand, Quorum};

use super::{Happening, Place, Question, World};
use crate::invariants::Check;
use crate::token::consensus::Pending;
use crate::token::node::{Process, id_of};

/// A leader that could not reach a majority so often gives a proposal up; the entry may come all the same.
const TRIES_MAX: u32 = 3;

impl World {
    fn voters(&self) -> impl Iterator<Item = usize> + '_ {
        0..self.options.voters
    }

    /// How many voters a voter reaches, itself included.
    fn reach(&self, node: usize) -> Quorum {
        let is_reached = |voter: &usize| {
            self.nodes[*voter].is_running() && (*voter == node || self.links.is_open(node, *voter))
        };
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Quorum {
            reachable: number(self.voters().filter(is_reached).count()),
            voters: number(self.options.voters),
        }
    }

    fn has_majority(&self, node: usize) -> bool {
        let quorum = self.reach(node);
        self.nodes[node].is_running() && quorum.reachable >= quorum.needed()
    }

    fn quorum_time(&mut self) -> Duration {
        Duration::from_micros(50) + self.random.exponential(self.options.quorum)
    }

    pub(super) fn propose(&mut self, node: usize, id: u64, commands: Vec<LockCommand>) {
        let Some(process) = self.nodes[node].process.as_ref() else {
            return;
        };
        let (life, term) = (process.life, process.leads.unwrap_or(0));
        let words = [5, id];
        self.trace
            .note(self.now, node, &words, || format!("proposes {commands:?}"));
        let delay = self.quorum_time();
        match self.log.propose(term, id, commands) {
            Some(number) => {
                let tries = 0;
                let agree = Happening::Agree {
                    term,
                    number,
                    tries,
                };
                self.after(delay, agree);
            }
            None => self.after(delay * 4, Happening::Failed(Place { node, life }, id)),
        }
    }

    pub(super) fn on_agree(&mut self, term: u64, number: u64, tries: u32) -> Check {
        let Some(leader) = self.log.leader.filter(|_| self.log.term == term) else {
            return Ok(());
        };
        if self.has_majority(leader) {
            for pending in self.log.agree(number) {
                self.commit(Some(leader), pending)?;
            }
            return self.settle(leader);
        }
        if tries == TRIES_MAX
            && let Some(id) = self.log.fail(number)
            && let Some(process) = self.nodes[leader].process.as_ref()
        {
            let life = process.life;
            let node = leader;
            self.after(Duration::ZERO, Happening::Failed(Place { node, life }, id));
        }
        let tries = tries + 1;
        let again = Happening::Agree {
            term,
            number,
            tries,
        };
        self.after(self.options.session_max() / 8, again);
        Ok(())
    }

    /// Adds an entry to the log. The leader has it at once, and the others will.
    fn commit(&mut self, leader: Option<usize>, pending: Pending) -> Check {
        let words = [6, pending.number];
        let node = leader.unwrap_or(usize::MAX);
        self.trace.note(self.now, node, &words, || {
            format!("agreed on {}", pending.number)
        });
        self.checks
            .on_entry(self.now, &pending.commands, &self.nodes, &self.inside)?;
        self.log.entries.push(pending.commands);
        for voter in 0..self.options.voters {
            if Some(voter) != leader {
                let delay = self.quorum_time();
                self.after(delay, Happening::Learn(voter));
            }
        }
        match leader {
            Some(leader) => self.apply(leader, pending.id),
            None => Ok(()),
        }
    }

    /// Brings a voter's table up to date. `id`: the last entry is its own.
    fn apply(&mut self, node: usize, id: Option<u64>) -> Check {
        let local = self.local(node);
        let Some(process) = self.nodes[node].process.as_mut() else {
            return Ok(());
        };
        while let Some(commands) = self.log.entries.get(process.applied) {
            let applied = process.table.apply(commands);
            self.checks
                .replay
                .check_applied(node, process.applied, &applied)?;
            process.applied += 1;
            if process.leads.is_some() {
                let is_last = process.applied == self.log.entries.len();
                let id = id.filter(|_| is_last);
                process
                    .registrar
                    .on_applied(local, &process.table, id, applied);
            }
        }
        Ok(())
    }

    pub(super) fn on_learn(&mut self, node: usize) -> Check {
        let Some(leader) = self.log.leader else {
            return Ok(());
        };
        let is_reached = node != leader && self.links.is_open(node, leader);
        if !is_reached || !self.nodes[node].is_running() {
            return Ok(()); // With a later entry, or when it leads.
        }
        self.step_down(node)?;
        self.apply(node, None)
    }

    /// A voter that leads in an earlier term hears of a later one.
    fn step_down(&mut self, node: usize) -> Check {
        let term = self.log.term;
        if let Some(process) = self.nodes[node].process.as_mut()
            && process.leads.is_some_and(|leads| leads < term)
        {
            process.leads = None;
            process.registrar.follow();
            self.trace.note(self.now, node, &[7], || "follows");
        }
        self.settle(node)
    }

    pub(super) fn on_learn_leader(&mut self, node: usize) -> Check {
        let Some(leader) = self.log.leader else {
            return Ok(());
        };
        if node != leader && !self.links.is_open(node, leader) {
            return Ok(());
        }
        let local = self.local(node);
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.leader = Some(leader);
            process.agent.handle_leader(local, Some(id_of(leader)));
        }
        self.step_down(node)
    }

    pub(super) fn on_failed(&mut self, node: usize, id: u64) -> Check {
        let local = self.local(node);
        let quorum = self.random.chance(0.5).then(|| self.reach(node));
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.registrar.on_failed(local, id, quorum);
        }
        self.trace
            .note(self.now, node, &[8, id], || "proposal failed");
        self.settle(node)
    }

    pub(super) fn ask(&mut self, node: usize, id: u64) {
        let Some(process) = self.nodes[node].process.as_ref() else {
            return;
        };
        let (life, term) = (process.life, process.leads.unwrap_or(0));
        let delay = self.quorum_time();
        let place = Place { node, life };
        self.after(delay, Happening::Ask(Question { place, term, id }));
    }

    /// A majority says what it knows at this moment; the answer takes its time, and may be old by then.
    pub(super) fn on_ask(&mut self, question: Question) {
        let (node, term) = (question.place.node, question.term);
        let is_leader = self.log.term == term && self.log.leader == Some(node);
        let result = if is_leader && self.has_majority(node) {
            Ok(())
        } else {
            Err(self.reach(node))
        };
        let slow = if result.is_ok() { 1 } else { 4 };
        let delay = self.quorum_time() * slow;
        self.after(delay, Happening::Confirmed(question, result));
    }

    pub(super) fn on_confirmed(&mut self, question: Question, result: Result<(), Quorum>) -> Check {
        let node = question.place.node;
        let local = self.local(node);
        if let Some(process) = self.nodes[node].process.as_mut()
            && process.leads == Some(question.term)
        {
            process
                .registrar
                .on_confirmed(local, &process.table, question.id, result);
        }
        self.settle(node)
    }

    /// Elects somebody if nobody leads a majority, and tells those who do not know.
    pub(super) fn on_watch(&mut self) -> Check {
        let is_led = self.log.leader.is_some_and(|leader| {
            let is_same = |process: &Process| {
                process.leads == Some(self.log.term) || process.life == self.log.leader_life
            };
            let process = self.nodes[leader].process.as_ref();
            self.has_majority(leader) && process.is_some_and(is_same)
        });
        if !is_led {
            self.elect()?;
        }
        for node in 0..self.nodes.len() {
            if let Some(process) = self.nodes[node].process.as_ref()
                && (process.leader != self.log.leader || process.leads.is_some())
            {
                let life = process.life;
                let delay = self.quorum_time();
                self.after(delay, Happening::LearnLeader(Place { node, life }));
            }
        }
        let wait = self.options.session_max() / 10;
        let jitter = self.random.exponential(wait);
        self.after(wait + jitter, Happening::Watch);
        Ok(())
    }

    pub(super) fn elect(&mut self) -> Check {
        let able: Vec<usize> = self.voters().filter(|it| self.has_majority(*it)).collect();
        let Some(node) = self.random.pick(&able).copied() else {
            return Ok(());
        };
        let Some(life) = self.nodes[node].process.as_ref().map(|it| it.life) else {
            return Ok(());
        };
        let old = self.log.leader;
        let adopted = self.random.between(0, self.log.pending());
        let elected = self.log.elect(node, life, adopted);
        let term = self.log.term;
        self.trace.note(self.now, node, &[9, term], || {
            format!("elected in term {term}")
        });
        for pending in elected.adopted {
            self.report_failed(old, pending.id);
            self.commit(None, pending)?;
        }
        for pending in elected.lost {
            self.report_failed(old, pending.id);
        }
        // Its own process may lead in an earlier term.
        self.step_down(node)?;
        let delay = self.quorum_time() * 2;
        self.after(delay, Happening::Lead(Place { node, life }, term));
        Ok(())
    }

    fn report_failed(&mut self, node: Option<usize>, id: Option<u64>) {
        if let (Some(node), Some(id)) = (node, id) {
            let life = self.nodes[node].lives;
            let delay = self.quorum_time() * 8;
            self.after(delay, Happening::Failed(Place { node, life }, id));
        }
    }

    pub(super) fn on_lead(&mut self, node: usize, term: u64) -> Check {
        if self.log.term != term {
            return Ok(());
        }
        self.apply(node, None)?;
        let local = self.local(node);
        let now = self.now;
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.leads = Some(term);
            process.leader = Some(node);
            process.registrar.lead(local, &process.table);
            if process.applied == 0 || self.random.chance(0.1) {
                let seconds = 1_700_000_000 + now.as_micros() / 1_000_000;
                process.registrar.start_fences(Fence(seconds << 20));
            }
            process.agent.handle_leader(local, Some(id_of(node)));
        }
        self.trace
            .note(now, node, &[10, term], || format!("leads in term {term}"));
        self.settle(node)
    }
}
