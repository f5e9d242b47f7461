//! Power cuts: which states one can leave at each moment of a recording, and whether each is sound.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::check::{self, DATABASE, LOCKS};
use super::disk::{Faith, Inode, State};
use super::draw::Draw;
use super::node::Node;
use super::promise::Promise;
use super::recording::Recording;
use crate::hosts::random::Random;

/// How often chance may give a state that is known already, for each one that is wanted.
const TRIES_PER_STATE: usize = 3;
/// Failures that are told one by one.
const TOLD_MAX: usize = 5;

/// What to replay.
pub(crate) struct Plan {
    pub(crate) states: usize,
    /// Of these, so many are also started with the program.
    pub(crate) started: usize,
    pub(crate) seed: u64,
    pub(crate) faith: Faith,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Different states that were checked.
    pub(crate) states: usize,
    /// Of these, at a moment at which something was not synced.
    pub(crate) doubtful: usize,
    /// Of these, started with the program as well.
    pub(crate) started: usize,
    pub(crate) promises: usize,
    pub(crate) events: usize,
    pub(crate) failed: usize,
    /// The first few.
    pub(crate) failures: Vec<String>,
}

/// A state to check: where, how it is drawn, and up to which promise it has to keep them.
struct Point {
    event: usize,
    seed: u64,
    promises: usize,
}

/// Checks states that a power cut can leave in the course of a recording, each once.
pub(crate) fn replay(recording: &Recording, node: &Node, plan: &Plan) -> Result<Outcome> {
    let points = choose(recording, plan)?;
    let shelf = Shelf::new(recording, &node.home)?;
    let mut outcome = Outcome {
        promises: recording.promises.len(),
        events: recording.events.len(),
        ..Outcome::default()
    };
    let started_every = (points.len() / plan.started.max(1)).max(1);
    let mut disk = recording.disk(plan.faith)?;
    let mut next = points.into_iter().enumerate().peekable();
    for (index, event) in recording.events.iter().enumerate() {
        disk.apply(event)?;
        while let Some((number, point)) = next.next_if(|(_, point)| point.event == index) {
            let state = disk.after_power_cut(&mut Draw::new(point.seed));
            outcome.states += 1;
            outcome.doubtful += usize::from(disk.doubts() > 0);
            let promises = &recording.promises[..point.promises];
            let mut result = shelf
                .put(&state, point.seed)
                .and_then(|()| check::check(&node.home, promises, &recording.locks));
            if result.is_ok() && plan.started > 0 && number % started_every == 0 {
                outcome.started += 1;
                result = shelf
                    .put(&state, point.seed)
                    .and_then(|()| start(node, promises));
            }
            if let Err(error) = result {
                outcome.failed += 1;
                if outcome.failures.len() < TOLD_MAX {
                    let failure = format!(
                        "event {index}, draw {}, promise {}: {error:#}",
                        point.seed, point.promises
                    );
                    outcome.failures.push(failure);
                }
            }
        }
    }
    Ok(outcome)
}

/// Draws moments and states until enough of them differ. Of equal ones the first is kept, which then
/// has to keep all promises that any of them had to.
fn choose(recording: &Recording, plan: &Plan) -> Result<Vec<Point>> {
    let mut random = Random::new(plan.seed);
    let tries = plan.states * TRIES_PER_STATE;
    let mut drawn: Vec<(usize, u64)> = (0..tries)
        .map(|_| (random.below(recording.events.len()), random.next()))
        .collect();
    drawn.sort_unstable();
    let mut known: HashMap<blake3::Hash, usize> = HashMap::new();
    let mut points: Vec<Point> = Vec::new();
    let mut disk = recording.disk(plan.faith)?;
    let mut drawn = drawn.into_iter().peekable();
    let mut hashes = HashMap::new();
    let mut promises = 0;
    for (index, event) in recording.events.iter().enumerate() {
        disk.apply(event)?;
        promises += recording.promised_at(index);
        while let Some((event, seed)) = drawn.next_if(|(event, _)| *event == index) {
            let state = disk.after_power_cut(&mut Draw::new(seed));
            let place = *known.entry(hash(&state, &mut hashes)).or_insert_with(|| {
                points.push(Point {
                    event,
                    seed,
                    promises,
                });
                points.len() - 1
            });
            points[place].promises = promises;
        }
    }
    // Any of them, so that the end of the run is not left out.
    while points.len() > plan.states {
        points.remove(random.below(points.len()));
    }
    Ok(points)
}

/// Names and contents. Most files are as in the state before; those are not hashed again.
fn hash(state: &State, before: &mut HashMap<Inode, (Vec<u8>, blake3::Hash)>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (name, (inode, content)) in state {
        let known = before.get(inode).filter(|(known, _)| known == &**content);
        let hash = if let Some((_, hash)) = known {
            *hash
        } else {
            let hash = blake3::hash(content);
            before.insert(*inode, (content.to_vec(), hash));
            hash
        };
        hasher
            .update(name.as_bytes())
            .update(&[0])
            .update(hash.as_bytes());
    }
    hasher.finalize()
}

/// Starts the node on the state and asks it.
fn start(node: &Node, promises: &[Promise]) -> Result<()> {
    if !node.home.join(DATABASE).exists() {
        return Ok(());
    }
    let mut again = node.again();
    again.believed = promises.iter().cloned().collect();
    again.up(&super::node::Start::default())?;
    again.check().with_context(|| again.log())?;
    if !promises.is_empty() {
        // Before, the group may not be founded yet, and then nothing is taken in: see the known gaps.
        again.ask(&["push", "afterwards", "x", "--json"], b"")?;
    }
    again.down()
}

/// Keeps the files behind the databases, so that a state that is put together is at the same place:
/// a copy would be taken for one.
struct Shelf {
    home: PathBuf,
    shelf: PathBuf,
    kept: Vec<(Inode, PathBuf)>,
}

impl Shelf {
    fn new(recording: &Recording, home: &Path) -> Result<Self> {
        let shelf = home.with_extension("shelf");
        fs::create_dir_all(&shelf)?;
        let mut kept = Vec::new();
        for name in [DATABASE, LOCKS] {
            let (file, copy) = (home.join(name), shelf.join(name));
            let Some(inode) = recording.last.get(name) else {
                continue;
            };
            if !copy.exists() {
                fs::hard_link(&file, &copy)
                    .with_context(|| format!("{} is gone", file.display()))?;
            }
            kept.push((*inode, copy));
        }
        ensure!(!kept.is_empty(), "the recording has no database at its end");
        Ok(Self {
            home: home.to_owned(),
            shelf,
            kept,
        })
    }

    /// Makes the home what the state says; shared memory is not there, or holds anything.
    fn put(&self, state: &State, seed: u64) -> Result<()> {
        fs::remove_dir_all(&self.home)?;
        fs::create_dir(&self.home)?;
        for (name, (inode, content)) in state {
            let path = self.home.join(name);
            if let Some((_, kept)) = self.kept.iter().find(|(known, _)| known == inode) {
                fs::hard_link(kept, &path)?;
            }
            self.write(&path, content)?;
        }
        let mut random = Random::new(seed);
        for name in [DATABASE, LOCKS] {
            if random.below(4) == 0 {
                let junk: Vec<u8> = (0..32 << 10).map(|_| random.byte()).collect();
                self.write(&self.home.join(format!("{name}-shm")), &junk)?;
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(content)
            .with_context(|| format!("{} is full?", self.shelf.display()))
    }
}

/// How long something took, for a report.
pub(crate) fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
