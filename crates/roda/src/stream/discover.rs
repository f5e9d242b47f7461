//! Finding a member that admits this node, from nothing but an invite token.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use ring::rand::{SystemRandom, generate};
use roda_proto::Destination;
use roda_proto::group::InviteToken;
use roda_proto::stream::Refusal;
use roda_proto::wire::join::{Offer, Probe, group_tag};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout};

use super::StreamError;
use super::fetch::{Admission, join_at};
use super::identity::TlsIdentity;
use crate::net::{Net, RecvBatch};

/// First pause between two probes; it doubles up to [`PROBE_PAUSE_MAX`].
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause between two probes.
const PROBE_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Longest time for one member to admit this node before the next one is asked.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(5);
/// Shortest time until a member that could not admit this node is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// After a refusal that waiting does not change, others still have this long to say yes.
const REFUSED_TIME_MAX: Duration = Duration::from_secs(3);
/// Most addresses tried; whoever is on the network can send offers.
const CANDIDATES_MAX: usize = 64;

/// Why no member has admitted this node.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum JoinError {
    /// No member answered.
    #[error("no member answered")]
    NobodyAnswered,
    /// Members answered, but no stream to them worked.
    #[error("no member could be reached: {0}")]
    Unreachable(#[source] StreamError),
    /// Members said no; the most telling reason that was given.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The system gives no randomness.
    #[error("no randomness")]
    NoRandomness,
}

/// Looks for members by multicast and at the token's hints, and asks one after the other for
/// admission until one says yes or `time_max` is over.
///
/// A member that says no for good is asked once; one that fails, is busy or does not know the invite
/// yet may be asked again. Not cancel-safe: dropped, this node may have been admitted.
///
/// # Errors
/// Nobody said yes, and why.
pub(crate) async fn discover(
    net: &Net,
    identity: &TlsIdentity,
    token: &InviteToken,
    nick: &str,
    wrap_key: &[u8; 32],
    time_max: Duration,
) -> Result<Admission, JoinError> {
    let mut search = Search::new(token, Instant::now() + time_max)?;
    let mut batch = RecvBatch::new();
    let mut attempt = None;
    loop {
        if attempt.is_none()
            && let Some(address) = search.candidates.next()
        {
            let asking = join_at(identity, address, token, nick, wrap_key);
            attempt = Some((address, Box::pin(timeout(ATTEMPT_TIME_MAX, asking))));
        }
        let answer = async {
            match &mut attempt {
                Some((address, asking)) => (*address, asking.await),
                None => pending().await,
            }
        };
        tokio::select! {
            (address, answer) = answer => {
                attempt = None;
                match answer.unwrap_or(Err(StreamError::TimedOut)) {
                    Ok(admission) => return Ok(admission),
                    Err(error) => search.on_failure(address, error),
                }
            }
            (_via, datagrams) = net.recv(&mut batch) => {
                for (source, datagram) in datagrams {
                    search.on_datagram(source, datagram);
                }
            }
            () = sleep_until(search.probe_at) => {
                search.on_probe();
                net.send(&Destination::Group, &search.probe).await;
                for hint in &token.hints {
                    net.send(&Destination::Address(*hint), &search.probe).await;
                }
            }
            () = sleep_until(search.end) => return Err(search.into_error()),
        }
    }
}

/// What is known about the search so far.
struct Search {
    probe: Vec<Vec<u8>>,
    group_tag: [u8; 8],
    nonce: [u8; 8],
    probe_at: Instant,
    pause: Duration,
    end: Instant,
    candidates: Candidates,
    refusal: Option<Refusal>,
    failure: Option<StreamError>,
}

impl Search {
    fn new(token: &InviteToken, end: Instant) -> Result<Self, JoinError> {
        // Whoever cannot see the probes cannot answer them.
        let nonce = generate(&SystemRandom::new())
            .map_err(|_unspecified| JoinError::NoRandomness)?
            .expose();
        let group_tag = group_tag(&token.group);
        let probe = Probe {
            group_tag,
            nonce,
            invite: token.id(),
            epoch: roda_proto::EpochTag(0),
        };
        Ok(Self {
            probe: vec![probe.encode()],
            group_tag,
            nonce,
            probe_at: Instant::now(),
            pause: PROBE_PAUSE_MIN,
            end,
            candidates: Candidates::default(),
            refusal: None,
            failure: None,
        })
    }

    fn on_probe(&mut self) {
        self.probe_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PROBE_PAUSE_MAX);
    }

    fn on_datagram(&mut self, source: SocketAddr, datagram: &[u8]) {
        let Some(offer) = Offer::parse(datagram) else {
            return;
        };
        if offer.group_tag == self.group_tag && offer.nonce == self.nonce {
            let mut address = source;
            address.set_port(offer.stream_port);
            self.candidates.offer(address, Instant::now());
        }
    }

    fn on_failure(&mut self, address: SocketAddr, error: StreamError) {
        tracing::debug!(%address, %error, "not admitted");
        let now = Instant::now();
        match error {
            StreamError::Refused(refusal) => {
                let is_more = |known| weight(refusal) > weight(known);
                if self.refusal.is_none_or(is_more) {
                    self.refusal = Some(refusal);
                }
                if is_final(refusal) {
                    self.end = self.end.min(now + REFUSED_TIME_MAX);
                } else {
                    self.candidates.retry(address, now + RETRY_PAUSE);
                }
            }
            error => {
                self.failure = Some(error);
                self.candidates.retry(address, now + RETRY_PAUSE);
            }
        }
    }

    fn into_error(self) -> JoinError {
        match (self.refusal, self.failure) {
            (Some(refusal), _) => JoinError::Refused(refusal),
            (None, Some(failure)) => JoinError::Unreachable(failure),
            (None, None) => JoinError::NobodyAnswered,
        }
    }
}

/// Addresses that were offered, each tried once unless it may be retried.
#[derive(Default)]
struct Candidates {
    queue: VecDeque<SocketAddr>,
    /// The earliest time of another try; `None`: there is none.
    known: BTreeMap<SocketAddr, Option<Instant>>,
}

impl Candidates {
    fn offer(&mut self, address: SocketAddr, now: Instant) {
        match self.known.get(&address) {
            None if self.known.len() >= CANDIDATES_MAX => return,
            Some(None) => return,
            Some(Some(earliest)) if *earliest > now => return,
            None | Some(Some(_)) => {}
        }
        self.known.insert(address, None);
        self.queue.push_back(address);
    }

    fn retry(&mut self, address: SocketAddr, earliest: Instant) {
        self.known.insert(address, Some(earliest));
    }

    fn next(&mut self) -> Option<SocketAddr> {
        self.queue.pop_front()
    }
}

/// Whether the answer would be the same from every member and later.
fn is_final(refusal: Refusal) -> bool {
    weight(refusal) >= FINAL
}

/// How much a refusal tells about the invite, rather than about the member that was asked.
const fn weight(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::Busy => 0,
        Refusal::UnknownInvite => 1,
        Refusal::OtherGroup | Refusal::NotMember => FINAL - 1,
        Refusal::BadProof => FINAL,
        Refusal::GroupFull => FINAL + 1,
        Refusal::Expired => FINAL + 2,
        Refusal::UsedUp => FINAL + 3,
        // A reason that a newer version gives and this one cannot weigh.
        _ => 2,
    }
}

const FINAL: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_address_is_tried_once_unless_it_may_be_retried() {
        let now = Instant::now();
        let mut candidates = Candidates::default();
        candidates.offer(at(1), now);
        candidates.offer(at(1), now);
        assert_eq!(candidates.next(), Some(at(1)));
        assert_eq!(candidates.next(), None);
        candidates.offer(at(1), now);
        assert_eq!(candidates.next(), None);

        candidates.retry(at(1), now + RETRY_PAUSE);
        candidates.offer(at(1), now + RETRY_PAUSE - Duration::from_millis(1));
        assert_eq!(candidates.next(), None);
        candidates.offer(at(1), now + RETRY_PAUSE);
        assert_eq!(candidates.next(), Some(at(1)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn offers_beyond_the_limit_are_ignored() {
        let mut candidates = Candidates::default();
        for port in 1..=100 {
            candidates.offer(at(port), Instant::now());
        }
        assert_eq!(candidates.queue.len(), CANDIDATES_MAX);
    }

    #[test]
    fn what_is_said_about_the_invite_outweighs_what_is_said_about_a_member() {
        let ascending = [
            Refusal::Busy,
            Refusal::UnknownInvite,
            Refusal::NotMember,
            Refusal::BadProof,
            Refusal::GroupFull,
            Refusal::Expired,
            Refusal::UsedUp,
        ];
        assert!(ascending.is_sorted_by_key(|refusal| weight(*refusal)));
        let finals = ascending.iter().filter(|refusal| is_final(**refusal));
        assert_eq!(finals.count(), 4);
    }
}
