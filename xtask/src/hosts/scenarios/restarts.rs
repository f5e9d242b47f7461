//! Nodes that end without warning, or start with an old memory.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};

use super::{CONVERGED_WITHIN, Group, say_together, texts};
use crate::hosts::Bench;
use crate::hosts::history::{converge, converge_if, mirrors_converge};
use crate::hosts::net::Filter;
use crate::hosts::node::Node;

const TOPIC: &str = "roda";
/// How often some node is killed.
const KILLS: usize = 30;

/// Every node writes while one after the other is killed and started again.
pub(crate) fn nothing_acknowledged_is_lost(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    group.filter(&Filter::loss(20))?;
    let files = group
        .nodes
        .iter()
        .map(|node| node.mirror(TOPIC))
        .collect::<Result<Vec<_>>>()?;
    let stop = AtomicBool::new(false);
    let said = thread::scope(|scope| {
        let writers: Vec<_> = group
            .nodes
            .iter()
            .map(|node| scope.spawn(|| write_until(node, &stop)))
            .collect();
        let killed = kill_in_turn(&group.nodes);
        stop.store(true, Ordering::Relaxed);
        let said: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().expect("writers do not panic"))
            .collect();
        killed.map(|()| said)
    })?;
    let mut acknowledged = Vec::new();
    for said in said {
        let said = said?;
        ensure!(
            said.len() > KILLS,
            "only {} messages were acknowledged",
            said.len()
        );
        acknowledged.extend(said);
    }
    bench.note(&format!("{} acknowledged", acknowledged.len()));
    // What was not acknowledged may be there or not, but never twice.
    let complete = converge_if(&group.all(), TOPIC, CONVERGED_WITHIN, |history| {
        Ok(history.ensure_once(&acknowledged).is_ok())
    })?;
    complete.ensure_once(&acknowledged)?;
    mirrors_converge(&files, &complete.texts, CONVERGED_WITHIN)?;
    group.nodes.iter().try_for_each(Node::verify)
}

/// Says one message after the other; returns those that were acknowledged.
fn write_until(node: &Node<'_>, stop: &AtomicBool) -> Result<Vec<String>> {
    let mut acknowledged = Vec::new();
    for number in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{} says {number}.", node.nick);
        let said = node.run(&["say", TOPIC, &text, "--no-spawn"], b"")?;
        if said.status.success() {
            acknowledged.push(text);
        }
    }
    Ok(acknowledged)
}

fn kill_in_turn(nodes: &[Node<'_>]) -> Result<()> {
    for round in 0..KILLS {
        let node = &nodes[round % nodes.len()];
        node.kill().with_context(|| format!("kill {round}"))?;
        node.up()
            .with_context(|| format!("start after kill {round}"))?;
    }
    Ok(())
}

/// A home is replaced by an older copy of itself, as a restored backup or a cloned machine would.
pub(crate) fn an_old_copy_heals(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    let all = group.all();
    let forgetful = &group.nodes[1];
    let remembered = texts("remembered", 50);
    say_together(TOPIC, &[(forgetful, &remembered)], CONVERGED_WITHIN)?;
    converge(&all, TOPIC, remembered.len(), CONVERGED_WITHIN)?;

    forgetful.down()?;
    let copy = bench.directory.join("copy");
    copy_files(&forgetful.home, &copy)?;
    forgetful.up()?;
    let forgotten = texts("forgotten", 50);
    say_together(TOPIC, &[(forgetful, &forgotten)], CONVERGED_WITHIN)?;
    let before = remembered.len() + forgotten.len();
    converge(&all, TOPIC, before, CONVERGED_WITHIN)?;

    forgetful.down()?;
    fs::remove_dir_all(&forgetful.home)?;
    copy_files(&copy, &forgetful.home)?;
    forgetful.up()?;
    let fresh = texts("fresh", 50);
    say_together(TOPIC, &[(forgetful, &fresh)], CONVERGED_WITHIN)?;
    let said = [remembered, forgotten, fresh].concat();
    let history = converge(&all, TOPIC, said.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&said)?;
    group.nodes.iter().try_for_each(Node::verify)
}

/// Copies plain files and directories; sockets are left out, they belong to a process.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
