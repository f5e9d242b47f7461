//! Bytes as decisions.

/// Reads the fuzzer's bytes; after the last one, zeros.
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte, if there is one.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number from 0 to 255.
    pub(crate) fn number(&mut self) -> usize {
        usize::from(self.next().unwrap_or(0))
    }

    /// A number that is small, or close to a border.
    pub(crate) fn border(&mut self) -> u64 {
        let number = self.number();
        match number {
            250 => u64::from(u16::MAX),
            251 => u64::from(u32::MAX),
            252 => 1 << 63,
            253 => u64::MAX - 1,
            254 => u64::MAX,
            255 => u64::MAX >> 16,
            _ => u64::try_from(number).expect("a byte"),
        }
    }

    /// A length and that many bytes, if there are so many.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let len = self.number().min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }
}
