//! What the engine tells.

use std::net::SocketAddr;
use std::sync::Arc;

use roda_proto::{Batch, Event, NodeId, Now};
use roda_store::Contact;

use super::{CONTACTS_MAX, Driver, EXPELLED};
use crate::types::Receipt;

impl Driver {
    pub(super) fn on_event(&mut self, event: Event) {
        match event {
            Event::Done {
                command,
                first,
                last,
                hlc,
            } => {
                // Whoever gets the receipt may ask for the head at once.
                self.publish_head();
                self.answer(
                    command,
                    Ok(Receipt {
                        author: self.engine.author(),
                        first,
                        last,
                        hlc,
                    }),
                );
            }
            Event::Failed { command, error } => self.answer(command, Err(error.into())),
            Event::Delivered(batch) => self.on_delivered(batch),
            Event::Stable(hlc) => {
                self.published.stable.send_replace(hlc);
            }
            Event::MembersChanged => {
                self.members_changed = true;
                self.look_again();
            }
            Event::CopiesChanged => self.watched.tell(&self.engine),
            Event::EpochChanged(_) => self.members_changed = true,
            Event::Contact {
                node,
                address,
                stream,
            } => self.on_contact(node, address, stream),
            Event::CatchUp { peer, address } => self.start_catch_up(peer, address),
            Event::Voided { author, above } => {
                tracing::warn!(%author, %above, "entries of a removed member were taken back");
                self.look_again();
            }
            Event::Forked(author) => {
                let problem = format!(
                    "author {author} signed two different logs; nothing more is accepted from it"
                );
                tracing::error!("{problem}");
                self.problems.insert(format!("fork {author}"), problem);
                self.look_again();
            }
            Event::Amnesia => self.reincarnate(),
            Event::ClockAhead { node, by } => {
                let problem = format!("the clock of {} is {} s ahead", node.short(), by.as_secs());
                self.problems.insert(format!("clock {node}"), problem);
            }
            Event::Expelled => {
                tracing::warn!("this node does not belong to the group any more");
                let problem = "this node does not belong to the group any more".to_owned();
                self.problems.insert(EXPELLED.to_owned(), problem);
                self.members_changed = true;
            }
            _newer => {}
        }
    }

    fn on_delivered(&mut self, batch: Arc<Batch>) {
        if batch.author == self.engine.author() {
            self.publish_head();
        }
        let engine = &self.engine;
        self.reached
            .on_durable(batch.author, batch.last, |author, seq| {
                engine.is_settled(author, seq)
            });
        if batch.has_jobs() {
            self.published
                .jobs
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        // Nobody may be listening.
        let _none = self.published.delivered.send(batch);
    }

    pub(super) fn publish_head(&self) {
        let head = self.engine.head();
        self.published.head.send_if_modified(|shown| {
            let is_new = *shown != head;
            *shown = head;
            is_new
        });
    }

    /// Some of what others wait for may never come now.
    pub(super) fn look_again(&mut self) {
        let engine = &self.engine;
        self.reached
            .look_again(|author, seq| engine.is_settled(author, seq));
    }

    fn on_contact(&mut self, node: NodeId, address: SocketAddr, stream: SocketAddr) {
        let Now { wall, .. } = self.now();
        let contact = Contact {
            node,
            datagram: address,
            stream,
            heard: wall,
        };
        self.contacts.insert(node, contact);
        self.published.contacts.send_modify(|contacts| {
            contacts.insert(node, stream);
        });
        while self.contacts.len() > CONTACTS_MAX {
            let oldest = self
                .contacts
                .values()
                .min_by_key(|contact| contact.heard)
                .map(|contact| contact.node);
            if let Some(oldest) = oldest {
                self.contacts.remove(&oldest);
            }
        }
        self.writer
            .run(move |store| store.save_contacts(&[contact]));
    }
}
