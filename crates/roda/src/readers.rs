//! Connections for reading that are kept open between questions.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use roda_store::{Reader, StoreError};

/// Most connections that are kept; each has a cache of its own.
const IDLE_MAX: usize = 2;

/// Readers of one database.
pub(crate) struct Readers {
    database: PathBuf,
    /// `None`: none are kept any more.
    idle: Mutex<Option<Vec<Reader>>>,
}

impl Readers {
    /// None is open yet.
    pub(crate) const fn new(database: PathBuf) -> Self {
        Self {
            database,
            idle: Mutex::new(Some(Vec::new())),
        }
    }

    /// Asks something, with a connection that nobody else uses meanwhile. Blocks.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = self.idle().as_mut().and_then(Vec::pop);
        let reader = kept.map_or_else(|| Reader::open(&self.database), Ok)?;
        let answer = question(&reader)?;
        // One that could not answer is closed instead: the next question begins anew.
        if let Some(idle) = self.idle().as_mut().filter(|idle| idle.len() < IDLE_MAX) {
            idle.push(reader);
        }
        Ok(answer)
    }

    /// Keeps none any more, so that the database is tidied up when its writer closes it.
    pub(crate) fn close(&self) {
        *self.idle() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<Reader>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
