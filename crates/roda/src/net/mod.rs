//! The network: multicast to the group and unicast to its members, on every chosen interface.
//!
//! Per family one socket hears the group on all interfaces; per interface and family one socket
//! sends, and receives what is addressed to this node alone. Everything is read and written in
//! bulk, because a system call per datagram costs more than all cryptography on it.

mod families;
mod group;
mod interfaces;
mod receive;
mod sender;
mod socket;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use roda_proto::{Destination, GroupId, Via};
use thiserror::Error;
use tokio::time::Instant;

use self::families::{Families, SMALL_LEN_MAX};
pub(crate) use self::group::group_addresses;
pub(crate) use self::interfaces::{Address, Interface};
pub(crate) use self::receive::RecvBatch;
use self::sender::{Outcome, Patience, Sender};
use self::socket::Socket;

/// How often [`Net::refresh`] should be called.
pub(crate) const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// How often [`Net::rejoin`] should be called: switches without a querier forget after 260 s.
pub(crate) const REJOIN_INTERVAL: Duration = Duration::from_secs(100);

/// Why the network could not be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// Neither a name nor an address of an interface of this machine.
    #[error("unknown interface {0:?}")]
    UnknownInterface(String),
    /// The system refused, for instance because another program has the group's port.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// All sockets of a node.
pub(crate) struct Net {
    wanted: Vec<String>,
    interfaces: Vec<Interface>,
    listeners: Vec<Listener>,
    senders: Vec<Sender>,
    /// Something could not be opened; the next refresh tries again.
    incomplete: bool,
    /// A send has failed in a way that suggests a change of interfaces.
    suspicious: AtomicBool,
    /// The socket that is asked first by the next `recv`, so that none starves.
    turn: AtomicUsize,
    families: Families,
    dropped: AtomicU64,
    scratch: Mutex<Vec<u8>>,
}

/// Hears the group in one family.
struct Listener {
    group: SocketAddr,
    /// `None` while the family is not available.
    socket: Option<Socket>,
    /// Indices of interfaces.
    joined: BTreeSet<u32>,
}

impl Net {
    /// Opens the sockets of `group` on the interfaces that `wanted` names, or on all if it is empty.
    ///
    /// Without a usable interface it starts on loopback, and [`Self::refresh`] finds others later.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// An unknown interface; the group's port taken by another program; no IP at all.
    pub(crate) fn open(group: &GroupId, wanted: &[String]) -> Result<Self, OpenError> {
        let listed = interfaces::list()?;
        if let Some(unknown) = interfaces::first_unknown(&listed, wanted) {
            return Err(OpenError::UnknownInterface(unknown.to_owned()));
        }
        let (v4, v6) = group_addresses(group);
        let mut net = Self {
            wanted: wanted.to_vec(),
            interfaces: Vec::new(),
            listeners: vec![Listener::new(v4.into()), Listener::new(v6.into())],
            senders: Vec::new(),
            incomplete: false,
            suspicious: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            families: Families::default(),
            dropped: AtomicU64::new(0),
            scratch: Mutex::default(),
        };
        let opened = net.listeners.iter_mut().map(|one| one.open().err());
        let mut errors: Vec<_> = opened.collect();
        // A family that the system lacks can be done without. A taken port cannot: this node would
        // be deaf to those who have only that family, and nobody would know why.
        let is_fatal = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let fatal = errors
            .iter()
            .position(|error| error.as_ref().is_some_and(is_fatal))
            .or_else(|| errors.iter().all(Option::is_some).then_some(0));
        if let Some(error) = fatal.and_then(|at| errors[at].take()) {
            return Err(error.into());
        }
        net.apply(interfaces::select(&listed, wanted, &[]));
        Ok(net)
    }

    /// Looks at the machine's interfaces again, and tells whether something has changed.
    ///
    /// To be called every [`REFRESH_INTERVAL`], and when [`Self::wants_refresh`] says so.
    ///
    /// # Errors
    /// The list of interfaces cannot be read; the sockets stay as they were.
    pub(crate) fn refresh(&mut self) -> io::Result<bool> {
        self.suspicious.store(false, Relaxed);
        let listed = interfaces::list()?;
        let selected = interfaces::select(&listed, &self.wanted, &self.interfaces);
        if selected == self.interfaces && !self.incomplete {
            return Ok(false);
        }
        Ok(self.apply(selected))
    }

    /// Leaves and joins the group everywhere, which makes the system announce the membership.
    ///
    /// The kernel announces only the first join of a group on an interface, so where several homes
    /// share a machine the announcement comes only from the one that is alone there.
    pub(crate) fn rejoin(&mut self) {
        for listener in &mut self.listeners {
            self.incomplete |= !listener.rejoin();
        }
    }

    /// Sends `datagrams` in order: to the group once per interface and family, or to one address.
    ///
    /// Waits for room at most 20 ms in all; what does not fit then is dropped and counted.
    /// Cancel-safe: dropped, it has sent a part of them.
    pub(crate) async fn send(&self, to: &Destination, datagrams: &[Vec<u8>]) {
        let mut scratch = std::mem::take(&mut *self.lock_scratch());
        let mut patience = Patience::default();
        match to {
            Destination::Group => {
                // Lost is only what went out nowhere.
                let mut least = None;
                for sender in self.senders_for(datagrams) {
                    let sent = sender
                        .send(sender.group, datagrams, &mut scratch, &mut patience)
                        .await;
                    self.suspect(&sent);
                    least =
                        Some(least.map_or(sent.dropped, |least: usize| least.min(sent.dropped)));
                }
                self.count_dropped(least.unwrap_or(datagrams.len()));
            }
            Destination::Address(to) => match self.sender_for(to) {
                Some(sender) => {
                    let sent = sender.send(*to, datagrams, &mut scratch, &mut patience);
                    self.account(sent.await);
                }
                None => self.account(Outcome {
                    dropped: datagrams.len(),
                    suspicious: false,
                }),
            },
        }
        *self.lock_scratch() = scratch;
    }

    /// Waits for datagrams and reads those that one socket has, in order of arrival.
    ///
    /// Cancel-safe: nothing is read before it returns. At most one task may wait at a time.
    pub(crate) async fn recv<'b>(
        &self,
        batch: &'b mut RecvBatch,
    ) -> (
        Via,
        impl Iterator<Item = (SocketAddr, &'b mut [u8])> + use<'b>,
    ) {
        let via = poll_fn(|cx| self.poll_recv(cx, batch)).await;
        (via, batch.datagrams())
    }

    /// Whether a datagram with this source was sent by this node: multicast comes back to it.
    pub(crate) fn is_own(&self, source: &SocketAddr) -> bool {
        self.senders.iter().any(|sender| sender.is_source(source))
    }

    /// Whether a send has failed as if an interface had changed since the last refresh.
    pub(crate) fn wants_refresh(&self) -> bool {
        self.suspicious.load(Relaxed)
    }

    /// Datagrams that were not sent, since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// The interfaces in use.
    pub(crate) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The addresses at which peers reach this node by unicast; link-local ones carry their scope.
    pub(crate) fn local_addresses(&self) -> Vec<SocketAddr> {
        self.senders.iter().map(|one| one.socket.local()).collect()
    }

    /// The group's multicast addresses, in the families that this node listens in.
    pub(crate) fn groups(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter(|listener| listener.socket.is_some())
            .map(|listener| listener.group)
            .collect()
    }

    /// Closes what is not in `selected`, opens what is new, and tells whether it did anything.
    fn apply(&mut self, selected: Vec<Interface>) -> bool {
        let before = self.senders.len();
        self.senders.retain(|sender| {
            selected.iter().any(|one| {
                one.index == sender.interface
                    && one.loopback == sender.loopback
                    && one.addresses.contains(&sender.address)
            })
        });
        let mut changed = self.senders.len() != before || selected != self.interfaces;
        self.incomplete = false;
        for listener in &mut self.listeners {
            let indices = selected.iter().filter(|one| listener.is_for(one));
            let indices: BTreeSet<_> = indices.map(|one| one.index).collect();
            match listener.apply(&indices) {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(group = %listener.group, %error, "cannot join");
                    self.incomplete = true;
                }
            }
        }
        for interface in &selected {
            for address in &interface.addresses {
                match self.open_sender(interface, *address) {
                    Ok(opened) => changed |= opened,
                    Err(error) => {
                        let interface = &interface.name;
                        tracing::debug!(interface, ip = %address.ip, %error, "cannot bind");
                        self.incomplete = true;
                    }
                }
            }
        }
        self.interfaces = selected;
        changed
    }

    fn open_sender(&mut self, interface: &Interface, address: Address) -> io::Result<bool> {
        let index = interface.index;
        let exists = |one: &Sender| one.interface == index && one.address == address;
        if self.senders.iter().any(exists) {
            return Ok(false);
        }
        let is_v4 = address.ip.is_ipv4();
        let listening = |one: &&Listener| one.group.is_ipv4() == is_v4;
        let Some(listener) = self.listeners.iter().find(listening) else {
            return Ok(false);
        };
        // The same port everywhere, if it is free, is easier to let through a firewall.
        let first = self.senders.first();
        let port = first.map_or(0, |one| one.socket.local().port());
        let socket = Socket::sending(address.ip, index, port)?;
        self.senders.push(Sender::new(
            socket,
            index,
            interface.loopback,
            address,
            listener.group,
        ));
        Ok(true)
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<Via> {
        let groups = self.listeners.iter().filter_map(|one| one.socket.as_ref());
        let groups = groups.map(|socket| (socket, Via::Multicast));
        let own = self.senders.iter().map(|one| (&one.socket, Via::Unicast));
        let sockets = groups.chain(own);
        let turn = self.turn.load(Relaxed);
        let (late, early) = (sockets.clone().skip(turn), sockets.take(turn));
        for (offset, (socket, via)) in late.chain(early).enumerate() {
            if batch.poll_fill(cx, socket, via).is_ready() {
                self.turn.store(self.turn_after(turn + offset), Relaxed);
                return Poll::Ready(via);
            }
        }
        Poll::Pending
    }

    fn turn_after(&self, position: usize) -> usize {
        let listening = self.listeners.iter().filter(|one| one.socket.is_some());
        (position + 1) % (listening.count() + self.senders.len()).max(1)
    }

    fn sender_for(&self, to: &SocketAddr) -> Option<&Sender> {
        let ranked = self.senders.iter();
        let ranked = ranked.filter_map(|sender| Some((sender.distance(to)?, sender)));
        let best = ranked.min_by_key(|(distance, _)| *distance);
        best.map(|(_, sender)| sender)
    }

    /// Bulk spares the second family of an interface if nobody needs it.
    fn senders_for(&self, datagrams: &[Vec<u8>]) -> impl Iterator<Item = &Sender> {
        let is_bulk = datagrams
            .iter()
            .any(|datagram| datagram.len() > SMALL_LEN_MAX);
        let spares_v6 = is_bulk && !self.families.needs_v6();
        let has_v4 = move |interface| {
            let here = self
                .senders
                .iter()
                .filter(move |sender| sender.interface == interface);
            here.clone().any(|sender| sender.group.is_ipv4())
        };
        let is_spared =
            move |sender: &&Sender| spares_v6 && sender.group.is_ipv6() && has_v4(sender.interface);
        self.senders.iter().filter(move |sender| !is_spared(sender))
    }

    /// Notes from whom a group datagram came, to know which families are needed.
    pub(crate) fn note(&mut self, source: &SocketAddr, datagram: &[u8]) {
        self.families.note(Instant::now(), source, datagram);
    }

    fn account(&self, outcome: Outcome) {
        self.count_dropped(outcome.dropped);
        self.suspect(&outcome);
    }

    fn count_dropped(&self, dropped: usize) {
        if dropped > 0 {
            let dropped = u64::try_from(dropped).unwrap_or(u64::MAX);
            self.dropped.fetch_add(dropped, Relaxed);
        }
    }

    fn suspect(&self, outcome: &Outcome) {
        if outcome.suspicious {
            self.suspicious.store(true, Relaxed);
        }
    }

    fn lock_scratch(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        // Its content means nothing between two calls, so a poisoned lock does no harm.
        let lock = self.scratch.lock();
        lock.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Listener {
    const fn new(group: SocketAddr) -> Self {
        Self {
            group,
            socket: None,
            joined: BTreeSet::new(),
        }
    }

    fn is_for(&self, interface: &Interface) -> bool {
        let is_same = |address: &Address| address.ip.is_ipv4() == self.group.is_ipv4();
        interface.addresses.iter().any(is_same)
    }

    fn open(&mut self) -> io::Result<&Socket> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => Socket::listening(self.group)?,
        };
        Ok(self.socket.insert(socket))
    }

    /// Joins and leaves so that `wanted` are the interfaces joined on; tries all before it fails.
    fn apply(&mut self, wanted: &BTreeSet<u32>) -> io::Result<()> {
        if wanted.is_empty() && self.joined.is_empty() {
            return Ok(());
        }
        let group = self.group.ip();
        let mut joined = std::mem::take(&mut self.joined);
        let socket = self.open()?;
        for gone in joined.difference(wanted) {
            // The interface itself may be gone, and the membership with it.
            if let Err(error) = socket.leave(group, *gone) {
                tracing::trace!(interface = gone, %error, "cannot leave");
            }
        }
        joined.retain(|index| wanted.contains(index));
        let mut result = Ok(());
        for index in wanted {
            if joined.contains(index) {
                continue;
            }
            match socket.join(group, *index) {
                Ok(()) => {
                    joined.insert(*index);
                }
                Err(error) => result = Err(error),
            }
        }
        self.joined = joined;
        result
    }

    /// Tells whether all memberships are there again; the others are left to the next refresh.
    fn rejoin(&mut self) -> bool {
        let Some(socket) = &self.socket else {
            return true;
        };
        let group = self.group.ip();
        let before = self.joined.len();
        self.joined.retain(|index| {
            let left = socket.leave(group, *index);
            let renewed = left.and_then(|()| socket.join(group, *index));
            if let Err(error) = &renewed {
                tracing::debug!(interface = index, %error, "cannot rejoin");
            }
            renewed.is_ok()
        });
        self.joined.len() == before
    }
}
