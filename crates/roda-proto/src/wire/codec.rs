//! Reading and writing of hand-fixed layouts. Integers are big-endian.

use alloc::vec::Vec;

use crate::error::Rejected;

/// Reads from a slice; every method fails on truncated input and never panics.
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Whether all was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if there are fewer.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Rejected> {
        let end = self.position.checked_add(len).ok_or(Rejected::Malformed)?;
        let taken = self
            .bytes
            .get(self.position..end)
            .ok_or(Rejected::Malformed)?;
        self.position = end;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] at the end.
    pub fn u8(&mut self) -> Result<u8, Rejected> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if there are fewer.
    pub fn u16(&mut self) -> Result<u16, Rejected> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if there are fewer.
    pub fn u32(&mut self) -> Result<u32, Rejected> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if there are fewer.
    pub fn u64(&mut self) -> Result<u64, Rejected> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// LEB128, in its shortest form only.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if truncated, over 64 bits, or longer than needed.
    pub fn varint(&mut self) -> Result<u64, Rejected> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Rejected::Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded {
                    Err(Rejected::Malformed)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Rejected::Malformed)
    }

    /// A varint length, then that many bytes.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if truncated.
    pub fn bytes_var(&mut self) -> Result<&'a [u8], Rejected> {
        let len = usize::try_from(self.varint()?).map_err(|_too_long| Rejected::Malformed)?;
        self.take(len)
    }
}

/// Writes what [`Reader`] reads.
#[derive(Clone, Default, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts empty.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Starts empty with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// What was written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// What was written, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    /// LEB128.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
            value >>= 7;
        }
        self.u8(u8::try_from(value).expect("below 0x80"));
    }

    /// A varint length, then the bytes.
    pub fn bytes_var(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A one-byte length, then at most 255 bytes.
    pub fn bytes_u8(&mut self, bytes: &[u8]) {
        self.u8(u8::try_from(bytes.len()).expect("caller keeps it within 255 bytes"));
        self.raw(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_survive_a_round_trip_and_have_one_form() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut writer = Writer::new();
            writer.varint(value);
            assert_eq!(Reader::new(writer.as_slice()).varint(), Ok(value));
        }
        assert_eq!(
            Reader::new(&[0x80, 0x00]).varint(),
            Err(Rejected::Malformed)
        );
        assert_eq!(Reader::new(&[0xff; 10]).varint(), Err(Rejected::Malformed));
        assert_eq!(Reader::new(&[0xff; 3]).varint(), Err(Rejected::Malformed));
    }
}
