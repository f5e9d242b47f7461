//! What a contender does and notes.

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::error::{Failure, Result};

/// Something that only one has at a time.
pub(crate) trait Turn {
    /// Proof of having it.
    type Held;
    /// Waits for it.
    fn acquire(&mut self) -> impl Future<Output = Result<Self::Held>> + Send;
    /// Gives it up.
    fn release(&mut self, held: Self::Held) -> impl Future<Output = Result<()>> + Send;
}

/// The times of one round, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Before the lock was asked for.
    pub(crate) asked: u64,
    /// When it was there.
    pub(crate) entered: u64,
    /// Before it was given up.
    pub(crate) left: u64,
    /// After that.
    pub(crate) released: u64,
}

impl Round {
    /// Time spent in the lock itself, if nobody else has it.
    pub(crate) const fn cost(&self) -> u64 {
        (self.entered - self.asked) + (self.released - self.left)
    }
}

/// Goes round until a moment: acquire, raise the counter, release.
pub(crate) async fn contend(
    turn: &mut impl Turn,
    counter: &Counter,
    until: u64,
) -> Result<Vec<Round>> {
    let mut rounds = Vec::new();
    let mut asked = now_ns();
    while asked < until && rounds.len() < ROUNDS_MAX {
        let held = turn.acquire().await?;
        let entered = now_ns();
        counter.raise()?;
        let left = now_ns();
        turn.release(held).await?;
        let released = now_ns();
        rounds.push(Round {
            asked,
            entered,
            left,
            released,
        });
        asked = released;
    }
    Ok(rounds)
}

/// The clock that all processes of a machine share and nobody sets.
pub(crate) fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}

/// A number in a file. Raised by reading and writing, not atomically, so that two who are inside at
/// once lose an update.
pub(crate) struct Counter(File);

impl Counter {
    /// A counter at zero.
    pub(crate) fn create(path: &Path) -> Result<()> {
        std::fs::write(path, [0; 8]).map_err(|error| Failure::file(path, &error))
    }

    /// Opens one.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        file.map(Self).map_err(|error| Failure::file(path, &error))
    }

    /// Its value.
    pub(crate) fn value(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 0).map_err(fault)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn raise(&self) -> Result<()> {
        let value = self.value()? + 1;
        self.0.write_all_at(&value.to_ne_bytes(), 0).map_err(fault)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn fault(error: std::io::Error) -> Failure {
    Failure::new("other").with("reason", error.to_string())
}

/// Leaves notes in a file.
pub(crate) fn write(path: &Path, rounds: &[Round]) -> Result<()> {
    let numbers = rounds
        .iter()
        .flat_map(|round| [round.asked, round.entered, round.left, round.released]);
    let bytes: Vec<u8> = numbers.flat_map(u64::to_ne_bytes).collect();
    std::fs::write(path, bytes).map_err(|error| Failure::file(path, &error))
}

/// Reads the notes in a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Round>> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let (numbers, _rest) = bytes.as_chunks::<8>();
    let (rounds, _rest) = numbers.as_chunks::<4>();
    let rounds = rounds.iter().map(|times| {
        let [asked, entered, left, released] = times.map(u64::from_ne_bytes);
        Round {
            asked,
            entered,
            left,
            released,
        }
    });
    Ok(rounds.collect())
}

/// Notes of one contender: more would fill the memory and say nothing new.
const ROUNDS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    struct Free;

    impl Turn for Free {
        type Held = ();
        async fn acquire(&mut self) -> Result<()> {
            Ok(())
        }
        async fn release(&mut self, (): ()) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn notes_are_read_as_they_were_written_and_every_round_counts() {
        let scratch = Scratch::new("rounds-test").unwrap();
        let (notes, number) = (scratch.path().join("notes"), scratch.path().join("counter"));
        Counter::create(&number).unwrap();
        let counter = Counter::open(&number).unwrap();
        let until = now_ns() + 1_000_000;
        let rounds = contend(&mut Free, &counter, until).await.unwrap();
        assert!(!rounds.is_empty());
        assert_eq!(counter.value().unwrap(), rounds.len() as u64);
        write(&notes, &rounds).unwrap();
        assert_eq!(read(&notes).unwrap(), rounds);
    }
}
