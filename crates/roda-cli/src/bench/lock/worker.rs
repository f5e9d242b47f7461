//! One process of the benchmark. It answers its start and every order by one line of JSON.

use std::sync::Arc;
use std::time::Duration;

use roda::{Guard, InviteToken, LockName, Node, Options};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::baseline::RingPlace;
use super::rounds::{Counter, Turn, contend, now_ns, write};
use super::{LockJob, Order, Part};
use crate::bench::worker::{Orders, answer, order};
use crate::commands::App;
use crate::daemon::{Origin, Start, open};
use crate::error::{Failure, Result};
use crate::home::{Config, Home};

/// Runs it.
pub(crate) async fn run(app: &App, job: LockJob, orders: &mut Orders) -> Result<()> {
    match job.part {
        Part::Founder => {
            let node = Node::create(&job.home, "bench", options(&job)).await?;
            let token = node.invite(NODES_MAX, TOKEN_LIFETIME).await?;
            answer(app, &token.to_string())?;
            member(app, &job, &node, orders).await
        }
        Part::Joiner => {
            let Some(Order::Join(token)) = next(orders).await? else {
                return Ok(());
            };
            let token = InviteToken::parse(&token)?;
            let node = Node::join(&job.home, &token, JOIN_MAX, options(&job)).await?;
            answer(app, &Value::Null)?;
            member(app, &job, &node, orders).await
        }
        Part::Daemon => daemon(app, &job, orders).await,
        Part::Ring => ring(app, &job, orders).await,
    }
}

async fn member(app: &App, job: &LockJob, node: &Node, orders: &mut Orders) -> Result<()> {
    while let Some(order) = next(orders).await? {
        match order {
            Order::Voters => {
                // A group that has no leader yet is asked again.
                let report = node.lock_report(&[]).await;
                answer(app, &report.map_or(0, |report| report.voters.len()))?;
            }
            Order::Contend(until) => {
                let stuck = Duration::from_nanos(until.saturating_sub(now_ns())) + STUCK_AFTER;
                match timeout(stuck, all_contend(job, node, until)).await {
                    Ok(done) => done?,
                    Err(_elapsed) => {
                        let why = node.why_busy().to_string();
                        return Err(Failure::new("bench-worker").with("reason", why));
                    }
                }
                answer(app, &Value::Null)?;
            }
            Order::Join(_) | Order::Next(_) => return Err(misunderstood()),
        }
    }
    Ok(node.shutdown().await?)
}

async fn all_contend(job: &LockJob, node: &Node, until: u64) -> Result<()> {
    let counter = Arc::new(Counter::open(&LockJob::counter(&job.directory))?);
    let mut contenders = JoinSet::new();
    for &number in &job.contenders {
        let (mut turn, counter) = (LibraryLock::new(node), Arc::clone(&counter));
        let notes = LockJob::notes(&job.directory, number);
        contenders.spawn(async move {
            let rounds = contend(&mut turn, &counter, until).await?;
            write(&notes, &rounds)
        });
    }
    while let Some(ended) = contenders.join_next().await {
        ended.map_err(|error| Failure::new("other").with("reason", error.to_string()))??;
    }
    Ok(())
}

async fn daemon(app: &App, job: &LockJob, orders: &mut Orders) -> Result<()> {
    let mut home = Home::locate(Some(job.home.clone()))?;
    home.ensure()?;
    let start = Start {
        origin: Origin::Create {
            name: "bench".to_owned(),
        },
        config: Config {
            interfaces: vec![job.iface.clone()],
            ..Config::default()
        },
    };
    let running = open(&home, start).await?;
    answer(app, &home.socket())?;
    let leader_gone = async { while let Ok(Some(_)) = order(orders).await {} };
    running.serve(leader_gone).await
}

async fn ring(app: &App, job: &LockJob, orders: &mut Orders) -> Result<()> {
    let mut place = RingPlace::open()?;
    let counter = Counter::open(&LockJob::counter(&job.directory))?;
    answer(app, &place.port()?)?;
    while let Some(order) = next(orders).await? {
        match order {
            Order::Next(port) => place.set_next(port),
            Order::Contend(until) => {
                let rounds = contend(&mut place, &counter, until).await?;
                place.keep_passing_on()?;
                for &number in &job.contenders {
                    write(&LockJob::notes(&job.directory, number), &rounds)?;
                }
            }
            Order::Join(_) | Order::Voters => return Err(misunderstood()),
        }
        answer(app, &Value::Null)?;
    }
    Ok(())
}

/// The lock as an application of the library has it.
struct LibraryLock {
    node: Node,
    name: LockName,
}

impl LibraryLock {
    fn new(node: &Node) -> Self {
        Self {
            node: node.clone(),
            name: LockName::new(LOCK).expect("a plain word is the name of a lock"),
        }
    }
}

impl Turn for LibraryLock {
    type Held = Guard;

    async fn acquire(&mut self) -> Result<Guard> {
        Ok(self.node.lock(self.name.clone()).acquire().await?)
    }

    async fn release(&mut self, held: Guard) -> Result<()> {
        held.release();
        Ok(())
    }
}

async fn next(orders: &mut Orders) -> Result<Option<Order>> {
    let Some(line) = order(orders).await? else {
        return Ok(None);
    };
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|_no_order| misunderstood())
}

fn misunderstood() -> Failure {
    Failure::new("bench-worker").with("reason", "an order of another version")
}

fn options(job: &LockJob) -> Options {
    Options {
        interfaces: vec![job.iface.clone()],
        lock_voters_max: job.voters.map(usize::from),
        ..Options::default()
    }
}

/// The lock that is fought for.
pub(crate) const LOCK: &str = "bench";
/// Who has not got the lock so long after the others stopped asking never will.
const STUCK_AFTER: Duration = Duration::from_secs(30);
const NODES_MAX: u32 = 64;
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
const JOIN_MAX: Duration = Duration::from_secs(60);
