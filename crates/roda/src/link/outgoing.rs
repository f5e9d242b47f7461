//! The sending side of a link: a queue, and a task that dials and writes.

use std::sync::Arc;
use std::time::Duration;

use roda_proto::NodeId;
use roda_proto::stream::{LinkRequest, Request};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{QUEUE_MAX, SILENCE_MAX, Shared, lock};
use crate::stream::{Stream, StreamError, connect};

/// A link on which nothing was said for so long is closed.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Pauses between attempts to call a peer that does not answer.
const REDIAL_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];
/// Longest wait for a peer to be heard for the first time.
const CONTACT_TIME_MAX: Duration = Duration::from_secs(1);
/// Most frames written in one go.
const BURST_MAX: usize = 256;

/// The queue to one peer. Dropped, the link ends.
pub(super) struct Outgoing {
    queue: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl Outgoing {
    pub(super) fn start(shared: Arc<Shared>, to: NodeId) -> Self {
        let (queue, frames) = mpsc::channel(QUEUE_MAX);
        let task = tokio::spawn(run(shared, to, frames)).abort_handle();
        Self { queue, task }
    }

    /// Queues a frame; a full queue drops it.
    ///
    /// # Errors
    /// The link has ended; the frame comes back.
    pub(super) fn send(&self, frame: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.queue.try_send(frame) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_dropped)) => {
                tracing::debug!("a peer does not read; a frame was dropped");
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(frame)) => Err(frame),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, to: NodeId, mut frames: mpsc::Receiver<Vec<u8>>) {
    let mut failures = 0;
    loop {
        // What waited while the peer was away is as good as lost: those who sent it ask again.
        match dial(&shared, to, failures).await {
            Ok(mut stream) => {
                failures = 0;
                match write(&mut stream, &mut frames).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(peer = %to.short(), %error, "link broke"),
                }
            }
            Err(error) => tracing::debug!(peer = %to.short(), %error, "no link"),
        }
        while frames.try_recv().is_ok() {}
        sleep(REDIAL_PAUSES[failures.min(REDIAL_PAUSES.len() - 1)]).await;
        failures += 1;
        if failures > REDIAL_PAUSES.len() && frames.is_empty() {
            // Nobody has anything to say to it: the next frame dials again.
            return;
        }
    }
}

async fn dial(shared: &Shared, to: NodeId, attempt: usize) -> Result<Stream, StreamError> {
    let group = shared.group;
    let stream_port = shared.port;
    let mut stream = timeout(SILENCE_MAX, call(shared, to, attempt))
        .await
        .map_err(|_elapsed| StreamError::TimedOut)??;
    stream.limit_silence(SILENCE_MAX)?;
    let request = LinkRequest { group, stream_port };
    stream.send_request(&Request::Link(request)).await?;
    Ok(stream)
}

/// Calls where the node was heard, or where it said itself, in turn: either may be out of date.
pub(super) async fn call(
    shared: &Shared,
    to: NodeId,
    attempt: usize,
) -> Result<Stream, StreamError> {
    let met = lock(&shared.met).get(&to).copied();
    if let Some(met) = met.filter(|_| attempt.is_multiple_of(2)) {
        return connect(&shared.identity, met, Some(to)).await;
    }
    let mut contacts = shared.contacts.clone();
    let heard = contacts.wait_for(|contacts| contacts.contains_key(&to));
    let contact = match timeout(CONTACT_TIME_MAX, heard).await {
        Ok(Ok(contacts)) => contacts.get(&to).copied(),
        Ok(Err(_stopped)) => return Err(StreamError::Stopped),
        Err(_elapsed) => None,
    };
    let address = contact.ok_or(StreamError::TimedOut)?;
    connect(&shared.identity, address, Some(to)).await
}

/// Writes what comes, all that waits in one go. `Ok`: there was nothing to say for long.
async fn write(
    stream: &mut Stream,
    frames: &mut mpsc::Receiver<Vec<u8>>,
) -> Result<(), StreamError> {
    let mut burst = Vec::new();
    loop {
        tokio::select! {
            came = frames.recv_many(&mut burst, BURST_MAX) => {
                if came == 0 {
                    return Ok(());
                }
                stream.send_frames(&burst).await?;
                burst.clear();
            }
            error = stream.closed() => return Err(error),
            () = sleep(IDLE_TIME) => return Ok(()),
        }
    }
}
