//! Page-wise history against sorting everything.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use roda_proto::{AuthorId, Batch, EntryKind, Hlc, Record, Seq};
use roda_store::{HISTORY_ENTRIES_MAX, HISTORY_LEN_MAX, HistoryQuery};

use crate::world::{Author, Home, history, topic_named};

const TOPICS: [Option<&str>; 3] = [Some("room"), Some("hall"), None];
/// One second of the clock, around which batches are split in the index.
const SECOND: u64 = 1000 << 16;

type Place = (Hlc, AuthorId, Seq);

/// One batch: its author, and for each entry how far the clock goes on, and the topic.
type Written = (usize, Vec<(u64, usize)>);

fn batches() -> impl Strategy<Value = Vec<Written>> {
    let step = prop_oneof![
        8 => 1..5_u64,
        2 => 1..SECOND,
        1 => prop_oneof![Just(SECOND - 1), Just(SECOND), Just(SECOND + 1)],
        1 => SECOND..5 * SECOND,
    ];
    vec((0..4_usize, vec((step, 0..TOPICS.len()), 1..12)), 0..40)
}

fn write_all(written: &[Written]) -> Vec<Arc<Batch>> {
    let mut authors = [1, 2, 3, 4].map(Author::new);
    let mut clocks = [0_u64; 4];
    written
        .iter()
        .map(|(author, steps)| {
            let entries: Vec<_> = steps
                .iter()
                .map(|(step, topic)| {
                    clocks[*author] += step;
                    (clocks[*author], TOPICS[*topic], b"body".as_slice())
                })
                .collect();
            authors[*author].write(&entries)
        })
        .collect()
}

fn sorted(batches: &[Arc<Batch>], topic: &str) -> Vec<Place> {
    let mut places: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.entries().map(|entry| (batch.author, entry)))
        .filter(|(_, entry)| entry.kind == EntryKind::Message && entry.topic == Some(topic))
        .map(|(author, entry)| (entry.hlc, author, entry.seq))
        .collect();
    places.sort_unstable();
    places
}

fn expected(all: &[Place], query: &HistoryQuery) -> Vec<Place> {
    let mut places: Vec<_> = all
        .iter()
        .filter(|place| query.since.is_none_or(|since| place.0 >= since))
        .filter(|place| query.until.is_none_or(|until| place.0 <= until))
        .filter(|place| query.after.is_none_or(|after| **place > after))
        .copied()
        .collect();
    if let Some(last) = query.last {
        places.drain(..places.len().saturating_sub(last));
    }
    places
}

/// A bound that is one of the messages, so that both sides of it are tried, or is absent.
fn bound() -> impl Strategy<Value = Option<(prop::sample::Index, u64)>> {
    prop::option::of((any::<prop::sample::Index>(), 0..3_u64))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn history_is_what_sorting_everything_gives(
        written in batches(),
        queries in vec((bound(), bound(), bound(), prop::option::of(0..60_usize)), 1..20),
    ) {
        let home = Home::new();
        let mut store = home.create();
        let batches = write_all(&written);
        let records: Vec<_> = batches.iter().cloned().map(Record::Batch).collect();
        for some in records.chunks(7) {
            store.append(some).unwrap();
        }
        let reader = store.reader().unwrap();
        for topic in ["room", "hall", "void"] {
            let all = sorted(&batches, topic);
            for (since, until, after, last) in &queries {
                let pick = |(index, _): &(prop::sample::Index, u64)| {
                    (!all.is_empty()).then(|| *index.get(&all))
                };
                let near = |bound: &(prop::sample::Index, u64)| {
                    pick(bound).map(|place| Hlc((place.0.0 + bound.1).saturating_sub(1)))
                };
                let query = HistoryQuery {
                    since: since.as_ref().and_then(near),
                    until: until.as_ref().and_then(near),
                    after: after.as_ref().and_then(pick),
                    last: *last,
                };
                let found: Vec<_> =
                    history(&reader, topic, &query).iter().map(|entry| entry.place()).collect();
                prop_assert_eq!(found, expected(&all, &query));
            }
        }
        let report = reader.verify(|_| {}).unwrap();
        prop_assert_eq!(report.faults, Vec::<String>::new());
        prop_assert_eq!(report.batches, batches.len() as u64);
    }
}

#[test]
fn pages_are_bounded_and_a_query_goes_on_where_another_stopped() {
    let home = Home::new();
    let mut store = home.create();
    let mut authors = [1, 2].map(Author::new);
    let small: Vec<_> = (0..3000_u64)
        .map(|i| {
            let author = usize::from(i % 3 == 0);
            Record::Batch(authors[author].write(&[(i + 1, Some("room"), b"small")]))
        })
        .collect();
    store.append(&small).unwrap();
    let body = vec![1; 32 * 1024];
    let large: Vec<_> = (0..300_u64)
        .map(|i| Record::Batch(authors[0].write(&[(5000 + i, Some("room"), &body)])))
        .collect();
    store.append(&large).unwrap();

    let reader = store.reader().unwrap();
    let all = history(&reader, "room", &HistoryQuery::default());
    assert_eq!(all.len(), 3300);
    let mut resumed = Vec::new();
    loop {
        let query = HistoryQuery {
            after: resumed.last().map(roda_store::StoredEntry::place),
            ..Default::default()
        };
        let mut pages = reader.history(&topic_named("room"), &query).unwrap();
        let page = pages.next_page(&reader).unwrap();
        let len: usize = page.iter().map(|entry| entry.body.len()).sum();
        assert!(page.len() <= HISTORY_ENTRIES_MAX && len <= HISTORY_LEN_MAX);
        if page.is_empty() {
            break;
        }
        resumed.extend(page);
    }
    assert_eq!(resumed, all);
}

#[test]
fn the_last_messages_are_those_of_the_moment_of_asking() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    store.append(&ana.chat(10)).unwrap();
    let reader = store.reader().unwrap();
    let query = HistoryQuery {
        last: Some(3),
        ..Default::default()
    };
    let mut pages = reader.history(&topic_named("room"), &query).unwrap();
    store.append(&ana.chat(5)).unwrap();
    let page = pages.next_page(&reader).unwrap();
    assert_eq!(
        page.iter().map(|entry| entry.seq.0).collect::<Vec<_>>(),
        [8, 9, 10]
    );
    assert!(pages.next_page(&reader).unwrap().is_empty());
}

#[test]
fn messages_voided_between_two_pages_do_not_disturb_the_rest() {
    let home = Home::new();
    let mut store = home.create();
    let (mut ana, mut bia) = (Author::new(1), Author::new(2));
    store.append(&ana.chat(1000)).unwrap();
    let reader = store.reader().unwrap();
    let mut pages = reader
        .history(&topic_named("room"), &HistoryQuery::default())
        .unwrap();
    assert_eq!(pages.next_page(&reader).unwrap().len(), HISTORY_ENTRIES_MAX);
    let (author, above) = (ana.id(), Seq(600));
    // The new batches take over the row numbers of the voided ones.
    let mut records = vec![Record::Void { author, above }];
    records.extend(bia.chat(400));
    store.append(&records).unwrap();
    let page = pages.next_page(&reader).unwrap();
    let seqs: Vec<_> = page
        .iter()
        .filter(|entry| entry.author == ana.id())
        .map(|entry| entry.seq.0)
        .collect();
    assert_eq!(seqs, (513..=600).collect::<Vec<_>>());
}

#[test]
fn clocks_beyond_the_signed_range_sort_last() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    for clock in [1, (1 << 63) - 1, 1 << 63, u64::MAX] {
        let batch = ana.write(&[(clock, Some("room"), b"x")]);
        store.append(&[Record::Batch(batch)]).unwrap();
    }
    let reader = store.reader().unwrap();
    assert_eq!(crate::world::room(&reader), [1, 2, 3, 4]);
    assert_eq!(reader.topics().unwrap()[0].last, Hlc(u64::MAX));
}
