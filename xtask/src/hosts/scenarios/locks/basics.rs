//! Taking turns while nothing is broken.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::arena::Arena;
use super::sharing;
use crate::hosts::Bench;
use crate::hosts::node::Node;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::{Attempt, BUSY, LOST, SIGNALLED};
use crate::hosts::scenarios::report::{settle, wait_waiting};

/// How long anything may take that waits for nobody.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// How long one may take who does not want to wait at all.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Busy, cancelled, urgent, several at once, shared, and taken away.
pub(crate) fn a_lock_is_taken_in_turn(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    busy_and_cancelled(bench, &group)?;
    the_urgent_come_first(bench, &group)?;
    opposite_orders(bench, &group)?;
    taken_away(bench, &group)?;
    within_itself(bench, &group)?;
    sharing::two_permits(bench, &group)?;
    sharing::readers_and_a_writer(bench, &group)
}

/// Starts one who stays, and waits until it is inside.
pub(super) fn inside(
    node: &Node<'_>,
    arena: &Arena,
    label: &str,
    words: &[&str],
) -> Result<Attempt> {
    let holder = arena.lock(node, label, words, &arena.hold(label, "alone"))?;
    arena.wait_entered(label, SOON)?;
    Ok(holder)
}

/// One who does not want to wait is told at once; one who does not want to any more leaves no trace.
fn busy_and_cancelled(bench: &Bench, group: &Group<'_>) -> Result<()> {
    let [one, two, three] = three(group);
    let arena = Arena::new(bench, "busy")?;
    let holder = inside(one, &arena, "ana-holder", &["busy"])?;
    for node in [one, two, three] {
        let label = format!("{}-try", node.nick);
        let command = arena.hold(&label, "alone");
        let refused = arena.lock(node, &label, &["busy", "--try"], &command)?;
        let refused = refused.finish(SOON)?.expect(BUSY)?;
        ensure!(
            refused.took < AT_ONCE,
            "--try took {:?} on {}",
            refused.took,
            node.nick
        );
    }
    for node in [one, two, three] {
        let label = format!("{}-waiter", node.nick);
        let command = arena.hold(&label, "alone");
        let mut waiter = arena.lock(node, &label, &["busy"], &command)?;
        wait_waiting(one, "busy", 1, SOON)?;
        waiter.signal(Signal::INT);
        waiter
            .finish(SOON)?
            .expect(SIGNALLED + Signal::INT.as_raw())?;
        wait_waiting(one, "busy", 0, SOON)?;
    }
    arena.dismiss("ana-holder")?;
    holder.finish(SOON)?.expect(0)?;
    let order = arena.journal()?.order().join(" ");
    ensure!(order == "ana-holder", "also inside: {order}");
    Ok(())
}

/// Of those who wait the most urgent comes first, except that one successor is chosen early.
fn the_urgent_come_first(bench: &Bench, group: &Group<'_>) -> Result<()> {
    let [one, two, three] = three(group);
    let arena = Arena::new(bench, "urgent")?;
    let holder = inside(one, &arena, "ana-holder", &["urgent"])?;
    let waiters = [
        (two, "bia-chosen", "0"),
        (three, "caio-0", "0"),
        (one, "ana-5", "5"),
        (two, "bia-9", "9"),
        (three, "caio-5", "5"),
    ];
    let mut waiting = Vec::new();
    for (node, label, priority) in waiters {
        arena.dismiss(label)?;
        let words = ["urgent", "--priority", priority];
        let command = arena.hold(label, "alone");
        waiting.push(arena.lock(node, label, &words, &command)?);
        wait_waiting(one, "urgent", waiting.len(), SOON)?;
    }
    arena.dismiss("ana-holder")?;
    holder.finish(SOON)?.expect(0)?;
    for waiter in waiting {
        waiter.finish(SOON)?.expect(0)?;
    }
    let journal = arena.journal()?;
    journal.ensure_alone()?;
    let order = journal.order().join(" ");
    let expected = "bia-9 ana-5 caio-5 caio-0";
    ensure!(
        order.replace(" bia-chosen", "") == format!("ana-holder {expected}"),
        "they came as {order}"
    );
    bench.note(&format!("priorities: {order}"));
    Ok(())
}

/// Two hosts that want the same three locks in opposite orders never block each other.
fn opposite_orders(bench: &Bench, group: &Group<'_>) -> Result<()> {
    const ROUNDS: usize = 8;
    let arena = Arena::new(bench, "several")?;
    let turns = |node: &Node<'_>, names: &str| -> Result<()> {
        for round in 0..ROUNDS {
            let label = format!("{}-{round}", node.nick);
            let command = arena.section(&label);
            let words = [names, "--wait", "20s"];
            let attempt = arena.lock(node, &label, &words, &command)?;
            attempt.finish(SOON + SOON)?.expect(0)?;
        }
        Ok(())
    };
    let [one, two, three] = three(group);
    std::thread::scope(|scope| {
        let running = [
            scope.spawn(|| turns(one, "a,b,c")),
            scope.spawn(|| turns(two, "c,b,a")),
            scope.spawn(|| turns(three, "b,c,a")),
        ];
        running
            .into_iter()
            .try_for_each(|turns| turns.join().expect("taking turns does not panic"))
    })?;
    let journal = arena.journal()?;
    journal.ensure_alone()?;
    journal.ensure_counted(arena.counter()?)?;
    let completed = journal.completed();
    ensure!(completed == 3 * ROUNDS, "{completed} sections");
    Ok(())
}

/// An operator takes the lock away: the holder's command is stopped, then the next one comes.
fn taken_away(bench: &Bench, group: &Group<'_>) -> Result<()> {
    let [one, two, three] = three(group);
    let arena = Arena::new(bench, "taken")?;
    let command = arena.hold("ana-holder", "family");
    let holder = arena.lock(one, "ana-holder", &["taken"], &command)?;
    arena.wait_entered("ana-holder", SOON)?;
    let command = arena.hold("bia-next", "alone");
    let next = arena.lock(two, "bia-next", &["taken"], &command)?;
    wait_waiting(three, "taken", 1, SOON)?;
    let force = ["lock", "release", "--force", "taken"];
    three.run(&force, b"")?.success()?;
    arena.wait_entered("bia-next", SOON)?;
    holder.finish(SOON)?.expect(LOST)?;
    arena.dismiss("bia-next")?;
    next.finish(SOON)?.expect(0)?;
    arena.journal()?.ensure_alone()?;
    let nobody = three.run(&["lock", "release", "--force", "never-held"], b"")?;
    ensure!(
        !nobody.status.success(),
        "a lock that nobody holds was released by force"
    );
    Ok(())
}

/// Whoever waits for what its own parent holds would wait for ever.
fn within_itself(bench: &Bench, group: &Group<'_>) -> Result<()> {
    let node = &group.nodes[1];
    let arena = Arena::new(bench, "itself")?;
    let inner = node.line(&["lock", "itself", "--", "true"]);
    let attempt = arena.lock(node, "bia-outer", &["itself"], &inner)?;
    let ended = attempt.finish(SOON)?.expect(BUSY)?;
    ensure!(
        ended.took < AT_ONCE,
        "a lock in itself took {:?}",
        ended.took
    );
    Ok(())
}

/// The nodes of a group of three.
pub(super) fn three<'g, 'a>(group: &'g Group<'a>) -> [&'g Node<'a>; 3] {
    [&group.nodes[0], &group.nodes[1], &group.nodes[2]]
}
