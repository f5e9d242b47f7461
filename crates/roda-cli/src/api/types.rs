//! What the control API says and takes. Field names are stable within `/v1`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use roda::{Hlc, Message, Receipt};
use serde::{Deserialize, Serialize};

/// A message, as `history`, `chat` and `say` print it.
///
/// Field order is part of the promise: the history of a topic is the same bytes on every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageLine<'a> {
    /// Where.
    pub(crate) topic: Cow<'a, str>,
    /// Whose log it is in, hexadecimal.
    pub(crate) author: String,
    /// Who signed it, hexadecimal.
    pub(crate) node: String,
    /// The node's name at this moment; absent in histories, because names can differ by member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nick: Option<String>,
    /// Place in the author's log.
    pub(crate) seq: u64,
    /// Clock, `MILLIS.COUNTER`.
    pub(crate) hlc: String,
    /// The same for people: RFC 3339, UTC, milliseconds.
    pub(crate) time: String,
    /// The lock under which it was written, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<Cow<'a, str>>,
    /// With which fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fence: Option<u64>,
    /// Whether a later holder of the lock went on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) late: Option<bool>,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Cow<'a, str>>,
    /// What was said, hexadecimal, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<String>,
}

impl<'a> From<&'a Message> for MessageLine<'a> {
    fn from(message: &'a Message) -> Self {
        let text = std::str::from_utf8(&message.body).ok();
        let fence = message.fence.as_ref();
        Self {
            topic: Cow::Borrowed(message.topic.as_str()),
            author: message.author.to_hex(),
            node: message.node.to_hex(),
            nick: None,
            seq: message.seq.0,
            hlc: hlc_text(message.hlc),
            time: time_text(message.hlc),
            lock: fence.map(|mark| Cow::Borrowed(mark.lock.as_str())),
            fence: fence.map(|mark| mark.fence.0),
            late: fence.map(|mark| mark.late),
            text: text.map(Cow::Borrowed),
            bytes: text.is_none().then(|| hex(&message.body)),
        }
    }
}

/// `MILLIS.COUNTER`.
pub(crate) fn hlc_text(hlc: Hlc) -> String {
    format!("{}.{}", hlc.millis(), hlc.0 & 0xffff)
}

/// The moment of a clock.
pub(crate) fn timestamp(hlc: Hlc) -> Timestamp {
    // 48 bits of milliseconds reach beyond the year 9999, where the calendar ends.
    i64::try_from(hlc.millis())
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX)
}

/// RFC 3339, UTC, milliseconds.
pub(crate) fn time_text(hlc: Hlc) -> String {
    format!("{:.3}", timestamp(hlc))
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

/// The bytes of [`MessageLine::bytes`].
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

/// Messages to append.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppendRequest {
    /// One message each, in order.
    pub(crate) texts: Vec<String>,
    /// The lock under which they are written; together with `fence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<String>,
    /// The fence of the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fence: Option<u64>,
}

/// Where the appended messages stand; they are durable on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppendReply {
    /// Where.
    pub(crate) topic: String,
    /// Whose log.
    pub(crate) author: String,
    /// Who signed.
    pub(crate) node: String,
    /// Place of the first.
    pub(crate) first: u64,
    /// Place of the last.
    pub(crate) last: u64,
    /// Clock of the last.
    pub(crate) hlc: String,
    /// The same for people.
    pub(crate) time: String,
}

impl AppendReply {
    /// From the library's receipt.
    pub(crate) fn new(topic: String, node: String, receipt: &Receipt) -> Self {
        Self {
            topic,
            author: receipt.author.to_hex(),
            node,
            first: receipt.first.0,
            last: receipt.last.0,
            hlc: hlc_text(receipt.hlc),
            time: time_text(receipt.hlc),
        }
    }
}

/// What to read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryParams {
    /// Only from this clock on, as the number that an HLC is.
    pub(crate) since: Option<u64>,
    /// Only the last ones.
    pub(crate) last: Option<usize>,
}

/// A topic.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TopicReply {
    /// Its name.
    pub(crate) topic: String,
    /// How many messages it has.
    pub(crate) messages: u64,
    /// When the last one was written.
    pub(crate) last: String,
}

/// A member.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MemberReply {
    /// Its key, hexadecimal.
    pub(crate) node: String,
    /// Its name; may be empty.
    pub(crate) nick: String,
    /// `here`, `online`, `suspect` or `down`.
    pub(crate) presence: String,
    /// Entries that it is known to lack.
    pub(crate) behind: Option<u64>,
    /// `multicast` or `unicast`: how its datagrams arrive.
    pub(crate) carrier: Option<String>,
}

impl From<roda::MemberInfo> for MemberReply {
    fn from(member: roda::MemberInfo) -> Self {
        let presence = match member.presence {
            roda::Presence::Here => "here",
            roda::Presence::Online => "online",
            roda::Presence::Suspect => "suspect",
            roda::Presence::Down => "down",
        };
        let carrier = member.carrier.map(|carrier| match carrier {
            roda::Carrier::Multicast => "multicast",
            roda::Carrier::Unicast => "unicast",
        });
        Self {
            node: member.node.to_hex(),
            nick: member.nick,
            presence: presence.to_owned(),
            behind: member.behind,
            carrier: carrier.map(ToOwned::to_owned),
        }
    }
}

/// A wish for an invite.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteRequest {
    /// How many may use it.
    pub(crate) uses: u32,
    /// How long it is valid.
    pub(crate) lifetime_ms: u64,
}

/// An invite.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InviteReply {
    /// What to give to the newcomer.
    pub(crate) token: String,
    /// How many may use it.
    pub(crate) uses: u32,
    /// Until when it is valid.
    pub(crate) expires: String,
}

/// Who was removed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemoveReply {
    /// Its key.
    pub(crate) removed: String,
}

/// A file to keep, or to keep no longer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MirrorRequest {
    /// Of which topic.
    pub(crate) topic: String,
    /// Absolute path.
    pub(crate) path: String,
}

/// Which file is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MirrorParams {
    /// Absolute path.
    pub(crate) path: String,
}

/// A mirror.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MirrorReply {
    /// Of which topic.
    pub(crate) topic: String,
    /// Where.
    pub(crate) path: String,
    /// Messages in the file.
    pub(crate) messages: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// Messages that are known but not stable yet.
    pub(crate) waiting: u64,
    /// Why it does not grow.
    pub(crate) error: Option<String>,
}

/// What a check of all that is stored found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VerifyReply {
    /// Whether all is well.
    pub(crate) ok: bool,
    /// Logs checked.
    pub(crate) authors: u64,
    /// Signatures checked.
    pub(crate) batches: u64,
    /// Entries in them.
    pub(crate) entries: u64,
    /// What is wrong, one line each.
    pub(crate) faults: Vec<String>,
}

impl From<roda::VerifyReport> for VerifyReply {
    fn from(report: roda::VerifyReport) -> Self {
        Self {
            ok: report.faults.is_empty(),
            authors: report.authors,
            batches: report.batches,
            entries: report.entries,
            faults: report.faults,
        }
    }
}

/// A network interface in use.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InterfaceReply {
    /// Its name.
    pub(crate) name: String,
    /// Its number.
    pub(crate) index: u32,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
}

/// How the node is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatusReply {
    /// Version of Roda.
    pub(crate) version: String,
    /// Process.
    pub(crate) pid: u32,
    /// Milliseconds since it started.
    pub(crate) uptime_ms: u64,
    /// Its home.
    pub(crate) home: String,
    /// Its control socket.
    pub(crate) socket: String,
    /// The group, hexadecimal.
    pub(crate) group: String,
    /// The group's name.
    pub(crate) group_name: String,
    /// The node's key, hexadecimal.
    pub(crate) node: String,
    /// The log it writes, hexadecimal.
    pub(crate) author: String,
    /// Its name for people.
    pub(crate) nick: String,
    /// Number of the group key.
    pub(crate) epoch: u32,
    /// `multicast`, `unicast` or `mixed`; `none` while no other member is heard.
    pub(crate) carrier: String,
    /// Interfaces in use.
    pub(crate) interfaces: Vec<InterfaceReply>,
    /// Multicast groups in use.
    pub(crate) multicast_groups: Vec<String>,
    /// Port for catching up.
    pub(crate) stream_port: u16,
    /// Members of the group.
    pub(crate) members: usize,
    /// Members that are heard, this one included.
    pub(crate) members_online: usize,
    /// Entries stored, of all topics and of the group itself.
    pub(crate) entries: u64,
    /// Up to here every member was heard.
    pub(crate) stable: String,
    /// Why the node wakes next.
    pub(crate) next_timer: Option<String>,
    /// What was counted since the start.
    pub(crate) counters: BTreeMap<String, u64>,
    /// What was refused since the start, by reason.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// What an operator should know.
    pub(crate) problems: Vec<String>,
}

impl StatusReply {
    /// From the library's status, and where this node lives.
    pub(crate) fn new(status: roda::Status, home: String, socket: String) -> Self {
        let interfaces = status
            .interfaces
            .into_iter()
            .map(|interface| InterfaceReply {
                name: interface.name,
                index: interface.index,
                addresses: interface
                    .addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            });
        let counters = status.counters.into_iter();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: status.pid,
            uptime_ms: u64::try_from(status.uptime.as_millis()).unwrap_or(u64::MAX),
            home,
            socket,
            group: status.group,
            group_name: status.group_name,
            node: status.node,
            author: status.author,
            nick: status.nick,
            epoch: status.epoch,
            carrier: status.carrier.to_owned(),
            interfaces: interfaces.collect(),
            multicast_groups: status
                .multicast_groups
                .iter()
                .map(ToString::to_string)
                .collect(),
            stream_port: status.stream_port,
            members: status.members,
            members_online: status.members_online,
            entries: status.entries,
            stable: time_text(status.stable),
            next_timer: status.next_timer.map(ToOwned::to_owned),
            counters: counters
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
            rejected: status.rejected,
            problems: status.problems,
        }
    }
}

#[cfg(test)]
mod tests {
    use roda::{AuthorId, Fence, FenceMark, LockName, NodeId, Seq, Topic};

    use super::*;

    fn message(body: &[u8]) -> Message {
        Message {
            author: AuthorId([1; 16]),
            node: NodeId([2; 32]),
            seq: Seq(7),
            hlc: Hlc::from_millis(1_700_000_000_123).next(),
            topic: Topic::new("praça").unwrap(),
            body: body.to_vec(),
            fence: None,
        }
    }

    #[test]
    fn a_message_is_one_line_with_fields_in_a_fixed_order() {
        let message = message("olá\n\"x\"".as_bytes());
        let line = serde_json::to_string(&MessageLine::from(&message)).unwrap();
        let expected = format!(
            "{{\"topic\":\"praça\",\"author\":\"{}\",\"node\":\"{}\",\"seq\":7,\
             \"hlc\":\"1700000000123.1\",\"time\":\"2023-11-14T22:13:20.123Z\",\
             \"text\":\"olá\\n\\\"x\\\"\"}}",
            "01".repeat(16),
            "02".repeat(32)
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn a_message_written_under_a_lock_tells_so_before_its_text() {
        let fence = FenceMark {
            lock: LockName::new("db").unwrap(),
            fence: Fence(7),
            late: true,
        };
        let message = Message {
            fence: Some(fence),
            ..message(b"x")
        };
        let line = serde_json::to_string(&MessageLine::from(&message)).unwrap();
        let end = "Z\",\"lock\":\"db\",\"fence\":7,\"late\":true,\"text\":\"x\"}";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn a_message_that_is_not_utf8_is_shown_in_hexadecimal() {
        let message = message(b"\xff\x00");
        let line = MessageLine::from(&message);
        assert_eq!(
            (line.text.as_deref(), line.bytes.as_deref()),
            (None, Some("ff00"))
        );
        assert_eq!(unhex("ff00").unwrap(), b"\xff\x00");
        assert_eq!(unhex("f"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn a_clock_beyond_the_calendar_has_a_time() {
        assert_eq!(time_text(Hlc(u64::MAX)), "9999-12-30T22:00:00.999Z");
    }
}
