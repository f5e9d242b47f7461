//! The replicated log as its users see it: entries in one order, agreed on by a majority.
//!
//! Not a consensus protocol, but all that one may do to those who use it: an entry of a leader that was
//! replaced is lost or comes through all the same; a leader that was replaced does not know it; one that
//! was told that a proposal failed may see it come through.

use std::collections::VecDeque;

use roda_proto::token::LockCommand;

/// An entry that is not agreed on yet.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its place among all that were ever proposed.
    pub number: u64,
    /// The proposal, as its leader names it; `None` once it was told that it failed.
    pub id: Option<u64>,
    /// The entry.
    pub commands: Vec<LockCommand>,
}

/// What became of the last leader's pending entries.
#[derive(Debug, Default)]
pub struct Elected {
    /// They come before all entries of the new leader.
    pub adopted: Vec<Pending>,
    /// They never come.
    pub lost: Vec<Pending>,
}

/// The log, and who may add to it.
#[derive(Debug, Default)]
pub struct Consensus {
    /// Counts leaders.
    pub term: u64,
    /// Of this term, whether it knows yet or not.
    pub leader: Option<usize>,
    /// The process that was elected.
    pub leader_life: u64,
    /// All that was agreed on.
    pub entries: Vec<Vec<LockCommand>>,
    pending: VecDeque<Pending>,
    proposed: u64,
}

impl Consensus {
    /// A leader proposes; `None` if it is none any more.
    pub fn propose(&mut self, term: u64, id: u64, commands: Vec<LockCommand>) -> Option<u64> {
        if term != self.term {
            return None;
        }
        self.proposed += 1;
        self.pending.push_back(Pending {
            number: self.proposed,
            id: Some(id),
            commands,
        });
        Some(self.proposed)
    }

    /// A majority has an entry, and so all before it.
    pub fn agree(&mut self, number: u64) -> Vec<Pending> {
        let count = self.pending.iter().take_while(|it| it.number <= number);
        let count = count.count();
        self.pending.drain(..count).collect()
    }

    /// The leader is told that an entry failed, which does not take it back.
    pub fn fail(&mut self, number: u64) -> Option<u64> {
        let pending = self.pending.iter_mut().find(|it| it.number == number)?;
        pending.id.take()
    }

    /// Another one leads, and has the first `adopted` of the pending entries.
    pub fn elect(&mut self, node: usize, life: u64, adopted: usize) -> Elected {
        self.term += 1;
        self.leader = Some(node);
        self.leader_life = life;
        let adopted = adopted.min(self.pending.len());
        Elected {
            adopted: self.pending.drain(..adopted).collect(),
            lost: self.pending.drain(..).collect(),
        }
    }

    /// How many entries wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_replaced_leader_come_first_or_never() {
        let mut log = Consensus::default();
        log.elect(0, 1, 0);
        let first = log.propose(1, 70, Vec::new());
        let second = log.propose(1, 71, Vec::new());
        log.propose(1, 72, Vec::new());
        assert_eq!((first, second), (Some(1), Some(2)));
        assert_eq!(log.agree(1).len(), 1);
        assert_eq!(log.fail(2), Some(71));
        let elected = log.elect(1, 1, 1);
        assert_eq!(elected.adopted[0].id, None);
        assert_eq!(elected.lost[0].id, Some(72));
        assert_eq!(log.propose(1, 73, Vec::new()), None);
    }
}
