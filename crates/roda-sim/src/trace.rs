//! What happened: a hash of everything, and the last lines for people when something failed.

use std::collections::VecDeque;
use std::fmt;

use roda_proto::Timestamp;

/// Records a run. Two runs of one seed must give the same hash.
pub struct Trace {
    hash: u64,
    events: u64,
    lines: VecDeque<String>,
    lines_max: usize,
}

impl Trace {
    /// Starts empty. Keeping lines costs most of a run's time.
    #[must_use]
    pub const fn new(lines_max: usize) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
            lines: VecDeque::new(),
            lines_max,
        }
    }

    /// Notes an event: `words` go into the hash, `line` is for people and built only if wanted.
    pub fn note<L: fmt::Display>(
        &mut self,
        at: Timestamp,
        node: usize,
        words: &[u64],
        line: impl FnOnce() -> L,
    ) {
        self.events += 1;
        let node_word = u64::try_from(node).unwrap_or(u64::MAX);
        for word in [at.as_micros(), node_word].iter().chain(words) {
            self.hash = mix(self.hash ^ word);
        }
        if self.lines_max > 0 {
            if self.lines.len() == self.lines_max {
                self.lines.pop_front();
            }
            self.lines
                .push_back(format!("{at:?} node {node:<3} {}", line()));
        }
    }

    /// The hash so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events were noted.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

/// A hash of bytes that is fast and good enough to tell two runs apart; not for adversaries.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words
        .iter()
        .chain([&last])
        .fold(mix(bytes.len() as u64), |hash, word| {
            mix(hash ^ u64::from_le_bytes(*word))
        })
}

// The finaliser of SplitMix64: every input bit changes about half of the output bits.
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_change_the_hash() {
        let hash = |words: &[u64]| {
            let mut trace = Trace::new(0);
            for word in words {
                trace.note(Timestamp::default(), 0, &[*word], || "");
            }
            trace.hash()
        };
        assert_eq!(hash(&[1, 2]), hash(&[1, 2]));
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash_bytes(b"12345678"), hash_bytes(b"12345678\0"));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut trace = Trace::new(3);
        for number in 0..8 {
            trace.note(Timestamp::default(), 1, &[], || number);
        }
        let lines = trace.into_lines();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with(" 5"), "{}", lines[0]);
    }
}
