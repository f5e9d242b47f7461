//! Locks with room for more than one.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::arena::Arena;
use super::basics::{SOON, three};
use crate::hosts::Bench;
use crate::hosts::node::Node;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::scenarios::report::wait_waiting;

/// How long nobody more must come. What must not happen has no event to wait for.
const QUIET: Duration = Duration::from_millis(500);

/// Exactly two of six are inside at any time.
pub(super) fn two_permits(bench: &Bench, group: &Group<'_>) -> Result<()> {
    let arena = Arena::new(bench, "permits")?;
    let words = ["permits", "--permits", "2"];
    let mut attempts = Vec::new();
    for number in 0..2 {
        for node in &group.nodes {
            let label = format!("{}-{number}", node.nick);
            attempts.push(guest(node, &arena, &label, &words)?);
        }
    }
    let observer = &group.nodes[0];
    for already in 0..attempts.len() {
        let full = attempts.len().min(already + 2);
        let entered = wait_entered(&arena, full)?;
        wait_waiting(observer, "permits", attempts.len() - full, SOON)?;
        std::thread::sleep(QUIET / 5);
        ensure!(
            arena.journal()?.entries().count() == full,
            "more than two are inside"
        );
        arena.dismiss(&entered[already])?;
    }
    for attempt in attempts {
        attempt.finish(SOON)?.expect(0)?;
    }
    let most = arena.journal()?.together_max();
    ensure!(most == 2, "{most} were inside at once");
    Ok(())
}

/// Readers are inside together, a writer alone; readers who come after it wait for it.
pub(super) fn readers_and_a_writer(bench: &Bench, group: &Group<'_>) -> Result<()> {
    let [one, two, three] = three(group);
    let arena = Arena::new(bench, "shared")?;
    let mut attempts = vec![
        guest(one, &arena, "ana-reads", &["shared", "--shared"])?,
        guest(two, &arena, "bia-reads", &["shared", "--shared"])?,
    ];
    wait_entered(&arena, 2)?;
    let writes = arena.hold("caio-writes", "alone");
    let writer = arena.lock(three, "caio-writes", &["shared"], &writes)?;
    wait_waiting(one, "shared", 1, SOON)?;
    attempts.push(guest(one, &arena, "ana-late", &["shared", "--shared"])?);
    wait_waiting(one, "shared", 2, SOON)?;
    for reader in ["ana-reads", "bia-reads"] {
        std::thread::sleep(QUIET / 2);
        ensure!(
            arena.journal()?.entries().count() == 2,
            "somebody came while a reader was inside"
        );
        arena.dismiss(reader)?;
    }
    arena.wait_entered("caio-writes", SOON)?;
    std::thread::sleep(QUIET / 2);
    ensure!(
        arena.journal()?.visit("ana-late").is_none(),
        "a reader came while a writer was inside"
    );
    arena.dismiss("caio-writes")?;
    writer.finish(SOON)?.expect(0)?;
    arena.dismiss("ana-late")?;
    for attempt in attempts {
        attempt.finish(SOON)?.expect(0)?;
    }
    Ok(())
}

/// Starts one who does not mind others.
fn guest(node: &Node<'_>, arena: &Arena, label: &str, words: &[&str]) -> Result<Attempt> {
    arena.lock(node, label, words, &arena.hold(label, "together"))
}

/// Waits until so many have come; returns who.
fn wait_entered(arena: &Arena, count: usize) -> Result<Vec<String>> {
    crate::hosts::command::wait_for(&format!("{count} to be inside"), SOON, || {
        let journal = arena.journal()?;
        let order: Vec<String> = journal.order().into_iter().map(str::to_owned).collect();
        Ok(if order.len() >= count {
            Ok(order)
        } else {
            Err(order.join(" "))
        })
    })
}
