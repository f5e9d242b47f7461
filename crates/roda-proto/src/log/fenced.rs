//! Entries that tell under which hold of a lock they were written, and what makes one of them late.
//!
//! A holder that lost its lock without knowing it may still write, and so may a machine that comes back
//! with entries that nobody has seen. Nothing can keep such an entry out of a log that has no server, but
//! every member can tell it from the others by the same rule. A fenced entry is **late** if the lock's
//! next holder that wrote to the topic went on without it:
//!
//! > Of all entries of the same topic and lock with a larger fence, take those with the smallest fence.
//! > The first of each author among them tells what its holder had seen. The entry is late if one of
//! > them does not cover it.
//!
//! Larger fences than the next one need not be looked at: what a lock's frontier covers, it covers under
//! every later fence too, so an entry that the next holder had seen, the others have seen as well. (Where
//! a frontier was forgotten, looking further would call entries late that a holder did see.) For the
//! same reason an entry that is late stays late, whatever arrives: a fence that comes between the two has
//! seen no more. The rule knows entries alone, neither their arrival nor the clock, so members with the
//! same entries agree.
//!
//! It fits locks that one holds alone. Those who share a lock have not seen each other, so it calls
//! entries of the one late by those of the other.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::error::Rejected;
use crate::id::{AuthorId, Seq};
use crate::log::batch::{Entry, EntryKind};
use crate::stream;
use crate::token::{Fence, Frontier, LockName};

/// Under which hold of a lock something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The lock.
    pub lock: LockName,
    /// The number of the hold.
    pub fence: Fence,
    /// The lock's frontier when the hold began, ascending by author.
    pub seen: Frontier,
}

/// What the body of an entry of kind `Fenced` holds, as CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Fenced<'a> {
    #[n(0)]
    lock: LockName,
    #[n(1)]
    fence: Fence,
    #[n(2)]
    seen: Frontier,
    #[b(3)]
    #[cbor(with = "minicbor::bytes")]
    body: &'a [u8],
}

/// What an entry says in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Where.
    pub topic: &'a str,
    /// What.
    pub body: &'a [u8],
    /// Under which hold, if it is fenced.
    pub hold: Option<Hold>,
}

impl Hold {
    /// A hold with its frontier in canonical form.
    #[must_use]
    pub fn new(lock: LockName, fence: Fence, seen: Frontier) -> Self {
        let Frontier(mut seen) = seen;
        // Of an author named twice, the last entry counts.
        seen.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        seen.dedup_by_key(|(author, _)| *author);
        Self {
            lock,
            fence,
            seen: Frontier(seen),
        }
    }

    /// The body of the entry that says `body` under this hold.
    #[must_use]
    pub fn entry_body(&self, body: &[u8]) -> Vec<u8> {
        stream::encode(&Fenced {
            lock: self.lock.clone(),
            fence: self.fence,
            seen: self.seen.clone(),
            body,
        })
    }
}

impl<'a> Entry<'a> {
    /// What the entry says; `None` for what is no message, or none that this version understands.
    #[must_use]
    pub fn said(&self) -> Option<Said<'a>> {
        let topic = self.topic?;
        match self.kind {
            EntryKind::Message => Some(Said {
                topic,
                body: self.body,
                hold: None,
            }),
            EntryKind::Fenced => {
                let fenced = parse(self.body).ok()?;
                Some(Said {
                    topic,
                    body: fenced.body,
                    hold: Some(Hold {
                        lock: fenced.lock,
                        fence: fenced.fence,
                        seen: fenced.seen,
                    }),
                })
            }
            EntryKind::Control | EntryKind::Job | EntryKind::Unknown(_) => None,
        }
    }
}

fn parse(body: &[u8]) -> Result<Fenced<'_>, Rejected> {
    let fenced: Fenced<'_> = stream::decode(body)?;
    let ascends = |pair: &[(AuthorId, Seq)]| pair[0].0 < pair[1].0;
    if fenced.seen.0.windows(2).all(ascends) {
        Ok(fenced)
    } else {
        Err(Rejected::Malformed)
    }
}

/// Whether whoever had seen `seen`, which ascends by author, had seen this entry.
#[must_use]
pub fn covers(seen: &Frontier, author: &AuthorId, seq: Seq) -> bool {
    seen.0
        .binary_search_by_key(author, |(author, _)| *author)
        .is_ok_and(|at| seen.0[at].1 >= seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Hlc;

    const ANA: AuthorId = AuthorId([1; 16]);
    const BIA: AuthorId = AuthorId([2; 16]);

    fn hold(seen: Vec<(AuthorId, Seq)>) -> Hold {
        let lock = LockName::new("db").unwrap();
        Hold::new(lock, Fence(7), Frontier(seen))
    }

    fn entry<'a>(kind: EntryKind, topic: Option<&'a str>, body: &'a [u8]) -> Entry<'a> {
        Entry {
            seq: Seq(1),
            hlc: Hlc(1),
            kind,
            topic,
            body,
        }
    }

    #[test]
    fn what_is_written_under_a_hold_is_read_with_it() {
        let hold = hold(Vec::from([(ANA, Seq(3))]));
        let body = hold.entry_body(b"x");
        let said = entry(EntryKind::Fenced, Some("t"), &body).said().unwrap();
        assert_eq!((said.topic, said.body), ("t", b"x".as_slice()));
        assert_eq!(said.hold, Some(hold));
    }

    #[test]
    fn a_frontier_is_brought_into_its_one_form() {
        let hold = hold(Vec::from([(BIA, Seq(1)), (ANA, Seq(3)), (BIA, Seq(9))]));
        assert_eq!(hold.seen.0, [(ANA, Seq(3)), (BIA, Seq(9))]);
    }

    #[test]
    fn what_does_not_parse_or_has_no_topic_says_nothing() {
        let sound = hold(Vec::new()).entry_body(b"x");
        assert!(entry(EntryKind::Fenced, None, &sound).said().is_none());
        let longer = [&sound[..], &[0]].concat();
        let mut unordered = hold(Vec::new());
        unordered.seen = Frontier(Vec::from([(BIA, Seq(1)), (ANA, Seq(1))]));
        let unordered = unordered.entry_body(b"x");
        for body in [b"".as_slice(), b"text", &longer, &unordered] {
            assert!(entry(EntryKind::Fenced, Some("t"), body).said().is_none());
        }
        assert!(
            entry(EntryKind::Control, Some("t"), &sound)
                .said()
                .is_none()
        );
        let unknown = EntryKind::Unknown(200);
        assert!(entry(unknown, Some("t"), &sound).said().is_none());
    }

    #[test]
    fn a_frontier_covers_up_to_the_entry_it_names() {
        let Hold { seen, .. } = hold(Vec::from([(ANA, Seq(3))]));
        assert!(covers(&seen, &ANA, Seq(3)));
        assert!(!covers(&seen, &ANA, Seq(4)));
        assert!(!covers(&seen, &BIA, Seq(1)));
    }
}
