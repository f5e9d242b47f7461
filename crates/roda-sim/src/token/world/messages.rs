//! From agents to leaders, from registrars to agents, from holder to holder.

use std::time::Duration;

use roda_proto::token::{LockMessage, Recipient};

use super::{Happening, Place, World};
use crate::invariants::Check;
use crate::token::node::{id_of, index_of};

/// From an agent to the registrar of its own process, and back.
const LOCAL_DELAY: Duration = Duration::from_micros(5);

impl World {
    pub(super) fn send_from_agent(&mut self, node: usize, to: Recipient, message: LockMessage) {
        let to = match to {
            Recipient::Node(to) => index_of(to),
            Recipient::Leader => {
                let process = self.nodes[node].process.as_ref();
                let leader = process.and_then(|process| process.leader);
                // Whoever is asked tells if it is another.
                leader.unwrap_or_else(|| self.random.below(self.options.voters))
            }
        };
        self.send(node, to, message);
    }

    pub(super) fn send(&mut self, from: usize, to: usize, message: LockMessage) {
        let Some(life) = self.nodes[to].process.as_ref().map(|process| process.life) else {
            return;
        };
        let arrive = |link, message| Happening::Arrive {
            from,
            at: Place { node: to, life },
            link,
            message,
        };
        if from == to {
            self.after(LOCAL_DELAY, arrive(None, message));
            return;
        }
        if let Some(travel) = self.links.send(from, to, self.now) {
            let link = Some(travel.life);
            self.queue.push(travel.arrives, arrive(link, message));
        }
    }

    pub(super) fn on_arrive(
        &mut self,
        from: usize,
        to: usize,
        link: Option<u64>,
        message: LockMessage,
    ) -> Check {
        if let Some(link) = link {
            if !self.links.arrives(from, to, link) {
                return Ok(());
            }
            if let Some(delay) = self.links.arrives_again(from, to, link) {
                let life = self.nodes[to].lives;
                let message = message.clone();
                let again = Happening::Arrive {
                    from,
                    at: Place { node: to, life },
                    link: None,
                    message,
                };
                self.after(delay, again);
            }
        }
        let words = [4, u64::try_from(from).unwrap_or(0), kind(&message)];
        self.trace
            .note(self.now, to, &words, || format!("from {from}: {message:?}"));
        let local = self.local(to);
        let Some(process) = self.nodes[to].process.as_mut() else {
            return Ok(());
        };
        match message {
            LockMessage::Open { .. } | LockMessage::Renew { .. } | LockMessage::Propose { .. } => {
                if process.leads.is_some() {
                    let from = id_of(from);
                    process
                        .registrar
                        .handle_message(local, &process.table, from, message);
                } else {
                    let leader = process.leader.map(id_of);
                    let voters = (0..self.options.voters).map(id_of).collect();
                    self.send(to, from, LockMessage::NotLeader { leader, voters });
                }
            }
            LockMessage::NotLeader { leader, .. } => {
                // If it knows of none either, somebody else may.
                process.leader = leader.map(index_of);
                process.agent.handle_leader(local, leader);
            }
            LockMessage::Opened { .. }
            | LockMessage::Renewed { .. }
            | LockMessage::Ended { .. }
            | LockMessage::Refused { .. }
            | LockMessage::Notice(_)
            | LockMessage::Asked { .. }
            | LockMessage::Withdrawn { .. }
            | LockMessage::Token(_)
            | LockMessage::NoQuorum(_) => {
                process.agent.handle_message(local, id_of(from), message);
            }
        }
        self.settle(to)
    }
}

const fn kind(message: &LockMessage) -> u64 {
    match message {
        LockMessage::Open { .. } => 0,
        LockMessage::Opened { .. } => 1,
        LockMessage::Renew { .. } => 2,
        LockMessage::Renewed { .. } => 3,
        LockMessage::Ended { .. } => 4,
        LockMessage::Propose { .. } => 5,
        LockMessage::Refused { .. } => 6,
        LockMessage::Notice(_) => 7,
        LockMessage::Token(_) => 8,
        LockMessage::NotLeader { .. } => 9,
        LockMessage::NoQuorum(_) => 10,
        LockMessage::Withdrawn { .. } => 11,
        LockMessage::Asked { .. } => 12,
    }
}
