//! Settings, contacts, mirrors.

use std::path::Path;

use roda_proto::{NodeId, WallTime};
use roda_store::{CONTACTS_MAX, Contact, META_LEN_MAX, Store, StoreError};

use crate::world::{Home, topic_named};

fn contact(number: u16, heard: u64) -> Contact {
    let mut node = [0; 32];
    node[..2].copy_from_slice(&number.to_be_bytes());
    Contact {
        node: NodeId(node),
        datagram: "[fe80::1%3]:4000".parse().unwrap(),
        stream: format!("10.0.0.1:{number}").parse().unwrap(),
        heard: WallTime(heard),
    }
}

#[test]
fn settings_are_kept_and_replaced() {
    let home = Home::new();
    let mut store = home.create();
    store.set_meta("nick", "ana").unwrap();
    store.set_meta("nick", "bia").unwrap();
    let long = "x".repeat(META_LEN_MAX + 1);
    assert!(matches!(
        store.set_meta("nick", &long),
        Err(StoreError::TooMany { .. })
    ));
    store.set_meta("long", &long[1..]).unwrap();
    drop(store);
    let store = Store::open(&home.path()).unwrap();
    assert_eq!(store.meta("nick").unwrap().as_deref(), Some("bia"));
    assert_eq!(store.reader().unwrap().meta("other").unwrap(), None);
}

#[test]
fn of_too_many_contacts_those_heard_longest_ago_are_forgotten() {
    let home = Home::new();
    let mut store = home.create();
    let max = u16::try_from(CONTACTS_MAX).unwrap();
    let contacts: Vec<_> = (0..=max).map(|n| contact(n, u64::from(n) + 1)).collect();
    store.save_contacts(&contacts).unwrap();
    store.save_contacts(&[contact(1, 9999)]).unwrap();
    let found = store.contacts().unwrap();
    assert_eq!(found.len(), CONTACTS_MAX);
    assert_eq!(found[0], contact(1, 9999));
    assert_eq!(found[1], contacts[usize::from(max)]);
    assert!(found.iter().all(|found| found.node != contacts[0].node));
}

#[test]
fn a_path_mirrors_one_topic_until_it_is_removed() {
    let home = Home::new();
    let mut store = home.create();
    let (room, hall) = (topic_named("room"), topic_named("hall"));
    let path = odd_path();
    assert!(store.add_mirror(&room, path).unwrap());
    assert!(store.add_mirror(&room, path).unwrap());
    assert!(!store.add_mirror(&hall, path).unwrap());
    assert!(store.add_mirror(&room, Path::new("/b")).unwrap());
    let mirrors = store.mirrors().unwrap();
    assert_eq!(
        mirrors,
        [(room.clone(), path.to_owned()), (room, "/b".into())]
    );
    assert!(store.remove_mirror(path).unwrap());
    assert!(!store.remove_mirror(path).unwrap());
    assert_eq!(store.mirrors().unwrap().len(), 1);
}

/// On Unix, a name that is not valid Unicode.
fn odd_path() -> &'static Path {
    #[cfg(unix)]
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/a\xff");
    #[cfg(not(unix))]
    let name: &std::ffi::OsStr = "/a".as_ref();
    Path::new(name)
}
