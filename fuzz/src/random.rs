//! Changes to inputs, the same in each run.

/// A small generator (xorshift64*): what matters is that it is fast and has no entropy.
pub struct Random(u64);

impl Random {
    /// Starts from any number.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        let limit = u64::try_from(limit).expect("lengths fit in 64 bits");
        usize::try_from(drawn % limit).expect("smaller than a length")
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }

    /// `input` with one to four things changed; `other` lends pieces of itself.
    pub fn mutated(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            self.mutate(&mut bytes, other);
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        /// Where lengths and counts tend to go wrong.
        const BORDERS: [u8; 8] = [0, 1, 0x17, 0x18, 0x7f, 0x80, 0xfe, 0xff];
        let at = self.below(bytes.len() + 1);
        let len = self.below(16) + 1;
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = BORDERS[self.below(BORDERS.len())],
            2 if at < bytes.len() => bytes[at] = self.byte(),
            3 => bytes.truncate(at),
            4 => {
                bytes.drain(at..bytes.len().min(at + len));
            }
            5 => {
                let inserted: Vec<u8> = (0..len).map(|_| self.byte()).collect();
                bytes.splice(at..at, inserted);
            }
            _ => {
                let from = self.below(other.len() + 1);
                let piece = other[from..other.len().min(from + len)].to_vec();
                let until = bytes.len().min(at + piece.len());
                bytes.splice(at..until, piece);
            }
        }
    }
}
