//! The leader's disk is full: another one leads, and once there is room it votes again.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::arena::Arena;
use crate::hosts::Bench;
use crate::hosts::command::{self, wait_for};
use crate::hosts::node::Node;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::report::settle;

/// Room for a node's databases and little more.
const DISK_SIZE: &str = "size=8m";
/// How long a lock may take while another leader is chosen, and on a machine with more to do.
const SOON: Duration = Duration::from_secs(30);

/// Locks go on without the full machine, and with it again once there is room.
pub(crate) fn a_full_disk_is_survived(bench: &Bench) -> Result<()> {
    let mut disks = Vec::new();
    let group = Group::start_prepared(bench, 3, |node| {
        disks.push(Disk::mount(&node.home)?);
        Ok(())
    })?;
    let report = settle(&group, 3)?;
    let arena = Arena::new(bench, "full-disk")?;
    section(&group.nodes[0], &arena, "before")?;
    let (full, others): (Vec<_>, Vec<_>) = group
        .nodes
        .iter()
        .partition(|node| node.nick == report.leader);
    let full = full.first().context("the leader is no node")?;
    let fill = full.home.join("fill");
    fill_up(&fill)?;
    // Noticed with the next write.
    for (number, node) in others.iter().enumerate() {
        section(node, &arena, &format!("full-{number}"))?;
    }
    let refused = full.run(&["say", "log", "no room"], b"")?;
    ensure!(
        String::from_utf8_lossy(&refused.stderr).contains("the disk is full"),
        "nobody was told that the disk is full: {}",
        refused.line
    );
    fs::remove_file(&fill)?;
    settle(&group, 3)?;
    section(full, &arena, "after")?;
    wait_for("messages to be written again", SOON, || {
        let said = full.run(&["say", "log", "room"], b"")?;
        Ok(said.success().map_err(|error| format!("{error:#}")))
    })?;
    arena.journal()?.ensure_alone()
}

/// A small disk of its own, for as long as this lives.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", DISK_SIZE, "tmpfs"])
            .arg(at);
        command::run(mount, b"", SOON)?.success()?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nodes may still be ending.
        let mut umount = Command::new("umount");
        umount.arg("--lazy").arg(&self.0);
        let _unmounted = command::run(umount, b"", SOON);
    }
}

fn section(node: &Node<'_>, arena: &Arena, who: &str) -> Result<()> {
    let words = ["full-disk", "--wait", "25s"];
    let attempt = arena.lock(node, who, &words, &arena.section(who))?;
    attempt.finish(SOON)?.expect(0)?;
    Ok(())
}

/// Writes until nothing more fits, down to single bytes.
fn fill_up(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path)?;
    for len in [1 << 16, 1 << 12, 1] {
        let block = vec![7; len];
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}
