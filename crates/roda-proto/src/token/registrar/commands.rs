//! Commands that nodes send: which of them are taken, and what their senders are told.

use super::*;
use crate::token::Heir;

/// Most sessions of one node; beyond that it has to wait for the end of an old one.
const SESSIONS_PER_NODE_MAX: usize = 16;

impl Registrar {
    pub(super) fn on_open(
        &mut self,
        table: &Table,
        node: NodeId,
        boot: u64,
        sent_micros: u64,
        millis: u32,
    ) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let sessions = table.sessions().filter(|(_, of, _)| *of == node);
        if sessions.count() >= SESSIONS_PER_NODE_MAX {
            return;
        }
        let origin = Origin::Open {
            node,
            boot,
            sent_micros,
        };
        let command = LockCommand::Open {
            node,
            boot,
            session_millis: millis,
        };
        leading.proposals.push(origin, command);
    }

    /// Takes those commands that the sender may give.
    pub(super) fn on_propose(&mut self, table: &Table, from: NodeId, commands: Vec<LockCommand>) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let mut ended = BTreeSet::new();
        let mut asked = BTreeMap::new();
        for command in commands.into_iter().take(COMMANDS_PER_PROPOSAL_MAX) {
            let Some((session, origin)) = origin_of(from, &command) else {
                continue;
            };
            let Some(session) = session else {
                leading.proposals.push(origin, command);
                continue;
            };
            // Asked for again: of what it has, the table tells by notices and views.
            let is_known = matches!(origin, Origin::Acquire { request, .. }
                if table.has_request(session, request));
            match table.node_of(session) {
                Some(node) if node == from && !is_known => {
                    if let Some(last) = last_before(table, session, &command) {
                        asked.insert(last.fence, last);
                    }
                    leading.proposals.push(origin, command);
                }
                Some(_) => {}
                None => {
                    ended.insert(session);
                }
            }
        }
        for session in ended {
            // Told once a quorum has confirmed that this table is the latest.
            leading.renewals.push(session, Renewal::of_nobody(from));
        }
        for (fence, Heir { node, session, .. }) in asked {
            self.send(node, LockMessage::Asked { session, fence });
        }
    }

    /// Tells whoever asked for a command what became of it.
    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        origin: Origin,
        outcome: &LockOutcome,
        withdrawn: &mut Withdrawn,
    ) {
        match (origin, outcome) {
            (
                Origin::Open {
                    node,
                    boot,
                    sent_micros,
                },
                LockOutcome::Opened(session),
            ) => {
                let Role::Leading(leading) = &mut self.role else {
                    return;
                };
                // A boot that asks again has the session of before, which may be ending by now.
                if leading.clocks.renew(now, *session) {
                    let opened = LockMessage::Opened {
                        boot,
                        sent_micros,
                        session: *session,
                    };
                    self.send(node, opened);
                }
            }
            (
                Origin::Acquire {
                    node,
                    session,
                    request,
                },
                LockOutcome::Refused(refusal),
            ) => {
                let refused = LockMessage::Refused {
                    session,
                    request,
                    refusal: *refusal,
                };
                self.send(node, refused);
            }
            (
                Origin::Cancel {
                    node,
                    session,
                    request,
                },
                _,
            ) => withdrawn.entry((node, session)).or_default().push(request),
            // Of what was queued or granted, notices tell.
            (Origin::Acquire { .. }, LockOutcome::Done | LockOutcome::Opened(_))
            | (Origin::Open { .. } | Origin::Expire(_) | Origin::Unasked(_), _) => {}
        }
    }
}

/// The last grant of a lock that another session asks for, if nobody comes after it yet.
fn last_before(table: &Table, asker: SessionId, command: &LockCommand) -> Option<Heir> {
    let LockCommand::Acquire { locks, .. } = command else {
        return None;
    };
    let [lock] = locks.as_slice() else {
        return None;
    };
    table.last_grant(lock).filter(|last| last.session != asker)
}

/// Whose command it is, for a session that has to be the sender's; `None` if no node may send it.
fn origin_of(node: NodeId, command: &LockCommand) -> Option<(Option<SessionId>, Origin)> {
    match *command {
        LockCommand::Acquire {
            session, request, ..
        } => {
            let origin = Origin::Acquire {
                node,
                session,
                request,
            };
            Some((Some(session), origin))
        }
        LockCommand::Cancel { session, request } => {
            let origin = Origin::Cancel {
                node,
                session,
                request,
            };
            Some((Some(session), origin))
        }
        LockCommand::Release { session, .. } | LockCommand::Close { session } => {
            Some((Some(session), Origin::Unasked(Some(node))))
        }
        LockCommand::Force { by, .. } => {
            (by == node).then_some((None, Origin::Unasked(Some(node))))
        }
        // A session is opened by a message of its own; the others are for the leader only.
        LockCommand::Start { .. } | LockCommand::Open { .. } | LockCommand::Expire { .. } => None,
    }
}
