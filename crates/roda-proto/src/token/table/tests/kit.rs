//! A table with a few nodes, in few words.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::id::{AuthorId, NodeId, Seq};
use crate::token::{
    Applied, Change, Fence, Frontier, GrantView, LockCommand, LockName, LockOutcome, LockRefusal,
    Notice, Permits, Priority, RequestId, SESSION_MILLIS_MIN, SHORT_HOLD_MILLIS, SessionId,
    SessionView, Table,
};

pub(super) const SHORT: u64 = 0;
pub(super) const LONG: u64 = SHORT_HOLD_MILLIS;

/// A table, what its sessions know of it by notices alone, and checks after every step.
#[derive(Clone, Default)]
pub(super) struct Kit {
    pub(super) table: Table,
    pub(super) known: BTreeMap<SessionId, SessionView>,
    pub(super) changes: Vec<Change>,
}

pub(super) fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

pub(super) fn names(names: &str) -> Vec<LockName> {
    let names = names.split(',');
    names.map(|name| LockName::new(name).unwrap()).collect()
}

pub(super) fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap()
}

pub(super) fn permits(value: u32) -> Permits {
    Permits::new(value).unwrap()
}

pub(super) fn frontier(entries: &[(u8, u64)]) -> Frontier {
    let entries = entries.iter();
    let entries = entries.map(|&(author, seq)| (AuthorId([author; 16]), Seq(seq)));
    Frontier(entries.collect())
}

pub(super) fn open(number: u8) -> LockCommand {
    LockCommand::Open {
        node: node(number),
        boot: 1,
        session_millis: SESSION_MILLIS_MIN,
    }
}

pub(super) fn acquire(session: u64, request: u64, locks: &str) -> LockCommand {
    acquire_as(session, request, locks, Permits::EXCLUSIVE, 0)
}

pub(super) fn acquire_as(
    session: u64,
    request: u64,
    locks: &str,
    permits: Permits,
    value: u8,
) -> LockCommand {
    LockCommand::Acquire {
        session: SessionId(session),
        request: RequestId(request),
        locks: names(locks),
        permits,
        priority: priority(value),
        is_ahead: false,
    }
}

/// The same, asked for before a client wants it.
pub(super) fn ahead(mut command: LockCommand) -> LockCommand {
    if let LockCommand::Acquire { is_ahead, .. } = &mut command {
        *is_ahead = true;
    }
    command
}

pub(super) fn cancel(session: u64, request: u64) -> LockCommand {
    LockCommand::Cancel {
        session: SessionId(session),
        request: RequestId(request),
    }
}

pub(super) fn release(session: u64, fence: Fence, held_millis: u64) -> LockCommand {
    LockCommand::Release {
        session: SessionId(session),
        fence,
        frontier: Frontier::default(),
        held_millis,
    }
}

impl Kit {
    /// Nodes 1 to `count`, each with the session of its number.
    pub(super) fn with_sessions(count: u8) -> Self {
        let mut kit = Self::default();
        for number in 1..=count {
            let outcome = kit.one(open(number));
            assert_eq!(outcome, LockOutcome::Opened(SessionId(number.into())));
        }
        kit.changes.clear();
        kit
    }

    pub(super) fn apply(&mut self, commands: &[LockCommand]) -> Applied {
        let applied = self.table.apply(commands);
        assert_eq!(applied.outcomes.len(), commands.len());
        self.changes.extend(applied.changes.clone());
        for (node, notice) in &applied.notices {
            assert_eq!(self.table.node_of(notice.session), Some(*node));
            self.learn(notice);
        }
        self.known.retain(|&id, _| self.table.node_of(id).is_some());
        applied
    }

    /// One command, one entry, with all checks.
    pub(super) fn one(&mut self, command: LockCommand) -> LockOutcome {
        let outcome = self.apply(&[command]).outcomes.remove(0);
        self.check();
        outcome
    }

    pub(super) fn done(&mut self, command: LockCommand) {
        assert_eq!(self.one(command), LockOutcome::Done);
    }

    pub(super) fn refused(&mut self, command: LockCommand, refusal: LockRefusal) {
        let before = self.known.clone();
        assert_eq!(self.one(command), LockOutcome::Refused(refusal));
        assert!(before == self.known);
    }

    /// The session asks, exclusively, at priority 0; request and session have the same number.
    pub(super) fn ask(&mut self, session: u64, locks: &str) {
        self.done(acquire(session, session, locks));
    }

    pub(super) fn ask_as(&mut self, session: u64, locks: &str, permits: Permits, value: u8) {
        self.done(acquire_as(session, session, locks, permits, value));
    }

    /// The session leaves its only grant.
    pub(super) fn leave(&mut self, session: u64, held_millis: u64) {
        let fence = self.fence(session);
        self.done(release(session, fence, held_millis));
    }

    pub(super) fn view(&self, session: u64) -> SessionView {
        self.table.view(SessionId(session)).unwrap()
    }

    /// The only grant of a session.
    pub(super) fn grant(&self, session: u64) -> GrantView {
        let [grant] = self.view(session).grants.try_into().unwrap();
        grant
    }

    pub(super) fn fence(&self, session: u64) -> Fence {
        self.grant(session).fence
    }

    /// Sessions that are inside, that follow, and that wait, of one lock: `"1 | 2 3 | 4"`; with `!` after
    /// those that were revoked.
    pub(super) fn line(&self, lock: &str) -> String {
        let status = self.table.status(&names(lock));
        let Some(status) = status.first() else {
            return "free".into();
        };
        let holders = |is_live: bool| {
            let some = status.holders.iter().filter(|h| h.is_live == is_live);
            join(some.map(|holder| (holder.session, holder.is_revoked)))
        };
        let waiters = join(status.waiters.iter().map(|waiter| (waiter.session, false)));
        format!("{} | {} | {waiters}", holders(true), holders(false))
    }

    /// All that must hold whatever came before.
    pub(super) fn check(&self) {
        self.table.check().unwrap();
        for name in self.table.locks.keys() {
            assert!(self.table.choose(name).is_none(), "a waiter was passed by");
        }
        for (id, _, _) in self.table.sessions() {
            let mut view = self.table.view(id).unwrap();
            let mut known = self.known.get(&id).cloned().unwrap_or_default();
            let frontiers = view.grants.iter_mut().chain(&mut known.grants);
            // Only told together with something else.
            frontiers.for_each(|grant| {
                grant.frontier = Frontier::default();
                grant.share = 0;
            });
            view.grants.sort_by_key(|grant| grant.fence);
            assert_eq!(view, known);
        }
    }

    /// What an agent does with a notice.
    fn learn(&mut self, notice: &Notice) {
        let view = self.known.entry(notice.session).or_default();
        assert_eq!(notice.version, view.version + 1);
        view.version = notice.version;
        for grant in &notice.grants {
            view.grants.retain(|known| known.fence != grant.fence);
            view.grants.push(grant.clone());
            view.waiting.retain(|request| *request != grant.request);
        }
        view.grants.sort_by_key(|grant| grant.fence);
        view.grants
            .retain(|grant| !notice.gone.contains(&grant.fence));
        view.waiting.extend(&notice.queued);
        view.waiting
            .retain(|request| !notice.dropped.contains(request));
        view.waiting.sort();
    }
}

fn join(sessions: impl Iterator<Item = (SessionId, bool)>) -> String {
    let mark = |is_revoked| if is_revoked { "!" } else { "" };
    let sessions = sessions.map(|(session, is_revoked)| format!("{session}{}", mark(is_revoked)));
    sessions.collect::<Vec<_>>().join(" ")
}
