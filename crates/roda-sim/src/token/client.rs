//! Those who want locks, and what runs under them.

use std::time::Duration;

use roda_proto::token::{Acquire, Fence, LockName, Permits, Priority, RequestId, SessionId};

use super::options::{ClientOptions, Priorities};
use crate::random::Random;

/// A request as the world knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    /// Where.
    pub node: usize,
    /// In which process.
    pub life: u64,
    /// Its name there.
    pub request: RequestId,
}

/// Something that runs under locks. It outlives the process that let it in.
#[derive(Clone, Debug)]
pub struct Hold {
    /// For which request.
    pub job: Job,
    /// In which session.
    pub session: SessionId,
    /// Its fence.
    pub fence: Fence,
    /// What it wanted.
    pub wish: Acquire,
}

/// Draws what clients do.
pub struct Clients {
    options: ClientOptions,
    names: Vec<LockName>,
    session: Duration,
    random: Random,
}

impl Clients {
    /// All clients of a group.
    #[must_use]
    pub fn new(seed: u64, options: ClientOptions, session: Duration) -> Self {
        let name = |name: &&str| LockName::new(name).ok();
        let names = ["a", "b", "c"].iter().filter_map(name);
        Self {
            options,
            names: names.take(options.locks).collect(),
            session,
            random: Random::new(seed, "token clients"),
        }
    }

    /// What somebody wants.
    pub fn wish(&mut self) -> Acquire {
        let mut names = self.names.clone();
        let number = if self.random.chance(self.options.several) {
            self.random.between(1, names.len())
        } else {
            1
        };
        let mut locks = Vec::new();
        for _ in 0..number {
            locks.push(names.swap_remove(self.random.below(names.len())));
        }
        Acquire {
            locks,
            permits: self.permits(),
            priority: self.priority(),
        }
    }

    fn permits(&mut self) -> Permits {
        if self.random.chance(self.options.shared) {
            return Permits::SHARED;
        }
        let number = if self.random.chance(self.options.permits) {
            self.random.between(2, 3)
        } else {
            1
        };
        let permits = u32::try_from(number).ok().and_then(Permits::new);
        permits.unwrap_or(Permits::EXCLUSIVE)
    }

    fn priority(&mut self) -> Priority {
        let value = match self.options.priorities {
            Priorities::Equal => 0,
            Priorities::Mixed => self.random.between(0, 9),
            Priorities::Adversarial => 9 * self.random.between(0, 1),
        };
        let value = u8::try_from(value).unwrap_or(0);
        Priority::new(value).unwrap_or_default()
    }

    /// When the next one comes.
    pub fn next_request(&mut self) -> Duration {
        self.random.exponential(self.options.every)
    }

    /// How long somebody waits at most; `None`: for ever.
    pub fn patience(&mut self) -> Option<Duration> {
        let is_impatient = self.random.chance(self.options.impatient);
        is_impatient.then(|| self.random.exponential(self.session / 2))
    }

    /// How long somebody stays inside.
    pub fn stay(&mut self) -> Duration {
        if self.random.chance(self.options.long_holds) {
            self.random.duration(self.session, self.session * 2)
        } else {
            self.random.exponential(self.options.hold).min(self.session)
        }
    }

    /// Whether somebody wants the same again as soon as it has left.
    pub fn wants_again(&mut self) -> bool {
        self.random.chance(self.options.again)
    }

    /// Whether somebody ends when it is asked to.
    pub fn is_obedient(&mut self) -> bool {
        self.random.chance(self.options.obedient)
    }

    /// Whether somebody writes something before it leaves.
    pub fn writes(&mut self) -> bool {
        self.random.chance(0.5)
    }

    /// How long it takes to end what runs, at most `longest`; often just that.
    pub fn ending(&mut self, longest: Duration) -> Duration {
        if self.random.chance(0.5) {
            longest
        } else {
            self.random.duration(Duration::ZERO, longest)
        }
    }

    /// One of the locks.
    pub fn any_lock(&mut self) -> Option<LockName> {
        self.random.pick(&self.names).cloned()
    }
}
