//! What the control API says and takes about locks.

use roda::{HoldState, LostReason, Permits, Quorum};
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// A wish for locks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldRequest {
    /// All of them at once.
    pub(crate) locks: Vec<String>,
    /// How urgent, 0 to 9.
    #[serde(default)]
    pub(crate) priority: u8,
    /// With how many at most the lock is shared, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) permits: Option<u32>,
    /// Shared with any number.
    #[serde(default)]
    pub(crate) shared: bool,
    /// Give up after so long; 0: unless it can be had at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wait_ms: Option<u64>,
    /// Topics to catch up with first.
    #[serde(default)]
    pub(crate) fresh: Vec<String>,
    /// The holds that the caller runs under.
    #[serde(default)]
    pub(crate) inside: Vec<String>,
}

/// What happens to a hold; one object per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum HoldEvent {
    /// The first: how the hold is called from now on.
    Hold {
        /// Its name, also the marker of the processes under it.
        hold: String,
        /// The session time: how long the lock outlives a lost machine.
        session_ms: u64,
    },
    /// In the queue, or on its way there.
    Queued,
    /// Too few voters answer; it goes on waiting.
    NoQuorum {
        /// Voters that answer.
        reachable: u32,
        /// Voters in all.
        voters: u32,
        /// Voters that are needed.
        needed: u32,
    },
    /// It has the lock, and catches up with what earlier holders wrote.
    CatchingUp,
    /// Inside.
    Granted {
        /// The number of the hold.
        fence: u64,
        /// How long it is sure.
        #[serde(flatten)]
        lease: LeaseReply,
    },
    /// How safe the hold is; when that changes and after each renewal.
    State {
        /// Safe or not.
        state: StateReply,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ReasonReply>,
        /// How long it is sure.
        #[serde(flatten)]
        lease: LeaseReply,
    },
    /// The last: the lock is free again, nothing runs under it.
    Released(ReleasedReply),
    /// The last: the lock could not be had.
    Failed {
        /// Why.
        error: Failure,
    },
    /// Something that a later version tells.
    #[serde(other)]
    Unknown,
}

/// How long a hold is sure if nothing more is heard from the voters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseReply {
    /// From now.
    pub(crate) remaining_ms: u64,
    /// The same moment by this machine's `CLOCK_BOOTTIME`: right even if this is read late.
    pub(crate) until_ms: u64,
}

/// How safe a hold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StateReply {
    /// It is being renewed.
    Safe,
    /// Renewals are not answered.
    AtRisk,
    /// What runs under it should end.
    Stop,
    /// What runs under it is being killed.
    Kill,
}

/// Why a hold ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReasonReply {
    /// The voters could not be reached for too long.
    NotRenewed,
    /// The leading voter has ended the session.
    SessionEnded,
    /// Released by force.
    Revoked,
    /// The node stops.
    Stopped,
    /// The node does not answer; only a client finds this out.
    NodeLost,
}

impl ReasonReply {
    /// The code of the failure that it is for whoever ran under the hold.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::NotRenewed => "lock-lost-not-renewed",
            Self::SessionEnded => "lock-lost-session-ended",
            Self::Revoked => "lock-lost-revoked",
            Self::Stopped => "lock-lost-stopped",
            Self::NodeLost => "lock-lost-node",
        }
    }
}

impl From<LostReason> for ReasonReply {
    fn from(reason: LostReason) -> Self {
        match reason {
            LostReason::NotRenewed => Self::NotRenewed,
            LostReason::SessionEnded => Self::SessionEnded,
            LostReason::Revoked => Self::Revoked,
            LostReason::Stopped => Self::Stopped,
        }
    }
}

impl StateReply {
    /// The library's state with its reason.
    pub(crate) fn of(state: HoldState) -> (Self, Option<ReasonReply>) {
        match state {
            HoldState::Safe => (Self::Safe, None),
            HoldState::AtRisk => (Self::AtRisk, None),
            HoldState::Stop(reason) => (Self::Stop, Some(reason.into())),
            HoldState::Kill(reason) => (Self::Kill, Some(reason.into())),
        }
    }
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReleasedReply {
    /// Why it was lost; absent if the holder left by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<ReasonReply>,
}

/// The process that runs under a hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChildRequest {
    /// Its number; its environment has the hold's marker.
    pub(crate) pid: i32,
    /// Whether it leads a process group of its own.
    pub(crate) own_group: bool,
    /// The process that inherits orphans.
    pub(crate) wrapper: i32,
    /// Children that the wrapper has besides.
    #[serde(default)]
    pub(crate) strangers: Vec<i32>,
    /// Directory of the control group made for the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<String>,
}

/// Which locks are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockParams {
    /// Names, comma separated; absent: all.
    pub(crate) names: Option<String>,
}

/// A node with its name for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeName {
    /// Its key, hexadecimal.
    pub(crate) node: String,
    /// Its name; may be empty.
    pub(crate) nick: String,
}

/// All locks, as the leading voter knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LocksReply {
    /// The voter that leads.
    pub(crate) leader: NodeName,
    /// Who votes.
    pub(crate) voters: Vec<NodeName>,
    /// Voters that answer.
    pub(crate) reachable: u32,
    /// Voters that are needed.
    pub(crate) needed: u32,
    /// The locks, by name.
    pub(crate) locks: Vec<LockReply>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockReply {
    /// Its name.
    pub(crate) lock: String,
    /// Who has it, then who is chosen to follow.
    pub(crate) holders: Vec<HolderReply>,
    /// Who waits, in the order in which they would be served now.
    pub(crate) waiters: Vec<WaiterReply>,
}

/// A holder, or who is chosen to follow one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HolderReply {
    /// Where.
    #[serde(flatten)]
    pub(crate) node: NodeName,
    /// Number of its session.
    pub(crate) session: u64,
    /// `inside`, `next`, or `revoked`: being stopped by force.
    pub(crate) state: String,
    /// Its fence.
    pub(crate) fence: u64,
    /// With how many it is shared; null: with any number.
    pub(crate) permits: Option<u32>,
    /// How long it has had the lock or been chosen, as seen by this leader.
    pub(crate) held_ms: u64,
}

/// A waiter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaiterReply {
    /// Where.
    #[serde(flatten)]
    pub(crate) node: NodeName,
    /// Number of its session.
    pub(crate) session: u64,
    /// As it asked.
    pub(crate) priority: u8,
    /// As it counts by now: it grows while others go first.
    pub(crate) effective: u8,
    /// With how many it shares; null: with any number.
    pub(crate) permits: Option<u32>,
    /// How long it has waited, as seen by this leader.
    pub(crate) waiting_ms: u64,
    /// At most so many grants come before it from now on.
    pub(crate) bound: u64,
}

/// The number of permits; `None` if there is no limit.
pub(crate) fn permits(permits: Permits) -> Option<u32> {
    (permits != Permits::SHARED).then(|| permits.value())
}

impl From<Quorum> for HoldEvent {
    fn from(quorum: Quorum) -> Self {
        Self::NoQuorum {
            reachable: quorum.reachable,
            voters: quorum.voters,
            needed: quorum.needed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(event: &HoldEvent, expected: &str) {
        assert_eq!(serde_json::to_string(event).unwrap(), expected);
        assert_eq!(&serde_json::from_str::<HoldEvent>(expected).unwrap(), event);
    }

    #[test]
    fn events_are_flat_objects() {
        let lease = LeaseReply {
            remaining_ms: 3900,
            until_ms: 77_000,
        };
        round_trip(
            &HoldEvent::Granted { fence: 7, lease },
            r#"{"event":"granted","fence":7,"remaining_ms":3900,"until_ms":77000}"#,
        );
        let state = HoldEvent::State {
            state: StateReply::AtRisk,
            reason: None,
            lease,
        };
        round_trip(
            &state,
            r#"{"event":"state","state":"at-risk","remaining_ms":3900,"until_ms":77000}"#,
        );
        let quorum = Quorum {
            reachable: 2,
            voters: 5,
        };
        round_trip(
            &quorum.into(),
            r#"{"event":"no-quorum","reachable":2,"voters":5,"needed":3}"#,
        );
        let lost = Some(ReasonReply::NotRenewed);
        round_trip(
            &HoldEvent::Released(ReleasedReply { lost }),
            r#"{"event":"released","lost":"not-renewed"}"#,
        );
        round_trip(
            &HoldEvent::Released(ReleasedReply::default()),
            r#"{"event":"released"}"#,
        );
    }

    #[test]
    fn an_event_of_a_later_version_is_no_error() {
        let event = r#"{"event":"applause","seconds":3}"#;
        assert_eq!(
            serde_json::from_str::<HoldEvent>(event).unwrap(),
            HoldEvent::Unknown
        );
    }
}
