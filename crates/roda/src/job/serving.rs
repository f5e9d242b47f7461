//! Blobs that are on their way to other nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use roda_proto::Hash;
use roda_proto::stream::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Most blobs sent at once: each is in memory as a whole.
const BLOBS_SERVED_MAX: usize = 4;

/// Counts the transfers of each blob.
pub(crate) struct Serving {
    places: Arc<Semaphore>,
    transfers: watch::Sender<BTreeMap<Hash, usize>>,
}

/// A transfer; it is over when this is dropped.
pub(crate) struct Served {
    bytes: Vec<u8>,
    _transfer: Transfer,
}

/// A place among the transfers.
pub(crate) struct Transfer {
    serving: Arc<Serving>,
    hash: Hash,
    _place: OwnedSemaphorePermit,
}

impl Serving {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(BLOBS_SERVED_MAX)),
            transfers: watch::Sender::default(),
        })
    }

    /// Begins a transfer, if there is a place for it.
    pub(crate) fn begin(self: &Arc<Self>, hash: Hash) -> Result<Transfer, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_all_taken| Refusal::Busy)?;
        self.transfers.send_modify(|transfers| {
            *transfers.entry(hash).or_default() += 1;
        });
        Ok(Transfer {
            serving: Arc::clone(self),
            hash,
            _place: place,
        })
    }

    /// Returns once none of these blobs is on its way. Cancel-safe.
    pub(crate) async fn until_sent(&self, blobs: &[Hash]) {
        let mut transfers = self.transfers.subscribe();
        // The sender is this object's.
        let _never_gone = transfers
            .wait_for(|transfers| blobs.iter().all(|blob| !transfers.contains_key(blob)))
            .await
            .is_ok();
    }
}

impl Transfer {
    /// With what is to be sent.
    pub(crate) fn of(self, bytes: Vec<u8>) -> Served {
        Served {
            bytes,
            _transfer: self,
        }
    }
}

impl AsRef<[u8]> for Served {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let hash = self.hash;
        self.serving.transfers.send_modify(|transfers| {
            if let Some(count) = transfers.get_mut(&hash) {
                *count -= 1;
                if *count == 0 {
                    transfers.remove(&hash);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_all_transfers_of_a_blob_is_waited_for_and_no_other() {
        let serving = Serving::new();
        let (one, other) = (Hash([1; 32]), Hash([2; 32]));
        let first = serving.begin(one).unwrap();
        let second = serving.begin(one).unwrap();
        let _other = serving.begin(other).unwrap();
        let wanted = [one];
        let mut waiting = std::pin::pin!(serving.until_sent(&wanted));
        let mut is_over = async || {
            let now = std::future::ready(());
            tokio::select! {
                biased;
                () = &mut waiting => true,
                () = now => false,
            }
        };
        assert!(!is_over().await);
        drop(first);
        assert!(!is_over().await);
        drop(second);
        assert!(is_over().await);
    }

    #[test]
    fn more_than_a_few_at_once_are_told_to_come_again() {
        let serving = Serving::new();
        let begin = || serving.begin(Hash([1; 32]));
        let all: Vec<_> = (0..BLOBS_SERVED_MAX).map(|_| begin().unwrap()).collect();
        assert_eq!(begin().err(), Some(Refusal::Busy));
        drop(all);
        assert!(begin().is_ok());
    }
}
