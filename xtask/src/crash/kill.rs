//! `kill -9` at random moments, again and again, on one home.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::check;
use super::node::{Node, PATIENCE, Start};
use super::promise::Promise;
use crate::hosts::command;
use crate::hosts::random::Random;

/// Producers that push one job after the other while they are interrupted.
const PRODUCERS: usize = 3;
/// A node lives so long at most.
const LIFE_MAX: Duration = Duration::from_millis(400);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kills: usize,
    pub(crate) promises: usize,
}

/// Kills the node so many times while it takes in jobs and works on them; after each time the databases
/// must open and hold all that was ever acknowledged.
///
/// # Errors
/// What is wrong.
pub(crate) fn kill_loop(node: &mut Node, kills: usize, seed: u64) -> Result<Outcome> {
    let mut random = Random::new(seed);
    node.create(&Start::default())?;
    for round in 0..kills {
        if round > 0 {
            node.up(&Start::default())?;
        }
        one_life(node, &mut random).with_context(|| format!("life {round}"))?;
        let promises: Vec<Promise> = node.believed.iter().cloned().collect();
        check::check(&node.home, &promises, &BTreeMap::new())
            .with_context(|| format!("after kill {round} with seed {seed}"))?;
    }
    // And by the program itself.
    node.up(&Start::default())?;
    node.check()?;
    node.down()?;
    Ok(Outcome {
        kills,
        promises: node.believed.len(),
    })
}

fn one_life(node: &mut Node, random: &mut Random) -> Result<()> {
    let work = node.command(&["work", "killed", "--", "true"]);
    let worker = command::start(work, b"")?;
    let producers = (0..PRODUCERS).map(|producer| {
        let script = format!(
            "while id=$(\"$0\" \"$@\" push killed {producer} --json); do echo \"$id\"; done"
        );
        let push = node.command(&[]);
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(script).arg(push.get_program());
        shell.args(push.get_args());
        command::start(shell, b"")
    });
    let producers: Vec<_> = producers.collect::<Result<_>>()?;
    let life = u64::try_from(LIFE_MAX.as_millis())?;
    thread::sleep(Duration::from_millis(random.next() % life));
    node.kill()?;
    for producer in producers {
        node.believe(&producer.finish(PATIENCE)?);
    }
    // Its node is gone: it ends by itself, or with this process's drop of it.
    drop(worker);
    Ok(())
}
