//! Appending, voiding, forgetting, and what comes back.

use std::sync::Arc;

use roda_proto::{
    AuthorId, Batch, EpochRecord, Hash, Hlc, Incarnation, Record, Seq, crypto, crypto::SigningKey,
};
use roda_store::{CATCH_UP_LEN_MAX, Reader, Store, StoreError};

use crate::world::{Author, Home, history, room, with_suffix};

fn epoch(byte: u8) -> EpochRecord {
    EpochRecord {
        tag: crypto::epoch_tag(&[byte; 32]),
        secret: [byte; 32].into(),
        created: Hlc(u64::from(byte)),
    }
}

#[test]
fn what_was_appended_is_in_the_snapshot_after_opening_again() {
    let home = Home::new();
    let mut store = home.create();
    let (mut ana, mut bia) = (Author::new(1), Author::new(2));
    let control = [
        ana.write(&[(10, None, b"found")]),
        bia.write(&[(20, Some("room"), b"oi"), (21, None, b"nick")]),
    ];
    let chat = ana.write(&[(30, Some("room"), b"hello")]);
    let stranger = AuthorId([9; 16]);
    store
        .append(&[
            Record::Batch(Arc::clone(&control[0])),
            Record::Epoch(epoch(3)),
            Record::Epoch(epoch(4)),
            Record::Clock(Hlc(1 << 63)),
            Record::Clock(Hlc(50)),
        ])
        .unwrap();
    store
        .append(&[
            Record::Batch(Arc::clone(&control[1])),
            Record::Batch(Arc::clone(&chat)),
            Record::ForgetEpoch(epoch(3).tag),
            Record::Frozen(stranger),
            Record::Frozen(stranger),
        ])
        .unwrap();
    drop(store);

    let store = Store::open(&home.path()).unwrap();
    assert!(!store.was_copied());
    let snapshot = store.snapshot().unwrap();
    assert_eq!(*snapshot.identity.seed, [7; 32]);
    assert_eq!(snapshot.identity.incarnation, Incarnation([1; 8]));
    assert_eq!(snapshot.identity.group_name, "praça");
    assert_eq!(snapshot.epochs, [epoch(4)]);
    assert_eq!(snapshot.control, control);
    assert_eq!(snapshot.frozen, [stranger]);
    assert_eq!(snapshot.clock, Hlc(1 << 63));
    let heads: Vec<_> = snapshot
        .heads
        .iter()
        .map(|head| (head.author, head.node, head.seq, head.hash, head.hlc))
        .collect();
    let mut expected = [head_of(&chat), head_of(&control[1])];
    expected.sort();
    assert_eq!(heads, expected);
}

fn head_of(batch: &Batch) -> (AuthorId, roda_proto::NodeId, Seq, Hash, Hlc) {
    (
        batch.author,
        batch.node,
        batch.last,
        batch.hash,
        batch.hlc_last,
    )
}

#[test]
fn a_batch_that_does_not_continue_its_log_is_refused_with_all_that_came_with_it() {
    let home = Home::new();
    let mut store = home.create();
    let (mut ana, mut bia) = (Author::new(1), Author::new(2));
    store.append(&ana.chat(2)).unwrap();
    let before = ana.clone();

    ana.next = Seq(4);
    let gap = store.append(&[bia.chat(1), ana.chat(1)].concat());
    let (expected, found) = (Seq(3), Seq(4));
    assert!(
        matches!(gap, Err(StoreError::Gap { author, expected: e, found: f })
            if author == ana.id() && (e, f) == (expected, found))
    );

    let mut forked = before.clone();
    forked.prev = Hash([1; 32]);
    let broken = store.append(&forked.chat(1));
    assert!(matches!(
        broken,
        Err(StoreError::Broken { seq: Seq(3), .. })
    ));

    let mut late = before.clone();
    let clock_stands = late.write(&[(20, Some("room"), b"x")]);
    let broken = store.append(&[Record::Batch(clock_stands)]);
    assert!(matches!(
        broken,
        Err(StoreError::Broken { seq: Seq(3), .. })
    ));

    let reader = store.reader().unwrap();
    assert_eq!(reader.entry_count().unwrap(), 2);
    assert_eq!(room(&reader), [1, 2]);
    store.append(&before.clone().chat(1)).unwrap();
    assert_eq!(room(&reader), [1, 2, 3]);
}

#[test]
fn voided_entries_are_gone_and_the_log_goes_on_from_what_remains() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    store.append(&ana.chat(3)).unwrap();
    let mut continued = ana.clone();
    store.append(&Author::new(2).chat(1)).unwrap();
    let both = ana.write(&[(40, Some("room"), b"x"), (41, Some("hall"), b"y")]);
    let (author, above) = (ana.id(), Seq(3));
    // Voided in the transaction that wrote it, and with what later ones wrote.
    store
        .append(&[Record::Batch(both), Record::Void { author, above }])
        .unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(room(&reader), [1, 1, 2, 3]);
    let topics = reader.topics().unwrap();
    let topics: Vec<_> = topics
        .iter()
        .map(|topic| (topic.topic.as_str(), topic.entries, topic.last))
        .collect();
    assert_eq!(topics, [("room", 4, Hlc(30))]);
    store.append(&continued.chat(2)).unwrap();
    let above = Seq(0);
    store
        .append(&[
            Record::Void { author, above },
            Record::Void { author, above },
        ])
        .unwrap();
    assert_eq!(room(&reader), [1]);
    assert_eq!(store.snapshot().unwrap().heads.len(), 1);
    store.append(&Author::new(1).chat(2)).unwrap();
    assert_eq!(room(&reader), [1, 1, 2]);
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[test]
fn a_void_takes_a_batch_that_it_would_divide_as_a_whole() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    let single = ana.write(&[(10, Some("room"), b"1")]);
    let pair = ana.write(&[(11, Some("room"), b"2"), (12, Some("room"), b"3")]);
    let author = ana.id();
    let above = Seq(2);
    store
        .append(&[
            Record::Batch(single),
            Record::Batch(pair),
            Record::Void { author, above },
        ])
        .unwrap();
    assert_eq!(room(&store.reader().unwrap()), [1]);
    assert_eq!(store.snapshot().unwrap().heads[0].seq, Seq(1));
}

#[test]
fn a_forgotten_key_is_in_no_file() {
    let home = Home::new();
    let mut store = home.create();
    let reader = store.reader().unwrap();
    store
        .append(&[Record::Epoch(epoch(0xa5)), Record::Epoch(epoch(0x5a))])
        .unwrap();
    assert!(is_on_disk(&home, &[0xa5; 32]));
    store
        .append(&[Record::ForgetEpoch(epoch(0xa5).tag)])
        .unwrap();
    assert!(!is_on_disk(&home, &[0xa5; 32]));
    assert!(is_on_disk(&home, &[0x5a; 32]));
    drop(reader);
}

fn is_on_disk(home: &Home, secret: &[u8]) -> bool {
    ["", "-wal"].iter().any(|suffix| {
        let content = std::fs::read(with_suffix(&home.path(), suffix)).unwrap();
        content.windows(secret.len()).any(|window| window == secret)
    })
}

#[test]
fn a_batch_is_found_by_any_of_its_entries() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    let single = ana.write(&[(10, Some("room"), b"1")]);
    let pair = ana.write(&[(11, Some("room"), b"2"), (12, None, b"3")]);
    store
        .append(&[
            Record::Batch(Arc::clone(&single)),
            Record::Batch(Arc::clone(&pair)),
        ])
        .unwrap();
    let reader = store.reader().unwrap();
    let found =
        [0, 1, 2, 3, 4, u64::MAX].map(|seq| reader.batch_containing(&ana.id(), Seq(seq)).unwrap());
    assert_eq!(
        found,
        [
            None,
            Some(single),
            Some(Arc::clone(&pair)),
            Some(pair),
            None,
            None
        ]
    );
    let stranger = Author::new(2).id();
    assert_eq!(reader.batch_containing(&stranger, Seq(1)).unwrap(), None);
}

fn catch_up(reader: &Reader, have: &[(AuthorId, Seq)], len_max: usize) -> Vec<Batch> {
    let mut have = have.to_vec();
    let mut batches = Vec::new();
    loop {
        let page = reader.batches_after(&have, len_max).unwrap();
        let len: usize = page.batches.iter().map(|bytes| bytes.len()).sum();
        assert!(len <= len_max.min(CATCH_UP_LEN_MAX) || page.batches.len() == 1);
        if page.batches.is_empty() {
            return batches;
        }
        batches.extend(
            page.batches
                .iter()
                .map(|bytes| Batch::parse(bytes).unwrap()),
        );
        have = page.have;
    }
}

#[test]
fn catching_up_brings_exactly_what_is_lacking_in_order_whatever_the_page_size() {
    let home = Home::new();
    let mut store = home.create();
    let mut authors = [1, 2, 3].map(Author::new);
    for author in &mut authors {
        store.append(&author.chat(20)).unwrap();
    }
    let large = vec![1; 30_000];
    let bulk: Vec<_> = (0..60)
        .map(|i| {
            let first = (1000 + 2 * i, Some("bulk"), large.as_slice());
            let second = (1001 + 2 * i, Some("bulk"), large.as_slice());
            Record::Batch(authors[2].write(&[first, second]))
        })
        .collect();
    store.append(&bulk).unwrap();

    let reader = store.reader().unwrap();
    let ids = [0, 1].map(|i| authors[i].id());
    let have = [
        (ids[0], Seq(20)),
        (ids[1], Seq(17)),
        (AuthorId([8; 16]), Seq(5)),
    ];
    for len_max in [1, 400, usize::MAX] {
        let batches = catch_up(&reader, &have, len_max);
        let places: Vec<_> = batches
            .iter()
            .map(|batch| (batch.hlc_first, batch.author, batch.first))
            .collect();
        assert!(places.is_sorted());
        assert_eq!(batches.len(), 3 + 20 + 60);
        assert!(batches.iter().all(|batch| batch.author != ids[0]));
        assert!(catch_up(&reader, &heads(&store), len_max).is_empty());
    }
}

fn heads(store: &Store) -> Vec<(AuthorId, Seq)> {
    let heads = store.snapshot().unwrap().heads;
    heads.iter().map(|head| (head.author, head.seq)).collect()
}

#[test]
fn entries_keep_their_node_and_content() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    let batch = ana.write(&[(10, Some("a"), b"\xff\0"), (11, Some("b"), b"")]);
    store.append(&[Record::Batch(batch)]).unwrap();
    let reader = store.reader().unwrap();
    let entries = history(&reader, "a", &roda_store::HistoryQuery::default());
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].body, b"\xff\0");
    assert_eq!(entries[0].node, SigningKey::from_seed(&[1; 32]).public());
    assert_eq!(reader.identity().unwrap().group_name, "praça");
}
