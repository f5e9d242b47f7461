//! What the application asks for.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Command, CommandError, CommandId, Engine, Event};
use crate::crypto;
use crate::group::control::Control;
use crate::group::{InviteId, MEMBERS_MAX, short_name};
use crate::id::{NodeId, Seq};
use crate::log::{BODY_LEN_MAX, Draft, EntryKind, Topic};
use crate::record::Record;
use crate::stream::{Refusal, join_proof_message};
use crate::time::Hlc;

impl Engine {
    pub(super) fn on_command(&mut self, id: CommandId, command: Command) {
        if let Err(error) = self.try_command(id, command) {
            self.has_refused_busy |= error == CommandError::Busy;
            self.event(Event::Failed { command: id, error });
        }
    }

    fn try_command(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        if (self.is_expelled || self.is_leaving) && !matches!(command, Command::Bye) {
            return Err(CommandError::NotMember);
        }
        match command {
            Command::Append { topic, bodies } => {
                self.append(id, EntryKind::Message, topic, bodies.into())
            }
            Command::AppendFenced {
                topic,
                hold,
                bodies,
            } => {
                let bodies = bodies.iter().map(|body| hold.entry_body(body));
                self.append(id, EntryKind::Fenced, topic, bodies.collect())
            }
            Command::AppendJobs { topic, bodies } => {
                self.append(id, EntryKind::Job, topic, bodies.into())
            }
            Command::Found { salt, name, nick } => {
                self.is_founding = true;
                let profile = self.profile(nick);
                self.write(id, vec![Control::Found { salt, name }, profile], Vec::new());
                Ok(())
            }
            Command::Introduce { nick } => {
                self.introduce(id, nick);
                Ok(())
            }
            Command::Invite {
                invite,
                uses,
                expires,
            } => {
                let control = Control::Invite {
                    invite,
                    uses,
                    expires: expires.0,
                };
                self.write(id, vec![control], Vec::new());
                Ok(())
            }
            Command::Admit {
                node,
                invite,
                proof,
                wrap_key,
                nick,
            } => self.admit(id, node, invite, &proof, wrap_key, nick),
            Command::Remove { node } => self.remove(id, node),
            Command::Leave => self.leave(id),
            Command::Bye => {
                self.send_bye();
                self.done_at_once(id);
                Ok(())
            }
        }
    }

    fn leave(&mut self, id: CommandId) -> Result<(), CommandError> {
        let member = self.membership.member(&self.node);
        let admissions = member.map(|member| member.admissions()).unwrap_or_default();
        // Before its own admission is here, it could not say what ends.
        if admissions.is_empty() {
            return Err(CommandError::Busy);
        }
        self.is_leaving = true;
        self.outbox.push_last(Draft {
            command: Some(id),
            kind: EntryKind::Control,
            topic: None,
            bodies: [Control::Leave { admissions }.encode()].into(),
            records: Vec::new(),
        });
        Ok(())
    }

    fn done_at_once(&mut self, command: CommandId) {
        self.event(Event::Done {
            command,
            first: Seq(0),
            last: Seq(0),
            hlc: Hlc::ZERO,
        });
    }

    fn write(&mut self, id: CommandId, controls: Vec<Control>, records: Vec<Record>) {
        let bodies = controls.iter().map(Control::encode).collect();
        self.outbox.push(Draft {
            command: Some(id),
            kind: EntryKind::Control,
            topic: None,
            bodies,
            records,
        });
    }

    fn append(
        &mut self,
        id: CommandId,
        kind: EntryKind,
        topic: Topic,
        bodies: VecDeque<Vec<u8>>,
    ) -> Result<(), CommandError> {
        if bodies.iter().any(|body| body.len() > BODY_LEN_MAX) {
            return Err(CommandError::TooLong);
        }
        if !self.outbox.has_room() {
            return Err(CommandError::Busy);
        }
        if bodies.is_empty() {
            self.done_at_once(id);
            return Ok(());
        }
        self.outbox.push(Draft {
            command: Some(id),
            kind,
            topic: Some(topic),
            bodies,
            records: Vec::new(),
        });
        Ok(())
    }

    fn profile(&self, nick: String) -> Control {
        Control::Profile {
            nick: short_name(&nick),
            wrap_key: *self.wrap_key.public(),
        }
    }

    fn introduce(&mut self, id: CommandId, nick: String) {
        let nick = short_name(&nick);
        let has_written = self.logs.accepted(&self.author) > Seq(0);
        let is_known = self.membership.member(&self.node).is_some_and(|member| {
            member.nick() == nick && member.wrap_key == Some(*self.wrap_key.public())
        });
        if has_written && is_known {
            self.done_at_once(id);
        } else {
            let profile = self.profile(nick);
            self.write(id, vec![profile], Vec::new());
        }
    }

    fn admit(
        &mut self,
        id: CommandId,
        node: NodeId,
        invite: InviteId,
        proof: &[u8],
        wrap_key: [u8; 32],
        nick: String,
    ) -> Result<(), CommandError> {
        let message = join_proof_message(&self.group, &node, &self.node);
        if !crypto::verify(&invite.0, &message, proof) {
            return Err(CommandError::Refused(Refusal::BadProof));
        }
        if self.membership.is_active(&node) {
            // The joiner did not hear the first answer and asks again.
            self.done_at_once(id);
            return Ok(());
        }
        self.membership
            .check_invite(&invite, self.now.wall)
            .map_err(CommandError::Refused)?;
        let waiting = self
            .admitting
            .iter()
            .filter(|waiting| **waiting == invite)
            .count();
        if waiting as u64 >= u64::from(self.membership.uses_left(&invite)) {
            return Err(CommandError::Refused(Refusal::UsedUp));
        }
        if self.membership.count() + self.admitting.len() >= MEMBERS_MAX {
            return Err(CommandError::GroupFull);
        }
        self.admitting.push(invite);
        let epochs = self.epoch_keys().iter().map(|epoch| epoch.tag).collect();
        self.write(
            id,
            vec![Control::Admit {
                node,
                wrap_key,
                nick: short_name(&nick),
                invite,
                epochs,
            }],
            Vec::new(),
        );
        Ok(())
    }

    fn remove(&mut self, id: CommandId, node: NodeId) -> Result<(), CommandError> {
        if node == self.node || !self.membership.is_active(&node) {
            return Err(CommandError::UnknownMember);
        }
        let admissions = self
            .membership
            .member(&node)
            .map(|member| member.admissions())
            .unwrap_or_default();
        let cuts = self.logs.authors_of(&node).collect();
        self.removing.push(node);
        let remove = Control::Remove {
            node,
            admissions,
            cuts,
        };
        let (mut bodies, record) = self.rotation(Some(node));
        bodies.push_front(remove.encode());
        self.outbox.push(Draft {
            command: Some(id),
            kind: EntryKind::Control,
            topic: None,
            bodies,
            records: vec![record],
        });
        Ok(())
    }
}
