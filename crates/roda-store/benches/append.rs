//! How fast batches become durable, beside what the disk alone allows in the same run:
//! `cargo bench -p roda-store`, or `-- DIR` to measure another disk than that of `target`.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use roda_proto::crypto::SigningKey;
use roda_proto::log::BatchBuilder;
use roda_proto::{Batch, EntryKind, GroupId, Hash, Hlc, Identity, Incarnation, Record, Seq, Topic};
use roda_store::{HistoryQuery, Store};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Odd, so that the median is one of them.
const RUNS: usize = 5;
const BODY: [u8; 100] = [b'x'; 100];

struct Case {
    name: &'static str,
    entries_per_batch: u64,
    batches: usize,
    batches_per_append: usize,
}

const CASES: [Case; 5] = [
    Case {
        name: "1 entry, 1 batch per append",
        entries_per_batch: 1,
        batches: 2000,
        batches_per_append: 1,
    },
    Case {
        name: "1 entry, 512 batches per append",
        entries_per_batch: 1,
        batches: 20_480,
        batches_per_append: 512,
    },
    Case {
        name: "64 KiB, 1 batch per append",
        entries_per_batch: u64::MAX,
        batches: 1000,
        batches_per_append: 1,
    },
    Case {
        name: "64 KiB, 4 batches per append",
        entries_per_batch: u64::MAX,
        batches: 2000,
        batches_per_append: 4,
    },
    Case {
        name: "64 KiB, 16 batches per append",
        entries_per_batch: u64::MAX,
        batches: 2000,
        batches_per_append: 16,
    },
];

fn main() -> Outcome<()> {
    let place = std::env::args_os().skip(1).find(|arg| arg != "--bench");
    let place = place.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    println!(
        "{:<34} {:>10} {:>10} {:>10}",
        "median of 5 runs", "appends/s", "batches/s", "MB/s"
    );
    for case in &CASES {
        let batches = log(case);
        let mut raw = Vec::new();
        let mut stored = Vec::new();
        // By turns, so that both see the same disk.
        for _ in 0..RUNS {
            raw.push(write_raw(&place, &batches, case.batches_per_append)?);
            stored.push(append(&place, &batches, case.batches_per_append)?);
        }
        print(case.name, case, &batches, median(stored));
        print("  write + fdatasync alone", case, &batches, median(raw));
    }
    read(&place)
}

fn log(case: &Case) -> Vec<Arc<Batch>> {
    let key = SigningKey::from_seed(&[1; 32]);
    let topic = Topic::new("room").expect("it is a good name");
    let (mut next, mut prev, mut clock) = (Seq(1), Hash::ZERO, Hlc::from_millis(1_000_000));
    (0..case.batches)
        .map(|_| {
            let mut builder = BatchBuilder::new(next);
            let mut count = 0;
            while count < case.entries_per_batch && builder.fits(Some(&topic), BODY.len(), 0) {
                clock = clock.next();
                builder.push(clock, EntryKind::Message, Some(&topic), &BODY);
                count += 1;
            }
            let batch = builder.seal(&key, Incarnation([1; 8]), prev, &[]);
            (next, prev) = (batch.last.next(), batch.hash);
            Arc::new(batch)
        })
        .collect()
}

/// Seconds that it takes to write the same bytes into one file, synced as often.
fn write_raw(place: &Path, batches: &[Arc<Batch>], together: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir_in(place)?;
    let path = directory.path().join("raw");
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let start = Instant::now();
    for some in batches.chunks(together) {
        let bytes: Vec<_> = some
            .iter()
            .flat_map(|batch| batch.bytes())
            .copied()
            .collect();
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds that it takes to append them to a new store.
fn append(place: &Path, batches: &[Arc<Batch>], together: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir_in(place)?;
    let mut store = create(directory.path())?;
    let records: Vec<_> = batches.iter().cloned().map(Record::Batch).collect();
    let start = Instant::now();
    for some in records.chunks(together) {
        store.append(some)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn create(directory: &Path) -> Outcome<Store> {
    let identity = Identity {
        seed: [1; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([2; 16]),
        group_name: "bench".to_owned(),
    };
    Ok(Store::create(&directory.join("roda.db"), &identity)?)
}

/// Reading back: the whole history, and its end.
fn read(place: &Path) -> Outcome<()> {
    let directory = tempfile::tempdir_in(place)?;
    let mut store = create(directory.path())?;
    let batches = log(&CASES[3]);
    let records: Vec<_> = batches.into_iter().map(Record::Batch).collect();
    store.append(&records)?;
    let (reader, topic) = (store.reader()?, Topic::new("room")?);
    for last in [None, Some(20)] {
        let query = HistoryQuery {
            last,
            ..Default::default()
        };
        let start = Instant::now();
        let mut history = reader.history(&topic, &query)?;
        let mut count = 0;
        loop {
            let page = history.next_page(&reader)?;
            count += page.len();
            if page.is_empty() {
                break;
            }
        }
        println!(
            "read {count} messages in {:.1} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
    let start = Instant::now();
    let report = reader.verify(|_| {})?;
    println!(
        "verified {} batches in {:.1} ms",
        report.batches,
        start.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark are small"
)]
fn print(name: &str, case: &Case, batches: &[Arc<Batch>], seconds: f64) {
    let bytes: usize = batches.iter().map(|batch| batch.bytes().len()).sum();
    let appends = batches.len().div_ceil(case.batches_per_append);
    println!(
        "{name:<34} {:>10.0} {:>10.0} {:>10.1}",
        appends as f64 / seconds,
        batches.len() as f64 / seconds,
        bytes as f64 / 1e6 / seconds
    );
}
