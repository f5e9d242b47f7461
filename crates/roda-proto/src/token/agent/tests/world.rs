//! Several nodes, a perfect replicated log, and a network that does what a test wants.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use crate::token::{Frontier, Priority, Registrar, RegistrarOutput, Table, Token};

/// From one node to another, and from the log's leader to a majority and back.
pub(super) const HOP: Duration = Duration::from_millis(1);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Deliver,
    Drop,
    Delay(Duration),
    Twice(Duration),
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) to_leader: bool,
    pub(super) message: LockMessage,
}

enum Due {
    Mail(Mail),
    Applied {
        term: u64,
        id: u64,
        commands: Vec<LockCommand>,
    },
    Confirmed {
        term: u64,
        id: u64,
    },
}

/// A client that is inside, by its own node's view.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    pub(super) locks: Vec<LockName>,
    pub(super) permits: Permits,
    pub(super) fence: Fence,
    pub(super) frontier: Frontier,
    pub(super) since: Timestamp,
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) table: Table,
    pub(super) registrar: Registrar,
    pub(super) agents: Vec<Agent>,
    pub(super) leader: usize,
    /// How long an entry and a confirmation take.
    pub(super) commit: Duration,
    pub(super) quorum: Option<Quorum>,
    pub(super) rule: Box<dyn FnMut(&Mail) -> Fate>,
    pub(super) sent: Vec<Mail>,
    pub(super) events: Vec<(usize, Timestamp, AgentEvent)>,
    pub(super) inside: BTreeMap<(usize, RequestId), Inside>,
    wishes: BTreeMap<(usize, RequestId), Acquire>,
    boots: u64,
    term: u64,
    queue: BTreeMap<(Timestamp, u64), Due>,
    number: u64,
    /// Largest fence of each lock: of those alone, of anyone.
    fences: BTreeMap<LockName, (Fence, Fence)>,
    pub(super) timings: Timings,
}

pub(super) fn node(index: usize) -> NodeId {
    NodeId([u8::try_from(index).unwrap() + 1; 32])
}

pub(super) fn name(text: &str) -> LockName {
    LockName::new(text).unwrap()
}

pub(super) fn wish(names: &[&str], permits: Permits) -> Acquire {
    Acquire {
        locks: names.iter().map(|text| name(text)).collect(),
        permits,
        priority: Priority::default(),
    }
}

impl World {
    pub(super) fn new(nodes: usize) -> Self {
        let timings = Timings::DEFAULT;
        let mut world = Self {
            now: Timestamp::from_micros(1_000_000),
            table: Table::new(),
            registrar: Registrar::new(timings),
            agents: Vec::new(),
            leader: 0,
            commit: HOP,
            quorum: None,
            rule: Box::new(|_| Fate::Deliver),
            sent: Vec::new(),
            events: Vec::new(),
            inside: BTreeMap::new(),
            wishes: BTreeMap::new(),
            boots: 0,
            term: 1,
            queue: BTreeMap::new(),
            number: 0,
            fences: BTreeMap::new(),
            timings,
        };
        for index in 0..nodes {
            let agent = world.new_agent(index);
            world.agents.push(agent);
        }
        world.registrar.lead(world.now, &world.table);
        world.registrar.start_fences(Fence(1_000_000));
        for index in 0..nodes {
            world.agents[index].handle_leader(world.now, Some(node(0)));
        }
        world
    }

    fn new_agent(&mut self, index: usize) -> Agent {
        self.boots += 1000;
        Agent::new(node(index), self.boots, self.timings)
    }

    /// Asks for locks; the outputs leave at once.
    pub(super) fn ask(&mut self, at: usize, wish: Acquire) -> RequestId {
        let request = self.ask_quietly(at, wish);
        self.drain(at);
        request
    }

    /// Asks for locks; the outputs leave with those of the next call.
    pub(super) fn ask_quietly(&mut self, at: usize, wish: Acquire) -> RequestId {
        match self.agents[at].acquire(self.now, wish.clone()).unwrap() {
            Acquired::Waiting(request) => {
                self.wishes.insert((at, request), wish);
                request
            }
            Acquired::Inside {
                request,
                fence,
                frontier,
            } => {
                self.wishes.insert((at, request), wish);
                self.enter(at, request, fence, frontier);
                request
            }
        }
    }

    pub(super) fn acquire(&mut self, at: usize, lock: &str) -> RequestId {
        self.ask(at, wish(&[lock], Permits::EXCLUSIVE))
    }

    pub(super) fn release(&mut self, at: usize, request: RequestId) {
        self.inside.remove(&(at, request));
        self.agents[at].release(self.now, request, None);
        self.drain(at);
    }

    pub(super) fn cancel(&mut self, at: usize, request: RequestId) {
        self.inside.remove(&(at, request));
        self.agents[at].cancel(self.now, request);
        self.drain(at);
    }

    pub(super) fn is_inside(&self, at: usize, request: RequestId) -> bool {
        self.inside.contains_key(&(at, request))
    }

    pub(super) fn fence(&self, at: usize, request: RequestId) -> Fence {
        self.inside[&(at, request)].fence
    }

    /// The node starts anew; what ran there is dead.
    pub(super) fn restart(&mut self, at: usize) {
        self.agents[at] = self.new_agent(at);
        self.inside.retain(|(of, _), _| *of != at);
        let leader = Some(node(self.leader));
        self.agents[at].handle_leader(self.now, leader);
        self.drain(at);
    }

    /// Another node leads; what was under way to the log is lost or not, as `keep` says.
    pub(super) fn change_leader(&mut self, to: usize, keep: bool) {
        self.registrar.follow();
        self.term += 1;
        let due = core::mem::take(&mut self.queue);
        for (key, due) in due {
            match due {
                Due::Applied { commands, .. } => {
                    if keep {
                        self.table.apply(&commands);
                    }
                }
                Due::Confirmed { .. } => {}
                Due::Mail(mail) if mail.to_leader => {}
                Due::Mail(mail) => {
                    self.queue.insert(key, Due::Mail(mail));
                }
            }
        }
        self.leader = to;
        self.registrar = Registrar::new(self.timings);
        self.registrar.lead(self.now, &self.table);
        for at in 0..self.agents.len() {
            self.agents[at].handle_leader(self.now, Some(node(to)));
            self.drain(at);
        }
        self.drain_registrar();
    }

    /// Runs everything that is due in so much time.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain_all();
        while let Some(next) = self.next_time()
            && next <= end
        {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
        self.step();
    }

    /// Runs for as long as a few messages and entries take.
    pub(super) fn settle(&mut self) {
        self.run(HOP * 20 + self.commit * 10);
    }

    fn next_time(&self) -> Option<Timestamp> {
        let agents = self.agents.iter().filter_map(Agent::next_deadline);
        let queue = self.queue.keys().next().map(|(at, _)| *at);
        agents
            .chain(queue)
            .chain(self.registrar.next_deadline())
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        for at in 0..self.agents.len() {
            if self.agents[at].next_deadline().is_some_and(|it| it <= now) {
                self.agents[at].handle_timeout(now);
                let next = self.agents[at].next_deadline();
                assert!(next.is_none_or(|next| next > now), "would spin: {next:?}");
            }
        }
        if self.registrar.next_deadline().is_some_and(|it| it <= now) {
            self.registrar.handle_timeout(now);
        }
        self.drain_all();
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= now
        {
            let due = entry.remove();
            self.handle(due);
            self.drain_all();
            self.check();
        }
        self.check();
    }

    fn handle(&mut self, due: Due) {
        match due {
            Due::Mail(mail) if mail.to_leader => {
                let from = node(mail.from);
                if mail.to == self.leader {
                    self.registrar
                        .handle_message(self.now, &self.table, from, mail.message);
                }
            }
            Due::Mail(mail) => {
                self.agents[mail.to].handle_message(self.now, node(mail.from), mail.message);
            }
            Due::Applied { term, id, commands } => match self.quorum {
                Some(quorum) => self.registrar.on_failed(self.now, id, Some(quorum)),
                None if term == self.term => {
                    let applied = self.table.apply(&commands);
                    self.registrar
                        .on_applied(self.now, &self.table, Some(id), applied);
                }
                None => {}
            },
            Due::Confirmed { term, id } => {
                let result = self.quorum.map_or(Ok(()), Err);
                if term == self.term {
                    self.registrar
                        .on_confirmed(self.now, &self.table, id, result);
                }
            }
        }
    }

    pub(super) fn drain_all(&mut self) {
        for at in 0..self.agents.len() {
            self.drain(at);
        }
        self.drain_registrar();
    }

    fn drain_registrar(&mut self) {
        while let Some(output) = self.registrar.poll_output() {
            let at = self.now + self.commit;
            let term = self.term;
            match output {
                RegistrarOutput::Send { to, message } => {
                    let to = usize::from(to.0[0]) - 1;
                    self.post(Mail {
                        from: self.leader,
                        to,
                        to_leader: false,
                        message,
                    });
                }
                RegistrarOutput::Propose { id, commands } => {
                    assert!(!commands.is_empty());
                    self.push(at, Due::Applied { term, id, commands });
                }
                RegistrarOutput::Confirm { id } => self.push(at, Due::Confirmed { term, id }),
            }
        }
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.agents[at].poll_output() {
            match output {
                AgentOutput::Send { to, message } => {
                    let (to, to_leader) = match to {
                        Recipient::Leader => (self.leader, true),
                        Recipient::Node(node) => (usize::from(node.0[0]) - 1, false),
                    };
                    self.post(Mail {
                        from: at,
                        to,
                        to_leader,
                        message,
                    });
                }
                AgentOutput::Event(event) => self.on_event(at, event),
            }
        }
    }

    fn on_event(&mut self, at: usize, event: AgentEvent) {
        self.events.push((at, self.now, event.clone()));
        match event {
            AgentEvent::Entered {
                request,
                fence,
                frontier,
            } => self.enter(at, request, fence, frontier),
            AgentEvent::Hold {
                request,
                state: HoldState::Kill(_),
            } => {
                // Dead at once; that this is so is told by the test.
                self.inside.remove(&(at, request));
            }
            AgentEvent::Refused { .. }
            | AgentEvent::Hold { .. }
            | AgentEvent::Quorum(_)
            | AgentEvent::Session(_) => {}
        }
    }

    fn enter(&mut self, at: usize, request: RequestId, fence: Fence, frontier: Frontier) {
        let wish = &self.wishes[&(at, request)];
        for lock in &wish.locks {
            let (alone, any) = self.fences.entry(lock.clone()).or_default();
            if wish.permits == Permits::EXCLUSIVE {
                assert!(fence > *any, "{fence} after {any}");
                *alone = fence;
            } else {
                assert!(fence > *alone, "{fence} after {alone}");
            }
            *any = fence.max(*any);
        }
        let inside = Inside {
            locks: wish.locks.clone(),
            permits: wish.permits,
            fence,
            frontier,
            since: self.now,
        };
        let before = self.inside.insert((at, request), inside);
        assert!(before.is_none(), "entered twice");
        self.check();
    }

    /// Nobody is inside together with more than it has permits for.
    fn check(&self) {
        let mut locks: BTreeMap<&LockName, Vec<&Inside>> = BTreeMap::new();
        for inside in self.inside.values() {
            for lock in &inside.locks {
                locks.entry(lock).or_default().push(inside);
            }
        }
        for (lock, holders) in locks {
            let count = u32::try_from(holders.len()).unwrap();
            let fits = holders.iter().all(|it| count <= it.permits.value());
            assert!(fits, "{count} inside {lock} at {:?}: {holders:?}", self.now);
        }
    }

    fn post(&mut self, mail: Mail) {
        self.sent.push(mail.clone());
        let at = self.now + HOP;
        match (self.rule)(&mail) {
            Fate::Deliver => self.push(at, Due::Mail(mail)),
            Fate::Drop => {}
            Fate::Delay(more) => self.push(at + more, Due::Mail(mail)),
            Fate::Twice(more) => {
                self.push(at, Due::Mail(mail.clone()));
                self.push(at + more, Due::Mail(mail));
            }
        }
    }

    fn push(&mut self, at: Timestamp, due: Due) {
        self.number += 1;
        self.queue.insert((at, self.number), due);
    }

    /// Forgets which messages were sent; long runs need the room.
    pub(super) fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// Sends something that was captured before, or made up.
    pub(super) fn inject(&mut self, mail: Mail) {
        self.push(self.now, Due::Mail(mail));
    }

    pub(super) fn tokens(&self) -> Vec<(usize, usize, &Token)> {
        let tokens = self.sent.iter().filter_map(|mail| match &mail.message {
            LockMessage::Token(token) => Some((mail.from, mail.to, token)),
            _ => None,
        });
        tokens.collect()
    }

    /// What the client of a hold was told, and when.
    pub(super) fn holds(&self, at: usize, request: RequestId) -> Vec<(Timestamp, HoldState)> {
        let holds = self
            .events
            .iter()
            .filter_map(|(of, when, event)| match event {
                AgentEvent::Hold { request: it, state } if *of == at && *it == request => {
                    Some((*when, *state))
                }
                _ => None,
            });
        holds.collect()
    }

    /// How many wait for a lock and how many have it, as the table knows.
    pub(super) fn queue_of(&self, lock: &str) -> (usize, usize) {
        let status = self.table.status(&[name(lock)]);
        status.first().map_or((0, 0), |status| {
            (status.waiters.len(), status.holders.len())
        })
    }
}

pub(super) fn is_token(mail: &Mail) -> bool {
    matches!(mail.message, LockMessage::Token(_))
}
