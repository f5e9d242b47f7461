//! A lock that brings its holder up to date.

use anyhow::{Result, ensure};

use super::arena::Arena;
use super::basics::SOON;
use crate::hosts::Bench;
use crate::hosts::history::History;
use crate::hosts::net::Filter;
use crate::hosts::node::Node;
use crate::hosts::scenarios::report::settle;
use crate::hosts::scenarios::{Group, texts};

const TOPIC: &str = "plans";
const ROUNDS: usize = 4;
const EACH: usize = 60;
/// Share of the datagrams that the reader does not get, in thousandths.
const LOSS_PER_MILLE: u16 = 700;

/// A writes under the lock what B hardly hears; B has it all when its turn comes.
pub(crate) fn the_next_holder_is_up_to_date(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    let (writer, reader) = (&group.nodes[0], &group.nodes[1]);
    let arena = Arena::new(bench, "fresh")?;
    let filter = Filter {
        datagram_loss_per_mille: LOSS_PER_MILLE,
        ..Filter::default()
    };
    reader.host.filter(&filter)?;
    let (mut said, mut behind) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        // Without --fresh as well, to see that it makes the difference.
        for fresh in [false, true] {
            let new = texts(&format!("round {round} {fresh}"), EACH);
            write(writer, &arena, &new)?;
            said.extend(new);
            let history = read(reader, &arena, fresh)?;
            let complete = history.ensure_once(&said);
            if fresh {
                complete?;
            } else if complete.is_err() {
                behind += 1;
            }
        }
    }
    bench.note(&format!(
        "without --fresh, {behind} of {ROUNDS} were not up to date; with it, all"
    ));
    ensure!(behind > 0, "nothing was late, so nothing was shown");
    Ok(())
}

/// Says all of it under the lock, in one command.
fn write(node: &Node<'_>, arena: &Arena, texts: &[String]) -> Result<()> {
    let input = arena.path.join("input");
    std::fs::write(&input, texts.join("\n") + "\n")?;
    let script = "exec \"$@\" <\"$0\"";
    let mut command = words(&["sh", "-c", script, &input.to_string_lossy()]);
    command.extend(node.line(&["say", TOPIC, "-"]));
    let attempt = arena.lock(node, "write", &["plans"], &command)?;
    attempt.finish(SOON)?.expect(0)?;
    Ok(())
}

/// Reads the topic as it is when the own turn comes.
fn read(node: &Node<'_>, arena: &Arena, fresh: bool) -> Result<History> {
    let output = arena.path.join("output");
    let script = "exec \"$@\" >\"$0\"";
    let mut command = words(&["sh", "-c", script, &output.to_string_lossy()]);
    command.extend(node.line(&["history", TOPIC, "--json"]));
    let lock: &[&str] = if fresh {
        &["plans", "--fresh", TOPIC]
    } else {
        &["plans"]
    };
    let ended = arena
        .lock(node, "read", lock, &command)?
        .finish(SOON + SOON)?;
    // Before its first entry arrives a topic is unknown.
    if fresh || ended.code() != 1 {
        ended.expect(0)?;
    }
    History::parse(std::fs::read(&output)?)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
