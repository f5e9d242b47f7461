//! Whom to take for the leader, on a node that need not be a voter.

use roda_proto::token::Timings;
use roda_proto::{NodeId, Timestamp};

/// A guess that gets better with every answer.
#[derive(Debug, Default)]
pub(super) struct LeaderGuess {
    /// Who is said to lead.
    known: Option<NodeId>,
    /// Who is said to vote.
    voters: Vec<NodeId>,
    /// Whom to ask next if nobody is known to lead.
    next: usize,
    /// When the first message went to the known leader that nothing came back for.
    unanswered: Option<Timestamp>,
    /// Since when somebody is looked for.
    looking: Option<Timestamp>,
}

impl LeaderGuess {
    /// Where a message to the leader goes; `others` are members that may know. `None`: nobody to ask.
    pub(super) fn recipient(
        &mut self,
        now: Timestamp,
        timings: &Timings,
        others: impl FnOnce() -> Vec<NodeId>,
    ) -> Option<NodeId> {
        let is_silent = |since: Timestamp| now.since(since) > timings.session() / 4;
        if self.unanswered.is_some_and(is_silent) {
            self.known = None;
            self.unanswered = None;
        }
        if let Some(known) = self.known {
            self.unanswered.get_or_insert(now);
            return Some(known);
        }
        self.looking.get_or_insert(now);
        let mut candidates = self.voters.clone();
        candidates.extend(
            others()
                .into_iter()
                .filter(|node| !self.voters.contains(node)),
        );
        let chosen = candidates.get(self.next % candidates.len().max(1)).copied();
        self.next = self.next.wrapping_add(1);
        chosen
    }

    /// Something came that only a leader says.
    pub(super) fn heard(&mut self, from: NodeId) {
        if *self.known.get_or_insert(from) == from {
            self.unanswered = None;
            self.looking = None;
        }
    }

    /// What somebody said, or this node's own voter knows. Returns whether another leader is known now.
    pub(super) fn learn(&mut self, leader: Option<NodeId>, voters: Vec<NodeId>) -> bool {
        if !voters.is_empty() {
            self.voters = voters;
        }
        if leader == self.known {
            return false;
        }
        self.known = leader;
        self.unanswered = None;
        leader.is_some()
    }

    /// An answer from one that does not lead, and does not know who does.
    pub(super) fn denied(&mut self, by: NodeId) {
        if self.known == Some(by) {
            self.known = None;
            self.unanswered = None;
        }
    }

    /// Whether nobody that leads was found for so long that there may be none.
    pub(super) fn is_missing(&self, now: Timestamp, timings: &Timings) -> bool {
        let is_long = |since: Timestamp| now.since(since) > timings.session() / 10;
        self.looking.is_some_and(is_long)
    }

    pub(super) const fn known(&self) -> Option<NodeId> {
        self.known
    }

    pub(super) fn voters(&self) -> &[NodeId] {
        &self.voters
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: NodeId = NodeId([1; 32]);
    const B: NodeId = NodeId([2; 32]);
    const C: NodeId = NodeId([3; 32]);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn everybody_is_asked_in_turn_until_a_leader_is_known() {
        let mut guess = LeaderGuess::default();
        let timings = Timings::DEFAULT;
        let others = || vec![A, B];
        assert_eq!(guess.recipient(at(0), &timings, others), Some(A));
        assert_eq!(guess.recipient(at(0), &timings, others), Some(B));
        assert!(guess.learn(Some(C), vec![A, C]));
        assert_eq!(guess.recipient(at(0), &timings, others), Some(C));
        assert_eq!(guess.recipient(at(1), &timings, others), Some(C));
    }

    #[test]
    fn a_leader_that_says_nothing_is_given_up_and_one_that_answers_is_kept() {
        let mut guess = LeaderGuess::default();
        let timings = Timings::DEFAULT;
        guess.learn(Some(C), vec![A, B, C]);
        assert_eq!(guess.recipient(at(0), &timings, Vec::new), Some(C));
        guess.heard(C);
        assert_eq!(guess.recipient(at(5), &timings, Vec::new), Some(C));
        assert_eq!(guess.recipient(at(7), &timings, Vec::new), Some(A));
        assert_eq!(guess.recipient(at(7), &timings, Vec::new), Some(B));
    }

    #[test]
    fn nobody_can_be_asked_in_an_empty_group() {
        let mut guess = LeaderGuess::default();
        assert_eq!(guess.recipient(at(0), &Timings::DEFAULT, Vec::new), None);
    }
}
