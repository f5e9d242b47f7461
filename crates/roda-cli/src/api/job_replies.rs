//! What the library knows of jobs, as the control API says it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roda::job::{self, AttemptId, JobRow, JobState, OnCrash, Outcome, StateKind};
use roda::{AuthorId, Fence, NodeId, WallTime};

use super::blob::Blob;
use super::job_types::{
    Attempt, AttemptReply, JobReply, JobStateReply, OnCrashReply, QueueReply, RoundReply,
    SavedReply,
};
use super::lock_types::NodeName;
use super::server::Shared;
use super::types::time_text;
use crate::error::Result;

pub(super) const fn attempt_id(attempt: Attempt) -> AttemptId {
    AttemptId {
        fence: Fence(attempt.fence),
        number: attempt.number,
    }
}

pub(super) const fn attempt_of(attempt: AttemptId) -> Attempt {
    Attempt {
        fence: attempt.fence.0,
        number: attempt.number,
    }
}

pub(super) const fn kind_of(state: JobStateReply) -> StateKind {
    match state {
        JobStateReply::Waiting => StateKind::Waiting,
        JobStateReply::Running => StateKind::Running,
        JobStateReply::Done => StateKind::Done,
        JobStateReply::Dead => StateKind::Dead,
        JobStateReply::Cancelled => StateKind::Cancelled,
        JobStateReply::Held => StateKind::Held,
        JobStateReply::Duplicate => StateKind::Duplicate,
    }
}

pub(super) const fn state_reply(state: &JobState) -> JobStateReply {
    match state {
        JobState::Waiting { .. } => JobStateReply::Waiting,
        JobState::Running(_) => JobStateReply::Running,
        JobState::Done => JobStateReply::Done,
        JobState::Dead { .. } => JobStateReply::Dead,
        JobState::Cancelled => JobStateReply::Cancelled,
        JobState::Held => JobStateReply::Held,
        JobState::Duplicate(_) => JobStateReply::Duplicate,
    }
}

pub(super) const fn on_crash_reply(on_crash: OnCrash) -> OnCrashReply {
    match on_crash {
        OnCrash::Retry => OnCrashReply::Retry,
        OnCrash::Resume => OnCrashReply::Resume,
        OnCrash::Hold => OnCrashReply::Hold,
    }
}

/// Who is behind the authors of claims.
pub(super) struct Names {
    nodes: BTreeMap<AuthorId, NodeId>,
    nicks: BTreeMap<NodeId, String>,
}

impl Names {
    pub(super) async fn of(shared: &Shared, rows: &[JobRow]) -> Result<Self> {
        let claimers: BTreeSet<_> = rows.iter().filter_map(claimer).collect();
        let nodes = shared.node.nodes_of(claimers).await?;
        let members = shared.node.members().await?.into_iter();
        let nicks = members.map(|member| (member.node, member.nick)).collect();
        Ok(Self { nodes, nicks })
    }

    fn node(&self, node: NodeId) -> NodeName {
        NodeName {
            node: node.to_hex(),
            nick: self.nicks.get(&node).cloned().unwrap_or_default(),
        }
    }
}

/// Who runs the job, or ran it last and told how it ended.
fn claimer(row: &JobRow) -> Option<AuthorId> {
    match row.state {
        JobState::Running(running) => Some(running.claim.author),
        _ => {
            row.job.code()?;
            row.job.ended().map(|ended| ended.author)
        }
    }
}

pub(super) fn job_reply(row: &JobRow, names: &Names) -> JobReply {
    let job = &row.job;
    let running = match row.state {
        JobState::Running(running) => Some(running),
        _ => None,
    };
    let node = claimer(row).and_then(|author| names.nodes.get(&author));
    let saved = job.checkpoints().first();
    let not_before = match row.state {
        JobState::Waiting { not_before } if not_before.0 > 0 => Some(wall_text(not_before)),
        _ => None,
    };
    JobReply {
        id: row.id.to_string(),
        queue: row.queue.as_str().to_owned(),
        state: state_reply(&row.state),
        pushed: time_text(row.pushed),
        not_before,
        priority: row.priority.value(),
        tries: job.tries(),
        max_tries: job.tries_max(),
        attempts: job.attempt().map_or(0, |last| last.number),
        generation: job.generation(),
        on_crash: on_crash_reply(job.on_crash()),
        key: row.key.as_ref().map(|key| key.as_str().to_owned()),
        order_key: row.order_key.as_ref().map(|key| key.as_str().to_owned()),
        cancel_wanted: running.is_some_and(|running| running.cancel_wanted),
        attempt: job.attempt().map(attempt_of),
        node: node.map(|node| names.node(*node)),
        code: job.code(),
        millis: job.code().map(|_| job.millis()),
        done: saved.and_then(|saved| saved.done),
        total: saved.and_then(|saved| saved.total),
        duplicate_of: match row.state {
            JobState::Duplicate(of) => Some(of.to_string()),
            _ => None,
        },
        cron: job.recurrence().map(|recurring| recurring.cron.to_string()),
        rounds: job.recurrence().map(|recurring| recurring.rounds),
        last_round: job
            .recurrence()
            .and_then(|recurring| recurring.last)
            .map(round_reply),
    }
}

fn round_reply(round: job::RoundEnd) -> RoundReply {
    RoundReply {
        ended: time_text(round.hlc),
        state: if round.is_dead {
            JobStateReply::Dead
        } else {
            JobStateReply::Done
        },
        code: round.code,
    }
}

pub(super) fn attempt_reply(tried: &job::AttemptInfo, names: &Names) -> AttemptReply {
    let attempt = &tried.attempt;
    let outcome = attempt.end.and_then(|end| end.outcome);
    let code = match outcome {
        Some(Outcome::Done) => Some(0),
        Some(Outcome::Failed { code, .. }) => Some(code),
        Some(Outcome::CutOff { code }) => code,
        Some(Outcome::Again | Outcome::Returned | Outcome::Cancelled) | None => None,
    };
    let word = match (attempt.is_void, attempt.end, outcome) {
        (true, ..) => Some("void"),
        (false, None, _) => None,
        (false, Some(_), None) => Some("lost"),
        (false, Some(_), Some(Outcome::Done)) => Some("done"),
        (false, Some(_), Some(Outcome::Failed { .. })) => Some("failed"),
        (false, Some(_), Some(Outcome::Again)) => Some("again"),
        (false, Some(_), Some(Outcome::Returned)) => Some("returned"),
        (false, Some(_), Some(Outcome::Cancelled)) => Some("cancelled"),
        (false, Some(_), Some(Outcome::CutOff { .. })) => Some("cut-off"),
    };
    AttemptReply {
        attempt: attempt_of(attempt.id),
        worker: attempt.worker.to_string(),
        node: names.node(tried.node),
        started: time_text(attempt.started),
        ended: attempt.end.map(|end| time_text(end.hlc)),
        outcome: word.map(ToOwned::to_owned),
        code,
        millis: attempt.end.and_then(|end| end.millis),
        output: (!tried.output.is_empty()).then(|| Blob::from(tried.output.clone())),
    }
}

pub(super) fn saved_reply(checkpoint: &job::CheckpointInfo) -> SavedReply {
    let saved = checkpoint.saved;
    SavedReply {
        done: saved.done,
        total: saved.total,
        bytes: saved.blob,
        here: checkpoint.is_here,
    }
}

pub(super) fn queue_reply(stats: &job::QueueStats) -> QueueReply {
    QueueReply {
        queue: stats.queue.as_str().to_owned(),
        paused: stats.paused,
        waiting: stats.count(StateKind::Waiting),
        running: stats.count(StateKind::Running),
        done: stats.count(StateKind::Done),
        dead: stats.count(StateKind::Dead),
        cancelled: stats.count(StateKind::Cancelled),
        held: stats.count(StateKind::Held),
        duplicate: stats.count(StateKind::Duplicate),
    }
}

fn wall_text(wall: WallTime) -> String {
    let millis = i64::try_from(wall.0).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{moment:.3}")
}
