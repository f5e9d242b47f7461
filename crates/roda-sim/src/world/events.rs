//! What engines report.

use std::sync::Arc;
use std::time::Duration;

use roda_proto::{AuthorId, Batch, CommandError, CommandId, Event, Seq};

use super::{What, World};
use crate::invariants::{Check, Violation};
use crate::node::{Standing, Wish};
use crate::trace::hash_bytes;

const CONTACTS_MAX: usize = 8;

impl World {
    pub(super) fn event(&mut self, node: usize, event: Event) -> Check {
        if let Event::Delivered(batch) = event {
            return self.delivered(node, &batch);
        }
        let text = format!("{event:?}");
        let hash = hash_bytes(text.as_bytes());
        self.note(node, &[20, hash], || text);
        match event {
            Event::Done {
                command,
                first,
                last,
                ..
            } => self.done(node, command, first, last),
            Event::Failed { command, error } => self.failed(node, command, error),
            Event::Stable(stable) => self.invariants.stability.on_stable(node, stable),
            Event::CatchUp { peer, address } => {
                let boot = self.nodes[node].boot;
                let delay = self.stream_delay();
                self.after(
                    delay,
                    What::StreamOpen {
                        asker: node,
                        boot,
                        address,
                        peer,
                    },
                );
                Ok(())
            }
            Event::Contact {
                node: id, address, ..
            } => self.contact(node, id, address),
            Event::Forked(author) => {
                Err(Violation::at("fork", node, format!("sees {author:?} fork")))
            }
            Event::Amnesia => Err(Violation::at(
                "amnesia",
                node,
                "nothing acknowledged was lost",
            )),
            Event::Expelled => self.expelled(node),
            _ => Ok(()),
        }
    }

    fn delivered(&mut self, node: usize, batch: &Arc<Batch>) -> Check {
        self.totals.delivered += 1;
        let word = batch.first.0 ^ hash_bytes(&batch.hash.0);
        self.note(node, &[21, word], || format!("delivers {batch:?}"));
        let machine = &self.nodes[node];
        if let Some(disk) = &machine.disk {
            self.invariants
                .durability
                .on_deliver(node, batch, disk.stored())?;
        }
        self.invariants.order.on_deliver(node, batch)?;
        self.invariants
            .stability
            .on_change(node, "delivers", batch)?;
        self.invariants.removal.on_deliver(node, batch)?;
        self.learn_removals(node);
        Ok(())
    }

    /// A node knows of those removals whose entries it has delivered.
    fn learn_removals(&mut self, node: usize) {
        if !self.invariants.removal.is_idle() {
            let order = &self.invariants.order;
            let written = self.nodes[node].written;
            let delivered = |author: &AuthorId| order.last(node, author);
            self.invariants
                .removal
                .on_progress(node, written, delivered);
        }
    }

    fn contact(
        &mut self,
        node: usize,
        id: roda_proto::NodeId,
        address: std::net::SocketAddr,
    ) -> Check {
        let truth = self.nodes.iter().find(|machine| machine.id == id);
        if truth.is_none_or(|machine| machine.address != address) {
            let detail = format!("believes that {id:?} is at {address}");
            return Err(Violation::at("I3 unproven address", node, detail));
        }
        self.nodes[node].met.insert(id);
        let contacts = &mut self.nodes[node].contacts;
        if !contacts.contains(&address) {
            contacts.push(address);
            contacts.truncate(CONTACTS_MAX);
        }
        Ok(())
    }

    fn expelled(&mut self, node: usize) -> Check {
        let machine = &mut self.nodes[node];
        machine.expelled = true;
        if machine.doomed {
            return Ok(());
        }
        Err(Violation::at(
            "membership",
            node,
            "was expelled, though nobody removed it",
        ))
    }

    fn wish_of(&mut self, node: usize, command: CommandId) -> Result<Wish, Violation> {
        self.nodes[node]
            .wishes
            .remove(&command)
            .ok_or_else(|| Violation::at("commands", node, format!("{command:?} answered twice")))
    }

    fn done(&mut self, node: usize, command: CommandId, first: Seq, last: Seq) -> Check {
        self.totals.done += 1;
        let wish = self.wish_of(node, command)?;
        let machine = &self.nodes[node];
        let author = machine.author;
        if let Some(disk) = &machine.disk {
            let durability = &mut self.invariants.durability;
            durability.on_acknowledge(node, author, last, disk.stored())?;
        }
        match wish {
            Wish::Found => self.founded(node),
            Wish::Invite => self.invited(),
            Wish::Append(bodies) => self.check_appended(node, &bodies, first, last)?,
            Wish::Admit(joiner) => {
                let delay = self.stream_delay();
                self.after(
                    delay,
                    What::Granted {
                        joiner,
                        admitter: node,
                    },
                );
            }
            Wish::Introduce | Wish::Enrol(_) => {}
            Wish::Remove(target) => self.removed(node, target, last),
            Wish::Leave => self.nodes[node].standing = Standing::Gone,
            Wish::Stop => {
                let boot = self.nodes[node].boot;
                self.after(Duration::ZERO, What::Stopped { node, boot });
            }
        }
        Ok(())
    }

    /// Whether a node has said that it leaves.
    fn is_out(&self, node: usize) -> bool {
        let machine = &self.nodes[node];
        let disk = machine.disk.as_ref();
        disk.is_some_and(|disk| disk.stored().has_left(&machine.author))
    }

    fn failed(&mut self, node: usize, command: CommandId, error: CommandError) -> Check {
        self.totals.failed += 1;
        let wish = self.wish_of(node, command)?;
        let is_member = self.nodes[node].standing == Standing::Member && !self.nodes[node].doomed;
        match (wish, error) {
            (Wish::Append(_), CommandError::NotMember) if !is_member => {}
            (Wish::Append(_), CommandError::Busy) => {}
            (Wish::Append(_) | Wish::Found, error) => {
                return Err(Violation::at("commands", node, format!("fails: {error}")));
            }
            // A crash swallowed the answer to an earlier command that had taken effect.
            (Wish::Leave, CommandError::NotMember) => self.nodes[node].standing = Standing::Gone,
            // So did the leave of the one to be removed.
            (Wish::Remove(target), CommandError::UnknownMember) if self.is_out(target) => {
                self.nodes[target].standing = Standing::Gone;
            }
            (wish, _) => self.wish_again(node, &wish),
        }
        Ok(())
    }
}
