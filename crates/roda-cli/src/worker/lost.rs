//! What the wrapper tells about the worker's lock, see `RODA_LOST_FD`.

use std::os::fd::OwnedFd;
use std::str::from_utf8;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::descriptor::watched;
use crate::error::{Failure, Result};

/// The pipe from the wrapper.
pub(super) struct LockWatch {
    pipe: AsyncFd<OwnedFd>,
    rest: Vec<u8>,
    state: LockState,
}

/// How safe the worker's lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockState {
    /// It is being renewed.
    Safe,
    /// It is not.
    AtRisk,
    /// It is being lost: the wrapper ends everything.
    Lost,
    /// The wrapper is gone: nobody but this process ends anything.
    Alone,
}

impl LockWatch {
    /// Listens to the wrapper of this process.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn new() -> Result<Self> {
        let fault = |reason: String| Failure::new("runtime").with("reason", reason);
        let number = std::env::var("RODA_LOST_FD").unwrap_or_default();
        let number: u32 = number
            .parse()
            .map_err(|_none| fault("RODA_LOST_FD".to_owned()))?;
        // Opened anew: the flags of the inherited descriptor are shared with others.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = open(format!("/proc/self/fd/{number}"), flags, Mode::empty())
            .map_err(|errno| fault(errno.to_string()))?;
        Self::of(pipe)
    }

    fn of(pipe: OwnedFd) -> Result<Self> {
        let pipe = watched(pipe)
            .map_err(|error| Failure::new("runtime").with("reason", error.to_string()))?;
        Ok(Self {
            pipe,
            rest: Vec::new(),
            state: LockState::Safe,
        })
    }

    /// How it is at this moment: what the wrapper has written is read, not waited for.
    pub(super) fn now(&mut self) -> LockState {
        let mut bytes = [0_u8; 256];
        loop {
            match rustix::io::read(self.pipe.get_ref(), &mut bytes) {
                Ok(0) => {
                    self.state = LockState::Alone;
                    return self.state;
                }
                Ok(len) => self.take(&bytes[..len]),
                Err(Errno::INTR) => {}
                // Nothing more for now; any other error would be told again.
                Err(_) => return self.state,
            }
        }
    }

    /// Returns when it has changed. Cancel-safe.
    pub(super) async fn changed(&mut self) -> LockState {
        if self.state == LockState::Alone {
            return std::future::pending().await;
        }
        let before = self.state;
        loop {
            match self.pipe.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return std::future::pending().await,
            }
            if self.now() != before {
                return self.state;
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            match (self.state, from_utf8(&line).map(str::trim)) {
                // Nothing leads back from there.
                (LockState::Lost | LockState::Alone, _) => {}
                (_, Ok("safe")) => self.state = LockState::Safe,
                (_, Ok("at-risk")) => self.state = LockState::AtRisk,
                (_, Ok("stop")) => self.state = LockState::Lost,
                (_, _) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn words_of_the_wrapper_are_heard_at_once_and_its_end_too() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        let mut watch = LockWatch::of(reader.into()).unwrap();
        assert_eq!(watch.now(), LockState::Safe);
        writer.write_all(b"at-risk\nsa").unwrap();
        assert_eq!(watch.changed().await, LockState::AtRisk);
        writer.write_all(b"fe\n").unwrap();
        assert_eq!(watch.now(), LockState::Safe);
        writer.write_all(b"stop\nsafe\n").unwrap();
        assert_eq!(watch.changed().await, LockState::Lost);
        drop(writer);
        assert_eq!(watch.changed().await, LockState::Alone);
    }
}
