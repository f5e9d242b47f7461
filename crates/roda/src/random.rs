//! Randomness from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_no_details| Error::Store("the system gives no randomness".to_owned()))?;
    Ok(bytes)
}
