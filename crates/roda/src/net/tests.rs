//! Two nodes and more on the loopback interface of this machine.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use roda_proto::{Destination, GroupId, Via};
use tokio::time::timeout;

use super::{Net, OpenError, RecvBatch};

/// Far longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every test has its own group, so that tests running at once do not hear each other.
fn group(test: u8) -> GroupId {
    let mut id = [test; 16];
    id[..4].copy_from_slice(&std::process::id().to_be_bytes());
    GroupId(id)
}

fn open(test: u8) -> Net {
    Net::open(&group(test), &["lo".to_owned()]).unwrap()
}

fn address(net: &Net, is_family: fn(&SocketAddr) -> bool) -> Option<SocketAddr> {
    net.local_addresses().into_iter().find(is_family)
}

fn v4_address(net: &Net) -> SocketAddr {
    address(net, SocketAddr::is_ipv4).unwrap()
}

fn numbered(count: u32, len: usize) -> Vec<Vec<u8>> {
    let datagram = |number: u32| {
        let mut datagram = vec![0; len];
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        datagram
    };
    (0..count).map(datagram).collect()
}

/// The next datagrams that `accept` lets pass, in order of arrival.
async fn receive(
    net: &Net,
    count: usize,
    accept: impl Fn(Via, SocketAddr) -> bool,
) -> Vec<Vec<u8>> {
    let mut batch = RecvBatch::new();
    let mut received = Vec::new();
    while received.len() < count {
        let (via, datagrams) = timeout(PATIENCE, net.recv(&mut batch)).await.unwrap();
        for (source, datagram) in datagrams {
            if accept(via, source) {
                received.push(datagram.to_vec());
            }
        }
    }
    received
}

#[tokio::test]
async fn several_homes_on_one_machine_hear_what_one_says_to_the_group() {
    let (one, two, three) = (open(1), open(1), open(1));
    let said = vec![b"hello".to_vec()];
    one.send(&Destination::Group, &said).await;
    let from_one = |via, source| {
        assert_eq!(via, Via::Multicast);
        source == v4_address(&one)
    };
    assert_eq!(receive(&two, 1, from_one).await, said);
    assert_eq!(receive(&three, 1, from_one).await, said);
    assert_eq!(receive(&one, 1, from_one).await, said);
    assert!(one.is_own(&v4_address(&one)));
    assert!(!two.is_own(&v4_address(&one)));
}

#[tokio::test]
async fn a_family_without_multicast_on_an_interface_does_not_hinder_the_other() {
    let (one, two) = (open(2), open(2));
    one.send(&Destination::Group, &[b"hello".to_vec()]).await;
    let from_one = |_, source| source == v4_address(&one);
    assert_eq!(receive(&two, 1, from_one).await, [b"hello"]);
    // Linux has no route for IPv6 multicast on loopback unless somebody adds one. It is tried again,
    // but does not ask for a refresh again and again; and what went out by IPv4 is not lost.
    one.suspicious.store(false, Relaxed);
    one.send(&Destination::Group, &[b"again".to_vec()]).await;
    assert!(!one.wants_refresh());
    assert_eq!(one.dropped(), 0);
}

#[tokio::test]
async fn unicast_reaches_one_node_only_in_both_families() {
    let (one, two) = (open(3), open(3));
    for address in two.local_addresses() {
        one.send(&Destination::Address(address), &[b"to two".to_vec()])
            .await;
        let from_one = |via, source| via == Via::Unicast && one.is_own(&source);
        assert_eq!(receive(&two, 1, from_one).await, [b"to two"]);
    }
    let nothing = timeout(Duration::ZERO, receive(&one, 1, |_, _| true)).await;
    assert!(nothing.is_err());
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    let (one, two) = (open(4), open(4));
    let datagrams = numbered(200, 300);
    let from_one = |_, source| source == v4_address(&one);
    let sending = async {
        for burst in datagrams.chunks(50) {
            one.send(&Destination::Group, burst).await;
        }
    };
    let (received, ()) = tokio::join!(receive(&two, 200, from_one), sending);
    assert_eq!(received, datagrams);

    let to_two = Destination::Address(v4_address(&two));
    let unicast = |via, source| via == Via::Unicast && from_one(via, source);
    let sending = one.send(&to_two, &datagrams);
    let (received, ()) = tokio::join!(receive(&two, 200, unicast), sending);
    assert_eq!(received, datagrams);
}

#[tokio::test]
async fn datagrams_of_any_length_keep_their_borders() {
    let (one, two) = (open(5), open(5));
    let lens = [1200, 1200, 1200, 7, 1200, 1, 1, 1, 900, 1200, 1200];
    let datagrams: Vec<_> = lens.iter().map(|len| vec![7; *len]).collect();
    let to_two = Destination::Address(v4_address(&two));
    one.send(&to_two, &datagrams).await;
    let received = receive(&two, lens.len(), |_, _| true).await;
    assert_eq!(received, datagrams);
    assert_eq!(one.dropped(), 0);
}

#[tokio::test]
async fn the_group_is_still_heard_after_joining_again() {
    let (one, mut two) = (open(6), open(6));
    let joined = two.listeners[0].joined.clone();
    assert_eq!(
        joined.into_iter().collect::<Vec<_>>(),
        [two.interfaces()[0].index]
    );
    two.rejoin();
    one.send(&Destination::Group, &[b"hello".to_vec()]).await;
    let received = receive(&two, 1, |via, _| via == Via::Multicast).await;
    assert_eq!(received, [b"hello"]);
    assert!(!two.refresh().unwrap(), "nothing has changed");
}

#[tokio::test]
async fn groups_do_not_hear_each_other_even_on_the_same_port() {
    let (one, other) = (open(7), open(8));
    let mut stranger = open(9);
    let SocketAddr::V4(mut forged) = stranger.senders[0].group else {
        panic!("IPv4 comes first");
    };
    forged.set_port(one.senders[0].group.port());
    stranger.senders[0].group = forged.into();
    stranger.senders.truncate(1);
    stranger
        .send(&Destination::Group, &[b"stranger".to_vec()])
        .await;
    other.send(&Destination::Group, &[b"other".to_vec()]).await;
    // Loopback delivers in order, so the stranger's datagram would come first.
    let to_one = Destination::Address(v4_address(&one));
    other.send(&to_one, &[b"direct".to_vec()]).await;
    assert_eq!(receive(&one, 1, |_, _| true).await, [b"direct"]);
}

#[tokio::test]
async fn an_interface_that_vanishes_is_closed_and_one_that_appears_is_used() {
    let (one, mut two) = (open(10), open(10));
    let before = two.local_addresses();
    let interfaces = two.interfaces().to_vec();
    assert!(two.apply(Vec::new()));
    assert_eq!(two.local_addresses(), []);
    assert!(two.listeners.iter().all(|one| one.joined.is_empty()));
    assert!(two.apply(interfaces));
    assert_eq!(two.local_addresses().len(), before.len());
    one.send(&Destination::Group, &[b"hello".to_vec()]).await;
    assert_eq!(receive(&two, 1, |_, _| true).await, [b"hello"]);
}

#[tokio::test]
async fn an_address_selects_its_family_only() {
    let net = Net::open(&group(11), &["127.0.0.1".to_owned()]).unwrap();
    let ips: Vec<_> = net.local_addresses().iter().map(SocketAddr::ip).collect();
    assert_eq!(ips, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn an_unknown_interface_is_refused_by_name() {
    let error = Net::open(&group(12), &["lo".to_owned(), "nosuch0".to_owned()]).err();
    assert!(matches!(error, Some(OpenError::UnknownInterface(name)) if name == "nosuch0"));
}

#[tokio::test]
async fn a_port_taken_by_another_program_is_an_error() {
    let (v4, _) = super::group_addresses(&group(13));
    let taken = std::net::UdpSocket::bind(("0.0.0.0", v4.port())).unwrap();
    let error = Net::open(&group(13), &["lo".to_owned()]).err();
    assert!(
        matches!(error, Some(OpenError::Io(error)) if error.kind() == std::io::ErrorKind::AddrInUse)
    );
    drop(taken);
    open(13);
}

#[tokio::test]
async fn what_cannot_be_sent_is_counted() {
    let net = Net::open(&group(14), &["127.0.0.1".to_owned()]).unwrap();
    let nowhere = Destination::Address("[::1]:9".parse().unwrap());
    net.send(&nowhere, &numbered(3, 100)).await;
    assert_eq!(net.dropped(), 3);
    let too_long = Destination::Address(v4_address(&net));
    net.send(&too_long, &[vec![0; 70_000], b"fits".to_vec()])
        .await;
    assert_eq!(net.dropped(), 4);
    assert_eq!(receive(&net, 1, |_, _| true).await, [b"fits"]);
}
