//! Roda itself: a group of nodes, a process each.

use std::path::Path;
use std::time::{Duration, Instant};

use roda::{InviteToken, Node, Options, Topic, TopicHandle};
use tokio::task::JoinSet;

use super::Job;
use super::tally::{Phase, Tally, message};
use super::worker::{Orders, Sender, order};
use crate::error::{Failure, Result};

/// The node that sends.
pub(crate) struct GroupSender {
    node: Node,
    topic: TopicHandle,
}

impl GroupSender {
    /// Makes a group.
    pub(crate) async fn create(job: &Job) -> Result<Self> {
        let node = Node::create(Path::new(&job.home), "bench", options(job)).await?;
        let topic = node.topic(topic());
        Ok(Self { node, topic })
    }

    /// An invite for all receivers.
    pub(crate) async fn token(&self) -> Result<String> {
        let token = self.node.invite(RECEIVERS_MAX, TOKEN_LIFETIME).await?;
        Ok(token.to_string())
    }

    /// Stops the node.
    pub(crate) async fn shutdown(&self) -> Result<()> {
        Ok(self.node.shutdown().await?)
    }
}

impl Sender for GroupSender {
    async fn send_until(&mut self, size: usize, end: Instant) -> Result<u64> {
        let per_request = (REQUEST_LEN / size).max(1);
        let mut requests = JoinSet::new();
        let mut sent = 0;
        while Instant::now() < end {
            if requests.len() >= REQUESTS_AHEAD {
                finish(requests.join_next().await)?;
            }
            let bodies = (0..per_request)
                .map(|_| message(Phase::Speed, size))
                .collect();
            let topic = self.topic.clone();
            requests.spawn(async move { topic.append_all(bodies).await });
            sent += per_request as u64;
        }
        while let Some(done) = requests.join_next().await {
            finish(Some(done))?;
        }
        Ok(sent)
    }

    async fn send_one(&mut self, message: Vec<u8>) -> Result<()> {
        self.topic.append(message).await?;
        Ok(())
    }

    async fn counters(&mut self) -> Result<(u64, u64)> {
        counters(&self.node).await
    }
}

type Done = std::result::Result<roda::Result<roda::Receipt>, tokio::task::JoinError>;

fn finish(done: Option<Done>) -> Result<()> {
    match done {
        None | Some(Ok(Ok(_))) => Ok(()),
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Err(error)) => Err(Failure::new("other").with("reason", error.to_string())),
    }
}

/// A node that receives.
pub(crate) struct GroupReceiver {
    node: Node,
}

impl GroupReceiver {
    /// Joins with the token that the first order is, and counts what is delivered.
    pub(crate) async fn join(job: &Job, orders: &mut Orders, tally: &Tally) -> Result<Self> {
        let token = order(orders).await?.unwrap_or_default();
        let token = InviteToken::parse(&token)?;
        let node = Node::join(Path::new(&job.home), &token, JOIN_MAX, options(job)).await?;
        let mut subscription = node.topic(topic()).subscribe();
        let tally = tally.clone();
        tokio::spawn(async move {
            loop {
                match subscription.next_batch().await {
                    Ok(batch) if batch.is_empty() => return,
                    Ok(batch) => tally.add(batch.iter().map(|message| message.body.as_slice())),
                    // What was skipped is missing in the count and so shows in the result.
                    Err(roda::Lagged) => {}
                }
            }
        });
        Ok(Self { node })
    }

    /// Repairs and NACKs so far.
    pub(crate) async fn counters(&self) -> Result<(u64, u64)> {
        counters(&self.node).await
    }

    /// Stops the node.
    pub(crate) async fn shutdown(&self) -> Result<()> {
        Ok(self.node.shutdown().await?)
    }
}

async fn counters(node: &Node) -> Result<(u64, u64)> {
    let status = node.status().await?;
    let count = |name| status.counters.get(name).copied().unwrap_or(0);
    Ok((count("repairs_sent"), count("nacks_sent")))
}

fn options(job: &Job) -> Options {
    Options {
        interfaces: vec![job.iface.clone()],
        danger_loss: job.loss,
        ..Options::default()
    }
}

fn topic() -> Topic {
    Topic::new("bench").expect("a plain word is a topic name")
}

/// Bytes of one request: about half of the largest batch, so that batches fill well.
const REQUEST_LEN: usize = 32 * 1024;
/// Requests that wait for the disk at the same time.
const REQUESTS_AHEAD: usize = 32;
const RECEIVERS_MAX: u32 = 32;
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
const JOIN_MAX: Duration = Duration::from_secs(30);
