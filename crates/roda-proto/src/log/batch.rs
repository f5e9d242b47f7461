//! The batch: the unit of signing, sending and storing.
//!
//! ```text
//! version      u8        1
//! node         32 bytes  Ed25519 public key of the signer
//! incarnation   8 bytes
//! first         u64      sequence number of the first entry
//! count         u16      number of entries, at least 1
//! prev         32 bytes  content hash of the author's previous batch, zero before the first
//! hlc           u64      clock of the first entry
//! deps          u16 n, then n × (author 16 bytes, seq u64), ascending by author
//! topics        u8 n, then n × (length u8, UTF-8)
//! entries      count × (kind u8, topic u8, clock delta varint, length varint, body)
//! signature    64 bytes  Ed25519 over "roda batch v1" ‖ BLAKE3(all before)
//! ```
//! Integers are big-endian; a varint is LEB128. Topic 255 means "none". The content hash is the
//! BLAKE3 of all before the signature, so a second valid signature is no second batch.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::crypto::{self, SIGNATURE_LEN, SigningKey};
use crate::error::Rejected;
use crate::id::{AuthorId, Hash, Incarnation, NodeId, Seq};
use crate::log::topic::Topic;
use crate::time::Hlc;
use crate::wire::codec::{Reader, Writer};

/// Largest batch, signature included.
pub const BATCH_LEN_MAX: usize = 64 * 1024;
/// Largest body of one entry.
pub const BODY_LEN_MAX: usize = 32 * 1024;
/// Most authors that one batch may name as its dependencies.
pub const DEPS_MAX: usize = 1024;
/// Most topics in one batch.
pub const TOPICS_MAX: usize = 255;

const VERSION: u8 = 1;
const NO_TOPIC: u8 = 255;
const SEQ_END: u64 = 1 << 63;
const SIGNING_DOMAIN: &[u8] = b"roda batch v1";

/// What an entry is. Unknown kinds are stored and passed on, so that an older node does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A message in a topic.
    Message,
    /// A change of the group: see [`crate::group`].
    Control,
    /// A message written under a lock: see [`crate::log::fenced`].
    Fenced,
    /// What is said about jobs of a queue, which is the topic: see [`crate::job`].
    Job,
    /// Written by a newer version.
    Unknown(u8),
}

impl EntryKind {
    /// Number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Message => 0,
            Self::Control => 1,
            Self::Fenced => 2,
            Self::Job => 3,
            Self::Unknown(kind) => kind,
        }
    }

    const fn from_wire(kind: u8) -> Self {
        match kind {
            0 => Self::Message,
            1 => Self::Control,
            2 => Self::Fenced,
            3 => Self::Job,
            other => Self::Unknown(other),
        }
    }
}

/// One entry, borrowed from its batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Place in the author's log.
    pub seq: Seq,
    /// Clock; grows strictly within an author.
    pub hlc: Hlc,
    /// What the entry is.
    pub kind: EntryKind,
    /// Name of the topic; `None` for control entries.
    pub topic: Option<&'a str>,
    /// Content.
    pub body: &'a [u8],
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Entry({} {:?} {:?}, {} bytes)",
            self.seq,
            self.hlc,
            self.kind,
            self.body.len()
        )
    }
}

/// A parsed batch. Its bytes are immutable; every node keeps and resends the same ones.
pub struct Batch {
    bytes: Arc<[u8]>,
    /// Signer.
    pub node: NodeId,
    /// Life of the signer's database.
    pub incarnation: Incarnation,
    /// Hash of `node` and `incarnation`.
    pub author: AuthorId,
    /// First entry.
    pub first: Seq,
    /// Last entry.
    pub last: Seq,
    /// Content hash of the previous batch.
    pub prev: Hash,
    /// Clock of the first entry.
    pub hlc_first: Hlc,
    /// Clock of the last entry.
    pub hlc_last: Hlc,
    /// What the author had newly seen of others since its previous batch.
    pub deps: Vec<(AuthorId, Seq)>,
    /// Content hash of this batch.
    pub hash: Hash,
    topics: Vec<(u32, u8)>,
    entries_at: u32,
    has_control: bool,
    has_fenced: bool,
    has_jobs: bool,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Batch({:?} {}..={}, {} bytes)",
            self.author,
            self.first,
            self.last,
            self.bytes.len()
        )
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Batch {}

impl Batch {
    /// Parses a batch completely, without checking its signature.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] unless the bytes are exactly one well-formed batch.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejected> {
        Self::parse_with(bytes, crypto::content_hash)
    }

    /// The builder knows the hash already: it has just signed it.
    fn parse_with(bytes: &[u8], hash_of: impl FnOnce(&[u8]) -> Hash) -> Result<Self, Rejected> {
        if bytes.len() > BATCH_LEN_MAX || bytes.len() < SIGNATURE_LEN {
            return Err(Rejected::Malformed);
        }
        let content = &bytes[..bytes.len() - SIGNATURE_LEN];
        let mut reader = Reader::new(content);
        if reader.u8()? != VERSION {
            return Err(Rejected::Version);
        }
        let node = NodeId(reader.array()?);
        let incarnation = Incarnation(reader.array()?);
        let first = Seq(reader.u64()?);
        let count = reader.u16()?;
        let prev = Hash(reader.array()?);
        let hlc_first = Hlc(reader.u64()?);
        let last = u64::from(count)
            .checked_sub(1)
            .and_then(|more| first.0.checked_add(more));
        // Within 63 bits there is always a next one, and SQLite can store it.
        let last = last.filter(|last| *last < SEQ_END);
        let (Some(last), true) = (last, first.0 > 0) else {
            return Err(Rejected::Malformed);
        };
        let deps = parse_deps(&mut reader)?;
        let topics = parse_topics(&mut reader)?;
        let entries_at =
            u32::try_from(reader.position()).map_err(|_too_long| Rejected::Malformed)?;
        let mut batch = Self {
            bytes: Arc::from(bytes),
            node,
            incarnation,
            author: crypto::author_id(&node, &incarnation),
            first,
            last: Seq(last),
            prev,
            hlc_first,
            hlc_last: hlc_first,
            deps,
            hash: hash_of(content),
            topics,
            entries_at,
            has_control: false,
            has_fenced: false,
            has_jobs: false,
        };
        batch.check_entries(count)?;
        Ok(batch)
    }

    fn check_entries(&mut self, count: u16) -> Result<(), Rejected> {
        let mut reader =
            Reader::new(&self.bytes[self.entries_at as usize..self.bytes.len() - SIGNATURE_LEN]);
        let mut hlc = self.hlc_first;
        for index in 0..count {
            let kind = EntryKind::from_wire(reader.u8()?);
            let topic = reader.u8()?;
            let delta = reader.varint()?;
            let body = reader.bytes_var()?;
            hlc = Hlc(hlc.0.checked_add(delta).ok_or(Rejected::Malformed)?);
            let known_topic = usize::from(topic) < self.topics.len();
            let topic_fits = match kind {
                EntryKind::Message => known_topic,
                EntryKind::Control => topic == NO_TOPIC,
                // Versions that do not know these take either; all have to take the same batches.
                EntryKind::Fenced | EntryKind::Job | EntryKind::Unknown(_) => {
                    known_topic || topic == NO_TOPIC
                }
            };
            if (index == 0) != (delta == 0) || body.len() > BODY_LEN_MAX || !topic_fits {
                return Err(Rejected::Malformed);
            }
            self.has_control |= kind == EntryKind::Control;
            self.has_fenced |= kind == EntryKind::Fenced;
            self.has_jobs |= kind == EntryKind::Job;
        }
        self.hlc_last = hlc;
        if reader.is_empty() {
            Ok(())
        } else {
            Err(Rejected::Malformed)
        }
    }

    /// Whether the signer really signed this batch. About 0.1 ms.
    #[must_use]
    pub fn verify(&self) -> bool {
        crypto::verify(
            &self.node,
            &signed_message(&self.hash),
            &self.bytes[self.bytes.len() - SIGNATURE_LEN..],
        )
    }

    /// The bytes as signed, sent and stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same bytes, shared.
    #[must_use]
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// Number of entries.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }

    /// Whether any entry is a control entry.
    #[must_use]
    pub const fn has_control(&self) -> bool {
        self.has_control
    }

    /// Whether any entry is a fenced one.
    #[must_use]
    pub const fn has_fenced(&self) -> bool {
        self.has_fenced
    }

    /// Whether any entry is about jobs.
    #[must_use]
    pub const fn has_jobs(&self) -> bool {
        self.has_jobs
    }

    /// Whether all entries are control entries.
    #[must_use]
    pub fn is_control_only(&self) -> bool {
        self.has_control && self.entries().all(|entry| entry.kind == EntryKind::Control)
    }

    /// Names of the topics that the batch writes to.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|at| self.topic_name(*at))
    }

    /// The entries in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut reader =
            Reader::new(&self.bytes[self.entries_at as usize..self.bytes.len() - SIGNATURE_LEN]);
        let (mut seq, mut hlc) = (self.first, self.hlc_first);
        core::iter::from_fn(move || {
            let kind = EntryKind::from_wire(reader.u8().ok()?);
            let topic = reader.u8().ok()?;
            hlc = Hlc(hlc.0 + reader.varint().ok()?);
            let body = reader.bytes_var().ok()?;
            let topic = self
                .topics
                .get(usize::from(topic))
                .map(|at| self.topic_name(*at));
            let entry = Entry {
                seq,
                hlc,
                kind,
                topic,
                body,
            };
            seq = seq.next();
            Some(entry)
        })
    }

    fn topic_name(&self, (at, len): (u32, u8)) -> &str {
        let at = at as usize;
        core::str::from_utf8(&self.bytes[at..at + usize::from(len)]).expect("checked when parsed")
    }
}

fn signed_message(hash: &Hash) -> Vec<u8> {
    [SIGNING_DOMAIN, &hash.0].concat()
}

fn parse_deps(reader: &mut Reader<'_>) -> Result<Vec<(AuthorId, Seq)>, Rejected> {
    let count = usize::from(reader.u16()?);
    if count > DEPS_MAX {
        return Err(Rejected::Malformed);
    }
    let mut deps: Vec<(AuthorId, Seq)> = Vec::with_capacity(count);
    for _ in 0..count {
        let dep = (AuthorId(reader.array()?), Seq(reader.u64()?));
        if deps.last().is_some_and(|previous| previous.0 >= dep.0) {
            return Err(Rejected::Malformed);
        }
        deps.push(dep);
    }
    Ok(deps)
}

/// Positions of the names, so that a batch of one topic costs no allocation per name.
fn parse_topics(reader: &mut Reader<'_>) -> Result<Vec<(u32, u8)>, Rejected> {
    let count = usize::from(reader.u8()?);
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let len = reader.u8()?;
        let at = u32::try_from(reader.position()).map_err(|_too_long| Rejected::Malformed)?;
        let name = core::str::from_utf8(reader.take(usize::from(len))?)
            .map_err(|_invalid| Rejected::Malformed)?;
        if !Topic::is_valid(name) {
            return Err(Rejected::Malformed);
        }
        topics.push((at, len));
    }
    Ok(topics)
}

/// Collects entries and signs them as one batch.
pub struct BatchBuilder {
    first: Seq,
    hlc_first: Hlc,
    hlc_last: Hlc,
    count: u16,
    topics: Vec<Topic>,
    topics_len: usize,
    entries: Writer,
}

impl BatchBuilder {
    /// An empty batch whose first entry will be `first`.
    #[must_use]
    pub const fn new(first: Seq) -> Self {
        Self {
            first,
            hlc_first: Hlc::ZERO,
            hlc_last: Hlc::ZERO,
            count: 0,
            topics: Vec::new(),
            topics_len: 0,
            entries: Writer::new(),
        }
    }

    /// Whether an entry of `body_len` bytes still fits beside `deps` dependencies.
    #[must_use]
    pub fn fits(&self, topic: Option<&Topic>, body_len: usize, deps: usize) -> bool {
        let fixed = 1 + 32 + 8 + 8 + 2 + 32 + 8 + 2 + 24 * deps + 1 + SIGNATURE_LEN;
        let entry = 2 + 10 + 3 + body_len;
        let (topic_len, topics) = match topic {
            Some(topic) if !self.topics.contains(topic) => {
                (1 + topic.as_str().len(), self.topics.len() + 1)
            }
            _ => (0, self.topics.len()),
        };
        self.count < u16::MAX
            && topics <= TOPICS_MAX
            && fixed + self.topics_len + topic_len + self.entries.len() + entry <= BATCH_LEN_MAX
    }

    /// Adds an entry; the caller has asked [`Self::fits`], and `hlc` is greater than the previous one.
    ///
    /// Returns the entry's sequence number.
    pub fn push(&mut self, hlc: Hlc, kind: EntryKind, topic: Option<&Topic>, body: &[u8]) -> Seq {
        let topic_index = topic.map_or(NO_TOPIC, |topic| self.topic_index(topic));
        if self.count == 0 {
            (self.hlc_first, self.hlc_last) = (hlc, hlc);
        }
        assert!(
            self.count == 0 || hlc > self.hlc_last,
            "the clock of an author never stands still"
        );
        self.entries.u8(kind.to_wire());
        self.entries.u8(topic_index);
        self.entries.varint(hlc.0 - self.hlc_last.0);
        self.entries.bytes_var(body);
        self.hlc_last = hlc;
        let seq = Seq(self.first.0 + u64::from(self.count));
        self.count += 1;
        seq
    }

    fn topic_index(&mut self, topic: &Topic) -> u8 {
        let index = self
            .topics
            .iter()
            .position(|known| known == topic)
            .unwrap_or_else(|| {
                self.topics_len += 1 + topic.as_str().len();
                self.topics.push(topic.clone());
                self.topics.len() - 1
            });
        u8::try_from(index).expect("fits() keeps the number of topics within a byte")
    }

    /// Whether nothing was added yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Signs what was collected; `deps` ascend by author.
    #[must_use]
    pub fn seal(
        self,
        key: &SigningKey,
        incarnation: Incarnation,
        prev: Hash,
        deps: &[(AuthorId, Seq)],
    ) -> Batch {
        let mut writer = Writer::new();
        writer.u8(VERSION);
        writer.raw(&key.public().0);
        writer.raw(&incarnation.0);
        writer.u64(self.first.0);
        writer.u16(self.count);
        writer.raw(&prev.0);
        writer.u64(self.hlc_first.0);
        writer.u16(u16::try_from(deps.len()).expect("DEPS_MAX fits in 16 bits"));
        for (author, seq) in deps {
            writer.raw(&author.0);
            writer.u64(seq.0);
        }
        writer.u8(u8::try_from(self.topics.len()).expect("TOPICS_MAX fits in 8 bits"));
        for topic in &self.topics {
            writer.bytes_u8(topic.as_str().as_bytes());
        }
        writer.raw(self.entries.as_slice());
        let hash = crypto::content_hash(writer.as_slice());
        writer.raw(&key.sign(&signed_message(&hash)));
        Batch::parse_with(writer.as_slice(), |_content| hash)
            .expect("a batch that this builder made is well-formed")
    }
}
