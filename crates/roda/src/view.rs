//! What the driver shows to the handles and to streams: a copy that changes when members or keys do.

use std::net::SocketAddr;

use roda_proto::stream::EpochKey;
use roda_proto::{EpochRecord, GroupId, MemberInfo, crypto};
use zeroize::Zeroizing;

/// The group as this node sees it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) group: GroupId,
    pub(crate) group_name: Option<String>,
    pub(crate) members: Vec<MemberInfo>,
    /// Keys that a member may be given.
    pub(crate) keys: Vec<EpochRecord>,
    /// Own datagram addresses.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Where another node with this node's identity is heard.
    pub(crate) twin: Option<SocketAddr>,
    /// The store takes nothing now.
    pub(crate) is_failed: bool,
    /// This node was removed, or has left.
    pub(crate) is_expelled: bool,
}

impl View {
    pub(crate) const fn new(group: GroupId) -> Self {
        Self {
            group,
            group_name: None,
            members: Vec::new(),
            keys: Vec::new(),
            addresses: Vec::new(),
            twin: None,
            is_failed: false,
            is_expelled: false,
        }
    }
}

/// Keys as they come over a stream, as the engine takes them.
pub(crate) fn epoch_records(keys: &[EpochKey]) -> Vec<EpochRecord> {
    keys.iter()
        .map(|key| EpochRecord {
            tag: crypto::epoch_tag(&key.secret),
            secret: Zeroizing::new(key.secret),
            created: key.created,
        })
        .collect()
}
