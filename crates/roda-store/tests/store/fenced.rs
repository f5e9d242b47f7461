//! Which fenced entries are late, against the rule applied to everything at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use roda_proto::log::{BatchBuilder, Hold, fenced};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::{AuthorId, Batch, EntryKind, Hlc, Record, Seq};
use roda_store::{FenceMark, FencedEntry, HistoryQuery, Reader, Store};
use rusqlite::Connection;

use crate::world::{Author, Home, history, topic_named};

const TOPICS: [&str; 2] = ["room", "hall"];

fn lock() -> LockName {
    LockName::new("db").unwrap()
}

fn hold(fence: u64, seen: &[(AuthorId, u64)]) -> Hold {
    let seen = seen.iter().map(|(author, seq)| (*author, Seq(*seq)));
    Hold::new(lock(), Fence(fence), Frontier(seen.collect()))
}

/// Author, place and whether it is late of each message of a topic.
fn late(reader: &Reader, topic: &str) -> BTreeMap<(AuthorId, Seq), bool> {
    let entries = history(reader, topic, &HistoryQuery::default());
    let marked = entries.into_iter().map(|entry| {
        let late = entry.fence.is_some_and(|mark| mark.late);
        ((entry.author, entry.seq), late)
    });
    marked.collect()
}

/// What happens around one lock.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One of four authors gets it, whatever became of the holder before.
    Acquire(usize),
    /// A holder, of now or of some time ago, writes to a topic.
    Write(prop::sample::Index, usize),
    /// The holder leaves, and tells what it wrote.
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (any::<prop::sample::Index>(), 0..TOPICS.len());
    let step = prop_oneof![
        2 => (0..4_usize).prop_map(Step::Acquire),
        4 => write.prop_map(|(hold, topic)| Step::Write(hold, topic)),
        2 => Just(Step::Release),
    ];
    vec(step, 1..60)
}

/// One entry, and all that the rule needs of it.
struct Written {
    author: usize,
    batch: Arc<Batch>,
    topic: &'static str,
    hold: Hold,
}

fn play(steps: &[Step]) -> Vec<Written> {
    let mut authors = [1, 2, 3, 4].map(Author::new);
    let mut frontier: BTreeMap<AuthorId, Seq> = BTreeMap::new();
    let mut holds: Vec<(usize, Hold)> = Vec::new();
    let mut is_held = false;
    let mut written = Vec::new();
    for (clock, step) in (1..).zip(steps) {
        match step {
            Step::Acquire(author) => {
                let seen = frontier.iter().map(|(author, seq)| (*author, seq.0));
                let seen: Vec<_> = seen.collect();
                holds.push((*author, hold(holds.len() as u64 + 1, &seen)));
                is_held = true;
            }
            Step::Write(which, topic) if !holds.is_empty() => {
                let (author, hold) = which.get(&holds).clone();
                let topic = TOPICS[*topic];
                written.push(Written {
                    author,
                    batch: authors[author].write_fenced(clock, topic, &hold, b"x"),
                    topic,
                    hold,
                });
            }
            Step::Release if is_held => {
                let author = &authors[holds[holds.len() - 1].0];
                let last = Seq(author.next.0 - 1);
                frontier.insert(author.id(), last);
                is_held = false;
            }
            Step::Write(..) | Step::Release => {}
        }
    }
    written
}

/// The rule as one would say it: a later holder that wrote to the topic went on without the entry.
fn expected(written: &[Written], topic: &str) -> BTreeMap<(AuthorId, Seq), bool> {
    let in_topic = || written.iter().filter(|entry| entry.topic == topic);
    let marked = in_topic().map(|entry| {
        let (author, seq) = (entry.batch.author, entry.batch.first);
        let is_late = in_topic().any(|other| {
            other.hold.fence > entry.hold.fence && !fenced::covers(&other.hold.seen, &author, seq)
        });
        ((author, seq), is_late)
    });
    marked.collect()
}

/// Keeps the order of each author and mixes the authors as `picks` say.
fn shuffled(written: &[Written], picks: &[usize]) -> Vec<Record> {
    let mut logs: [Vec<&Arc<Batch>>; 4] = Default::default();
    for entry in written.iter().rev() {
        logs[entry.author].push(&entry.batch);
    }
    let mut picks = picks.iter().cycle();
    let mut records = Vec::new();
    while records.len() < written.len() {
        let first = picks.next().unwrap();
        let next = (0..4).find_map(|turn| logs[(first + turn) % 4].pop());
        records.extend(next.cloned().map(Record::Batch));
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn members_call_the_same_entries_late_whatever_came_first(
        steps in steps(),
        orders in vec(vec(0..4_usize, 1..20), 2..3),
    ) {
        let written = play(&steps);
        for picks in &orders {
            let home = Home::new();
            let mut store = home.create();
            for some in shuffled(&written, picks).chunks(5) {
                store.append(some).unwrap();
            }
            let reader = store.reader().unwrap();
            for topic in TOPICS {
                prop_assert_eq!(late(&reader, topic), expected(&written, topic));
            }
            prop_assert_eq!(reader.verify(|_| {}).unwrap().faults, Vec::<String>::new());
        }
    }
}

fn append(store: &mut Store, batches: &[&Arc<Batch>]) {
    let records = batches.iter().map(|batch| Record::Batch(Arc::clone(batch)));
    store.append(&records.collect::<Vec<_>>()).unwrap();
}

#[test]
fn what_the_next_holder_had_not_seen_is_late_and_only_in_that_topic_and_lock() {
    let home = Home::new();
    let mut store = home.create();
    let (mut ana, mut bia) = (Author::new(1), Author::new(2));
    let first = hold(5, &[]);
    let other = Hold::new(
        LockName::new("other").unwrap(),
        Fence(5),
        Frontier::default(),
    );
    append(
        &mut store,
        &[
            &ana.write_fenced(10, "room", &first, b"seen"),
            &ana.write_fenced(20, "room", &first, b"not seen"),
            &ana.write_fenced(30, "hall", &first, b"elsewhere"),
            &ana.write_fenced(40, "room", &other, b"another lock"),
            &ana.write(&[(50, Some("room"), b"no lock")]),
        ],
    );
    let reader = store.reader().unwrap();
    let (room, hall) = (topic_named("room"), topic_named("hall"));
    assert_eq!(reader.newest_fence(&room, &lock()).unwrap(), Some(Fence(5)));
    assert!(late(&reader, "room").values().all(|late| !late));
    append(
        &mut store,
        &[&bia.write_fenced(15, "room", &hold(9, &[(ana.id(), 1)]), b"next")],
    );
    assert_eq!(reader.newest_fence(&room, &lock()).unwrap(), Some(Fence(9)));
    assert_eq!(reader.newest_fence(&hall, &lock()).unwrap(), Some(Fence(5)));
    let marks: Vec<_> = late(&reader, "room").into_iter().collect();
    let is_late: Vec<_> = marks.iter().filter(|(_, late)| *late).collect();
    assert_eq!(is_late, [&((ana.id(), Seq(2)), true)]);
    assert!(late(&reader, "hall").values().all(|late| !late));
    let author = ana.id();
    let asked = |fence, seq| FencedEntry {
        lock: &first.lock,
        fence,
        author: &author,
        seq,
    };
    let asked = [
        asked(Fence(5), Seq(2)),
        asked(Fence(5), Seq(1)),
        asked(Fence(9), Seq(7)),
    ];
    assert_eq!(reader.late(&room, &asked).unwrap(), [true, false, false]);
    assert_eq!(
        reader.late(&topic_named("void"), &asked).unwrap(),
        [false; 3]
    );
    let entries = history(&reader, "room", &HistoryQuery::default());
    let mark = FenceMark {
        lock: lock(),
        fence: Fence(5),
        late: true,
    };
    assert_eq!(
        (&entries[2].body[..], &entries[2].fence),
        (b"not seen".as_slice(), &Some(mark))
    );
    assert_eq!(entries[4].fence, None);
}

#[test]
fn the_first_entry_under_a_fence_tells_what_its_holder_had_seen() {
    let home = Home::new();
    let mut store = home.create();
    let (mut ana, mut bia) = (Author::new(1), Author::new(2));
    append(
        &mut store,
        &[&ana.write_fenced(10, "room", &hold(1, &[]), b"x")],
    );
    append(
        &mut store,
        &[
            &bia.write_fenced(20, "room", &hold(2, &[(ana.id(), 1)]), b"first"),
            &bia.write_fenced(30, "room", &hold(2, &[]), b"contradicts the first"),
        ],
    );
    let reader = store.reader().unwrap();
    assert!(!late(&reader, "room")[&(ana.id(), Seq(1))]);
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[test]
fn what_is_taken_back_makes_nothing_late() {
    let home = Home::new();
    let mut store = home.create();
    let (mut ana, mut bia) = (Author::new(1), Author::new(2));
    append(
        &mut store,
        &[
            &ana.write_fenced(10, "room", &hold(1, &[]), b"x"),
            &bia.write_fenced(20, "room", &hold(1, &[]), b"stays"),
            &bia.write_fenced(30, "room", &hold(2, &[]), b"goes"),
            &bia.write_fenced(40, "room", &hold(2, &[]), b"goes"),
        ],
    );
    let reader = store.reader().unwrap();
    assert!(late(&reader, "room")[&(ana.id(), Seq(1))]);
    let (author, above) = (bia.id(), Seq(2));
    store.append(&[Record::Void { author, above }]).unwrap();
    // The first entry under the fence is still there.
    assert!(late(&reader, "room")[&(ana.id(), Seq(1))]);
    let above = Seq(1);
    store.append(&[Record::Void { author, above }]).unwrap();
    assert!(!late(&reader, "room")[&(ana.id(), Seq(1))]);
    let newest = reader.newest_fence(&topic_named("room"), &lock());
    assert_eq!(newest.unwrap(), Some(Fence(1)));
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[test]
fn fences_beyond_the_signed_range_are_the_largest() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    append(
        &mut store,
        &[
            &ana.write_fenced(10, "room", &hold(u64::MAX, &[]), b"x"),
            &ana.write_fenced(20, "room", &hold(1, &[]), b"x"),
            &ana.write_fenced(30, "room", &hold((1 << 63) - 1, &[]), b"x"),
        ],
    );
    let reader = store.reader().unwrap();
    let newest = reader.newest_fence(&topic_named("room"), &lock());
    assert_eq!(newest.unwrap(), Some(Fence(u64::MAX)));
    let marks: Vec<_> = late(&reader, "room").into_values().collect();
    assert_eq!(marks, [false, true, true]);
}

#[test]
fn a_fenced_entry_that_does_not_parse_is_stored_and_no_message() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    append(
        &mut store,
        &[
            &ana.write_kind(10, EntryKind::Fenced, "room", b"not CBOR"),
            &ana.write(&[(20, Some("room"), b"x")]),
        ],
    );
    let reader = store.reader().unwrap();
    assert_eq!(crate::world::room(&reader), [2]);
    assert_eq!(reader.topics().unwrap()[0].entries, 1);
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[test]
fn verify_finds_every_kind_of_damage_to_the_index() {
    for (sql, fault) in [
        ("DELETE FROM hold", "it is not indexed by lock"),
        ("UPDATE hold SET seq = 2", "it is not indexed by lock"),
        ("UPDATE hold SET seen = X'8180'", "does not parse"),
        (
            "UPDATE hold SET seen = X'80', fence = fence + 1",
            "it is not indexed by lock",
        ),
        (
            "INSERT INTO hold VALUES (1, 'x', 1, 1, 1, X'80')",
            "rows of no batch",
        ),
    ] {
        let home = Home::new();
        let mut store = home.create();
        append(
            &mut store,
            &[&Author::new(1).write_fenced(10, "room", &hold(1, &[]), b"x")],
        );
        Connection::open(home.path())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let report = store.reader().unwrap().verify(|_| {}).unwrap();
        let found = report.faults.iter().any(|found| found.contains(fault));
        assert!(found, "{sql}: {:?}", report.faults);
    }
}

/// Stores a batch as version 1 did, which took fenced entries for something unknown: here it indexed
/// the first and the last of three entries.
fn store_as_version_1(path: &Path, author: &Author, batch: &Batch) {
    let as_clock = |clock: u64| (clock ^ (1 << 63)).cast_signed();
    let [from, to] = [batch.hlc_first.0, batch.hlc_last.0].map(as_clock);
    let (node, hash) = (batch.node.0, batch.hash.0);
    let old = Connection::open(path).unwrap();
    old.execute(
        "INSERT INTO author VALUES (50, ?1, ?2, ?3, 3, ?4, ?5)",
        (batch.author.0, node, author.incarnation.0, hash, to),
    )
    .unwrap();
    old.execute(
        "INSERT INTO batch VALUES (90, 50, 1, 3, ?1, ?2, 0, ?3, ?4)",
        (from, to, hash, batch.bytes()),
    )
    .unwrap();
    old.execute(
        "INSERT INTO piece SELECT number, ?1, 90, ?2, 50, 1, 2 FROM topic WHERE name = 'room'",
        (from, to),
    )
    .unwrap();
    old.execute_batch("UPDATE topic SET entries = entries + 2 WHERE name = 'room'")
        .unwrap();
}

#[test]
fn what_version_1_stored_without_understanding_it_is_indexed_by_the_migration() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1.db");
    let home = Home::copy_of(&fixture, &[""]);
    let (mut caio, room) = (Author::new(77), topic_named("room"));
    let fenced = hold(5, &[]).entry_body(b"fenced");
    let mut builder = BatchBuilder::new(Seq(1));
    builder.push(Hlc(24), EntryKind::Message, Some(&room), b"before");
    builder.push(Hlc(25), EntryKind::Fenced, Some(&room), &fenced);
    builder.push(Hlc(26), EntryKind::Message, Some(&room), b"after");
    let batch = caio.seal(builder);
    store_as_version_1(&home.path(), &caio, &batch);
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
    assert_eq!(reader.topics().unwrap()[0].entries, 9);
    let entries = history(&reader, "room", &HistoryQuery::default());
    let own = entries.iter().filter(|entry| entry.author == caio.id());
    let bodies: Vec<_> = own.map(|entry| entry.body.as_slice()).collect();
    assert_eq!(bodies, [b"before".as_slice(), b"fenced", b"after"]);
    let newest = reader.newest_fence(&room, &lock());
    assert_eq!(newest.unwrap(), Some(Fence(5)));
}
