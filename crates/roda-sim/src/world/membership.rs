//! Founding, inviting, joining and parting, as the runtime does them around the engine.

use std::time::Duration;

use roda_proto::crypto::{self, WrapKey};
use roda_proto::group::control::founding_group_id;
use roda_proto::stream::join_proof_message;
use roda_proto::{
    AuthorId, Command, EpochRecord, GroupId, Hlc, Identity, Incarnation, InviteToken, Seq,
};

use zeroize::Zeroizing;

use super::{What, World};
use crate::clock::true_wall;
use crate::disk::Disk;
use crate::invariants::{Check, Origin};
use crate::node::{Standing, Wish};

const RETRY: Duration = Duration::from_millis(400);
const SETTLE_RETRY: Duration = Duration::from_secs(3);
const INVITE_USES: u32 = 10_000;
const INVITE_LASTS: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// Time for a founder to found a group and publish an invite, on a quiet disk.
const SETTLE: Duration = Duration::from_millis(200);
/// Time for one admission, on a quiet disk.
const ADMIT_TIME: Duration = Duration::from_millis(2);
const GROUP_NAME: &str = "simulated";

impl World {
    /// Node 0 founds the group; all others join as soon as there is an invite.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn begin(&mut self) -> Check {
        self.begin_alone()?;
        for joiner in 1..self.nodes.len() {
            let at = self
                .chance
                .membership
                .duration(Duration::ZERO, self.options.safety / 4);
            self.after(at, What::Join { joiner });
        }
        self.schedule_parting();
        Ok(())
    }

    /// Node 0 founds the group and publishes an invite.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn begin_alone(&mut self) -> Check {
        let salt = self.chance.membership.bytes();
        let group = founding_group_id(&self.nodes[0].id, &salt, GROUP_NAME);
        self.group = Some(group);
        let secret: Zeroizing<[u8; 32]> = self.chance.membership.bytes().into();
        let epoch = EpochRecord {
            tag: crypto::epoch_tag(&secret),
            secret,
            created: Hlc::ZERO,
        };
        let disk = Disk::new(self.identity(0, group), vec![epoch]);
        self.give_disk(0, disk);
        self.start(0)?;
        self.founding_salt = salt;
        self.after(Duration::ZERO, What::Found);
        Ok(())
    }

    fn schedule_parting(&mut self) {
        for node in self.options.nodes..self.nodes.len() {
            let at = self
                .chance
                .membership
                .duration(self.options.safety / 4, self.options.safety);
            self.after(at, What::Part { node });
        }
    }

    fn identity(&mut self, node: usize, group: GroupId) -> Identity {
        Identity {
            seed: self.nodes[node].seed.into(),
            incarnation: Incarnation(self.chance.membership.bytes()),
            group,
            group_name: GROUP_NAME.into(),
        }
    }

    fn give_disk(&mut self, node: usize, disk: Disk) {
        let machine = &mut self.nodes[node];
        machine.author = crypto::author_id(&machine.id, &disk.identity.incarnation);
        for epoch in disk.stored().epochs() {
            self.invariants.inspector.learn(epoch);
            self.invariants.removal.on_key(node, epoch.tag);
        }
        machine.disk = Some(disk);
    }

    /// Gives a command to a node; nothing happens if it is down.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn command(&mut self, node: usize, wish: Wish, command: Command) -> Check {
        if !self.nodes[node].is_up() {
            self.wish_again(node, &wish);
            return Ok(());
        }
        let id = self.next_command();
        self.note(node, &[40, id.0], || format!("is told {id:?}: {wish:?}"));
        self.nodes[node].wishes.insert(id, wish);
        self.feed(
            node,
            roda_proto::Input::Command(id, command),
            Origin::World,
            false,
        )?;
        Ok(())
    }

    /// A wish was refused, or its node went down before it came true.
    pub(super) fn wish_again(&mut self, node: usize, wish: &Wish) {
        let what = match wish {
            Wish::Found => What::Found,
            Wish::Invite => What::Invite,
            Wish::Admit(joiner) => What::Join { joiner: *joiner },
            Wish::Remove(target) => What::Part { node: *target },
            Wish::Leave => What::Part { node },
            Wish::Introduce => {
                let boot = self.nodes[node].boot;
                What::Introduce { node, boot }
            }
            Wish::Append(_) | Wish::Stop | Wish::Enrol(_) => return,
        };
        self.after(RETRY, what);
    }

    pub(super) fn found(&mut self) -> Check {
        // A founding entry that a crash spared needs no second one.
        if self.nodes[0].written > Seq(0) && self.nodes[0].is_up() {
            self.founded(0);
            return Ok(());
        }
        let command = Command::Found {
            salt: self.founding_salt,
            name: GROUP_NAME.into(),
            nick: self.nodes[0].nick.clone(),
        };
        self.command(0, Wish::Found, command)
    }

    pub(super) fn founded(&mut self, node: usize) {
        self.nodes[node].standing = Standing::Member;
        self.after(Duration::ZERO, What::Invite);
    }

    pub(super) fn publish_invite(&mut self) -> Check {
        let Some(group) = self.group else {
            return Ok(());
        };
        let invite = InviteToken {
            group,
            seed: self.chance.membership.bytes().into(),
            expires: true_wall(self.now, INVITE_LASTS),
            hints: vec![self.nodes[0].address],
        };
        let command = Command::Invite {
            invite: invite.id(),
            uses: INVITE_USES,
            expires: invite.expires,
        };
        self.offered = Some(invite);
        self.command(0, Wish::Invite, command)
    }

    pub(super) fn invited(&mut self) {
        self.invite = self.offered.clone();
    }

    pub(super) fn ask_to_join(&mut self, joiner: usize) -> Check {
        let admitters = self.core_connected_to(joiner);
        let admitter = self.chance.membership.pick(&admitters).copied();
        let command = admitter.and_then(|admitter| self.admission(joiner, admitter));
        match (admitter, command, self.nodes[joiner].standing) {
            (Some(admitter), Some(command), Standing::Outside) => {
                self.command(admitter, Wish::Admit(joiner), command)
            }
            (_, _, Standing::Outside) => {
                self.after(RETRY, What::Join { joiner });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn granted(&mut self, joiner: usize, admitter: usize) -> Check {
        let (Some(engine), Some(group), Standing::Outside) = (
            &self.nodes[admitter].engine,
            self.group,
            self.nodes[joiner].standing,
        ) else {
            if self.nodes[joiner].standing == Standing::Outside {
                self.after(RETRY, What::Join { joiner });
            }
            return Ok(());
        };
        let epochs = engine.epoch_keys();
        let identity = self.identity(joiner, group);
        self.give_disk(joiner, Disk::new(identity, epochs));
        self.nodes[joiner].contacts = vec![self.nodes[admitter].address];
        self.nodes[joiner].standing = Standing::Joining;
        self.start(joiner)?;
        self.open_stream(joiner, admitter);
        self.after(SETTLE_RETRY, What::SettleIn { joiner });
        Ok(())
    }

    /// A newcomer asks again for what it was not given completely.
    pub(super) fn settle_in(&mut self, joiner: usize) -> Check {
        if self.nodes[joiner].standing != Standing::Joining {
            return Ok(());
        }
        self.after(SETTLE_RETRY, What::SettleIn { joiner });
        let servers = self.core_connected_to(joiner);
        let server = self.chance.membership.pick(&servers).copied();
        if let Some(server) = server.filter(|server| self.knows(*server, joiner)) {
            self.open_stream(joiner, server);
        }
        Ok(())
    }

    /// A stream has given `node` all that the other side had.
    pub(super) fn has_caught_up(&mut self, node: usize) -> Check {
        if self.nodes[node].standing != Standing::Joining {
            return Ok(());
        }
        self.nodes[node].standing = Standing::Member;
        let boot = self.nodes[node].boot;
        self.introduce(node, boot)
    }

    fn core_connected_to(&self, node: usize) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|other| self.nodes[*other].is_core() && self.network.connects(*other, node))
            .collect()
    }

    pub(super) fn introduce(&mut self, node: usize, boot: u32) -> Check {
        let machine = &self.nodes[node];
        if machine.boot != boot || machine.standing != Standing::Member {
            return Ok(());
        }
        let nick = machine.nick.clone();
        self.command(node, Wish::Introduce, Command::Introduce { nick })
    }

    /// A doomed member goes: by itself or shown the door, as its number decides.
    pub(super) fn part(&mut self, node: usize) -> Check {
        match self.nodes[node].standing {
            Standing::Gone => return Ok(()),
            Standing::Outside | Standing::Joining => {
                self.after(RETRY, What::Part { node });
                return Ok(());
            }
            Standing::Member => {}
        }
        self.invariants.order.on_parting(self.nodes[node].author);
        if node.is_multiple_of(3) && self.is_safety_phase {
            return self.command(node, Wish::Leave, Command::Leave);
        }
        let core: Vec<usize> = (0..self.nodes.len())
            .filter(|other| self.nodes[*other].is_core())
            .collect();
        let target = self.nodes[node].id;
        match self.chance.membership.pick(&core).copied() {
            Some(by) => self.command(by, Wish::Remove(node), Command::Remove { node: target }),
            None => {
                self.after(RETRY, What::Part { node });
                Ok(())
            }
        }
    }

    pub(super) fn removed(&mut self, by: usize, target: usize, entry: Seq) {
        self.nodes[target].standing = Standing::Gone;
        if entry > Seq(0) {
            let author: AuthorId = self.nodes[by].author;
            let gone = (target, self.nodes[target].author);
            self.invariants
                .removal
                .on_removed(self.now, (author, entry), gone);
            let (written, order) = (self.nodes[by].written, &self.invariants.order);
            let delivered = |of: &AuthorId| {
                let last = order.last(by, of);
                if *of == author { last.max(entry) } else { last }
            };
            self.invariants.removal.on_progress(by, written, delivered);
        }
    }

    /// Sets up a large group at once: node 0 admits everyone, then all others start from its disk.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn begin_from_one_disk(&mut self) -> Check {
        self.begin_alone()?;
        self.run_for(SETTLE)?;
        for joiner in 1..self.nodes.len() {
            if let Some(command) = self.admission(joiner, 0) {
                self.command(0, Wish::Enrol(joiner), command)?;
            }
            self.run_for(ADMIT_TIME)?;
        }
        self.run_for(SETTLE)?;
        let group = self.group.expect("founded above");
        for node in 1..self.nodes.len() {
            let identity = self.identity(node, group);
            let disk = self.nodes[0]
                .disk
                .as_ref()
                .map(|disk| disk.cloned_for(identity));
            if let Some(disk) = disk {
                self.give_disk(node, disk);
            }
            self.nodes[node].contacts = vec![self.nodes[0].address];
            // Only then a member, because a start of a member would introduce it, and its admission
            // has already said its nick.
            self.start(node)?;
            self.nodes[node].standing = Standing::Member;
        }
        Ok(())
    }

    /// The command with which `admitter` lets `joiner` in; `None` before there is an invite.
    fn admission(&self, joiner: usize, admitter: usize) -> Option<Command> {
        let invite = self.invite.as_ref()?;
        let (id, admitting) = (self.nodes[joiner].id, self.nodes[admitter].id);
        let message = join_proof_message(&invite.group, &id, &admitting);
        Some(Command::Admit {
            node: id,
            invite: invite.id(),
            proof: invite.signing_key().sign(&message).to_vec(),
            wrap_key: *WrapKey::from_seed(&self.nodes[joiner].seed).public(),
            nick: self.nodes[joiner].nick.clone(),
        })
    }
}
