//! What a model is made of: who wants what, how much goes wrong, and which rules hold.

use roda_proto::token::{LockName, Permits, Priority};

/// Nodes in every model.
pub(crate) const NODES: usize = 3;
/// Requests of each node.
pub(crate) const REQUESTS: usize = 2;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) locks: Vec<LockName>,
    pub(crate) permits: Permits,
    pub(crate) priority: Priority,
    /// It is asked for before a client wants it; to the model that is all the same.
    pub(crate) is_ahead: bool,
}

impl Wish {
    pub(crate) fn new(locks: &[&str], permits: Permits) -> Self {
        let name = |name: &&str| LockName::new(name).expect("a lock name");
        Self {
            locks: locks.iter().map(name).collect(),
            permits,
            priority: Priority::default(),
            is_ahead: false,
        }
    }

    pub(crate) fn ahead(self) -> Self {
        Self {
            is_ahead: true,
            ..self
        }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.permits == Permits::EXCLUSIVE
    }

    /// Whether a token kept for one serves the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.locks == other.locks && self.permits == other.permits
    }

    pub(crate) fn shares_a_lock_with(&self, other: &Self) -> bool {
        self.locks.iter().any(|lock| other.locks.contains(lock))
    }
}

/// How often what may happen at any time does happen. Without a limit there is no end of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Restarts, ends of a lease that is still needed, and, without the fourth rule, lost entries.
    pub(crate) faults: u8,
    /// Requests written to the table after their node has forgotten them.
    pub(crate) ghosts: u8,
    /// Requests withdrawn.
    pub(crate) cancels: u8,
}

/// What a node asks itself before it enters. All hold, or one is left out to see what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// 1: the grant names the node's current session.
    pub(crate) session: bool,
    /// 2: its fence is larger than every fence that this session used for the lock.
    pub(crate) fence: bool,
    /// 3: the session is valid by the node's own clock.
    pub(crate) lease: bool,
    /// 4: the grant was committed.
    pub(crate) committed: bool,
    /// Not a rule of entering: who waited for a grant that was given up waits for those before it.
    pub(crate) substitution: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        session: true,
        fence: true,
        lease: true,
        committed: true,
        substitution: true,
    };
}

/// A model.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) wishes: [[Wish; REQUESTS]; NODES],
    pub(crate) budget: Budget,
    pub(crate) rules: Rules,
    /// How long the table is told that a lock was held: short holds let it choose several successors.
    pub(crate) held_millis: u64,
}

impl Scenario {
    /// Every request wants the same lock, alone.
    pub(crate) fn exclusive(budget: Budget) -> Self {
        let wish = Wish::new(&["a"], Permits::EXCLUSIVE);
        Self {
            wishes: [(); NODES].map(|()| [(); REQUESTS].map(|()| wish.clone())),
            budget,
            rules: Rules::ALL,
            held_millis: 1_000,
        }
    }

    /// Whether nodes cannot be told apart by their wishes. Then which of them asks first is a matter of
    /// naming, and one order stands for all.
    pub(crate) fn is_symmetric(&self) -> bool {
        self.wishes.iter().all(|wishes| *wishes == self.wishes[0])
    }
}
