//! A topic's history followed by what comes, without a gap and without a repetition.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use roda::{AuthorId, HistoryQuery, Hlc, Message, Seq, TopicHandle};
use tokio::sync::mpsc;

/// The receiving end of a channel as a stream.
pub(crate) struct ChannelStream<T>(pub(crate) mpsc::Receiver<T>);

impl<T> Stream for ChannelStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}

/// Sends pages of a topic until the reader goes away or the node stops.
///
/// An empty page stands between what was stored at the start and what came later.
///
/// # Errors
/// The history could not be read.
pub(crate) async fn follow(
    topic: TopicHandle,
    query: HistoryQuery,
    pages: mpsc::Sender<Vec<Message>>,
) -> roda::Result<()> {
    // Subscribed before reading: what arrives in between is seen twice, not never.
    let mut subscription = topic.subscribe();
    let mut seen = Seen::new(floor(&query));
    if !copy_history(&topic, query, &mut seen, &pages).await?
        || pages.send(Vec::new()).await.is_err()
    {
        return Ok(());
    }
    loop {
        match subscription.next_batch().await {
            Ok(batch) if batch.is_empty() => return Ok(()),
            Ok(batch) => {
                let fresh = seen.take_fresh(batch);
                if !fresh.is_empty() && pages.send(fresh).await.is_err() {
                    return Ok(());
                }
            }
            Err(roda::Lagged) => {
                let query = HistoryQuery {
                    since: Some(seen.floor),
                    last: None,
                };
                if !copy_history(&topic, query, &mut seen, &pages).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// What a reader who lags is not sent again: of a tail, everything before now, until its first
/// message shows how far back it reaches.
fn floor(query: &HistoryQuery) -> Hlc {
    let now = || u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    match (query.since, query.last) {
        (Some(since), _) => since,
        (None, Some(_)) => Hlc::from_millis(now()),
        (None, None) => Hlc::ZERO,
    }
}

/// Sends what is stored and not seen yet; false once the reader has gone.
async fn copy_history(
    topic: &TopicHandle,
    query: HistoryQuery,
    seen: &mut Seen,
    pages: &mpsc::Sender<Vec<Message>>,
) -> roda::Result<bool> {
    let is_tail = query.last.is_some();
    let mut history = match topic.history(query).await {
        Ok(history) => history,
        // A topic begins with its first message; waiting for that one is no error.
        Err(roda::Error::UnknownTopic(_)) => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut is_first = true;
    loop {
        let page = history.next_page().await?;
        let Some(oldest) = page.first() else {
            return Ok(true);
        };
        if is_first && is_tail {
            // What is older was left out on purpose and must not come back after a lag.
            seen.floor = oldest.hlc;
        }
        is_first = false;
        let fresh = seen.take_fresh(page);
        if !fresh.is_empty() && pages.send(fresh).await.is_err() {
            return Ok(false);
        }
    }
}

/// What the reader has got: each author's log comes in order, so one number per author is enough.
struct Seen {
    last: BTreeMap<AuthorId, Seq>,
    /// Nothing older than this is wanted.
    floor: Hlc,
}

impl Seen {
    const fn new(floor: Hlc) -> Self {
        Self {
            last: BTreeMap::new(),
            floor,
        }
    }

    fn take_fresh(&mut self, mut messages: Vec<Message>) -> Vec<Message> {
        messages.retain(|message| {
            let last = self.last.entry(message.author).or_default();
            let is_fresh = message.seq > *last;
            if is_fresh {
                *last = message.seq;
            }
            is_fresh
        });
        messages
    }
}

#[cfg(test)]
mod tests {
    use roda::{NodeId, Topic};

    use super::*;

    fn message(author: u8, seq: u64) -> Message {
        Message {
            author: AuthorId([author; 16]),
            node: NodeId([author; 32]),
            seq: Seq(seq),
            hlc: Hlc::from_millis(seq),
            topic: Topic::new("t").unwrap(),
            body: Vec::new(),
            fence: None,
        }
    }

    #[test]
    fn what_history_and_subscription_share_is_shown_once() {
        let mut seen = Seen::new(Hlc::ZERO);
        let history = vec![message(1, 1), message(2, 4), message(1, 3)];
        assert_eq!(seen.take_fresh(history.clone()), history);
        let live = vec![message(1, 3), message(2, 4), message(1, 5), message(3, 1)];
        assert_eq!(seen.take_fresh(live), [message(1, 5), message(3, 1)]);
    }
}
