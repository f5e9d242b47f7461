//! Someone on the same network who is not in the group, and means harm.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{CONVERGED_WITHIN, Group, say_together, texts};
use crate::hosts::Bench;
use crate::hosts::command::{self, wait_for};
use crate::hosts::history::converge;
use crate::hosts::net::{Addresses, Host, ipv4};
use crate::hosts::node::{Node, ensure_within, number, wait_online};
use crate::hosts::outsider::Captured;

const TOPIC: &str = "roda";
/// The outsider's host.
const OUTSIDER: u8 = 66;
/// TCP connections that the outsider holds to each member.
const CONNECTIONS: &str = "200";
const ATTACK_SECONDS: &str = "3";
const ATTACKS: [&str; 4] = ["replay", "spoof", "forge", "garbage"];
/// What hostile traffic may add to a node's memory.
const GROWTH_KIB_MAX: u64 = 8 * 1024;
/// What each member must count as refused of every attack; its own copies of a datagram are few.
const REFUSED_MIN: u64 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Four attacks over UDP, one over TCP; then the group works as before.
pub(crate) fn an_outsider_changes_nothing(bench: &Bench) -> Result<()> {
    let mut group = Group::start(bench, 3)?;
    let outsider = Host::new(OUTSIDER)?;
    outsider.plug(&group.lan, Addresses::Both)?;
    let said = texts("true", 300);
    let (capture, datagrams) = listen_while_talking(bench, &group, &outsider, &said)?;
    let before = converge(&group.all(), TOPIC, said.len(), CONVERGED_WITHIN)?;

    // A receiver's memory of what it has seen must outlast its process.
    group.nodes[1].down()?;
    group.nodes[1].up()?;
    wait_online(&group.all(), 3)?;
    let targets = targets(&group, &datagrams)?;
    for attack in ATTACKS {
        survive(bench, &group, attack, || {
            let path = capture.to_str().context("paths of a run are plain")?;
            let interface = ipv4(0, OUTSIDER).to_string();
            let mut words = vec!["attack", attack, &interface, path, ATTACK_SECONDS];
            words.extend(targets.iter().map(String::as_str));
            let sent = command::run(bench.helper(&outsider, &words), b"", TIMEOUT)?;
            Ok(sent.success()?.text().parse()?)
        })?;
        let after = converge(&group.all(), TOPIC, said.len(), CONVERGED_WITHIN)?;
        ensure!(after.bytes == before.bytes, "{attack} changed the history");
    }
    group_still_works(bench, &mut group, &outsider, &said)
}

/// Captures the group's datagrams while one member speaks.
fn listen_while_talking(
    bench: &Bench,
    group: &Group<'_>,
    outsider: &Host,
    said: &[String],
) -> Result<(std::path::PathBuf, Vec<Captured>)> {
    let status = group.nodes[0].status()?;
    let address = status
        .pointer("/multicast_groups")
        .and_then(|groups| groups.as_array())
        .and_then(|groups| {
            let mut texts = groups.iter().filter_map(|group| group.as_str());
            texts.find(|text| !text.starts_with('['))
        })
        .context("status names no IPv4 multicast group")?
        .to_owned();
    let ready = bench.directory.join("listening");
    let interface = ipv4(0, OUTSIDER).to_string();
    let ready_word = ready.to_str().context("paths of a run are plain")?;
    let words = ["capture", &interface, &address, "1000", "6", ready_word];
    let listening = command::start(bench.helper(outsider, &words), b"")?;
    wait_for("the outsider to listen", TIMEOUT, || {
        Ok(if ready.exists() {
            Ok(())
        } else {
            Err("not yet".to_owned())
        })
    })?;
    // A datagram each, so that there is much to replay.
    let (one, many) = said.split_at(20);
    for text in one {
        group.nodes[0].say(TOPIC, text)?;
    }
    say_together(TOPIC, &[(&group.nodes[0], many)], CONVERGED_WITHIN)?;
    let heard = listening.finish(TIMEOUT)?.success()?;
    let captured = Captured::parse(&heard.text())?;
    ensure!(
        captured.len() >= 20,
        "only {} datagrams were heard",
        captured.len()
    );
    reveal_nothing(&captured, said)?;
    let path = bench.directory.join("capture");
    fs::File::create(&path)?.write_all(&heard.stdout)?;
    Ok((path, captured))
}

/// What is said must not be readable on the wire.
fn reveal_nothing(captured: &[Captured], said: &[String]) -> Result<()> {
    let readable = |datagram: &Captured| {
        let payload = &datagram.payload;
        said.iter().any(|text| {
            payload
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    };
    let count = captured
        .iter()
        .filter(|datagram| readable(datagram))
        .count();
    ensure!(count == 0, "{count} datagrams show what was said");
    Ok(())
}

/// The group's address and those of its members, as the captured datagrams show them.
fn targets(group: &Group<'_>, captured: &[Captured]) -> Result<Vec<String>> {
    let status = group.nodes[0].status()?;
    let multicast = status
        .pointer("/multicast_groups")
        .and_then(|groups| groups.as_array())
        .context("status names no multicast groups")?;
    let mut targets: Vec<String> = multicast
        .iter()
        .filter_map(|group| group.as_str())
        .filter(|group| !group.starts_with('['))
        .map(str::to_owned)
        .collect();
    for datagram in captured {
        let source = datagram.source.to_string();
        if !targets.contains(&source) {
            targets.push(source);
        }
    }
    ensure!(targets.len() >= 2, "no member was heard");
    Ok(targets)
}

/// Memory stays bounded, and what arrived is counted as refused.
fn survive(
    bench: &Bench,
    group: &Group<'_>,
    attack: &str,
    strike: impl FnOnce() -> Result<u64>,
) -> Result<()> {
    let memory = |node: &Node<'_>| node.resident_kib();
    let before: Vec<u64> = group.nodes.iter().map(memory).collect::<Result<_>>()?;
    let refused: Vec<u64> = group
        .nodes
        .iter()
        .map(Node::rejected)
        .collect::<Result<_>>()?;
    let sent = strike().with_context(|| attack.to_owned())?;
    ensure!(sent > 1_000, "{attack} sent only {sent} datagrams");
    let mut report = format!("{attack}: {sent} sent");
    for (index, node) in group.nodes.iter().enumerate() {
        let growth = memory(node)?.saturating_sub(before[index]);
        let counted = node.rejected()? - refused[index];
        report = format!("{report}; {} +{growth} KiB, {counted} refused", node.nick);
        ensure_within(
            &format!("{attack}: growth of {} in KiB", node.nick),
            growth,
            GROWTH_KIB_MAX,
        )?;
        ensure!(
            counted > REFUSED_MIN,
            "{attack}: {} counts only {counted} as refused",
            node.nick
        );
    }
    bench.note(&report);
    Ok(())
}

/// Members still talk, and a newcomer is admitted while strangers hold connections to everyone.
fn group_still_works<'a>(
    bench: &'a Bench,
    group: &mut Group<'a>,
    outsider: &Host,
    said: &[String],
) -> Result<()> {
    let mut words = vec!["occupy".to_owned(), CONNECTIONS.to_owned()];
    let ready = bench.directory.join("occupied");
    words.push(ready.to_string_lossy().into_owned());
    for node in &group.nodes {
        let status = node.status()?;
        ensure!(number(&status, "/members")? == 3, "members changed");
        let port = number(&status, "/stream_port")?;
        words.push(format!("{}:{port}", ipv4(0, node.host.number)));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let occupying = command::start(bench.helper(outsider, &words), b"")?;
    wait_for("the outsider to hold connections", TIMEOUT, || {
        Ok(fs::read_to_string(&ready).map_err(|error| error.to_string()))
    })?;
    let newcomer = group.newcomer(bench, Addresses::Both)?;
    bench.note("a newcomer joins while strangers hold connections");
    newcomer.join(&group.nodes[0].invite(&[])?)?;
    bench.note("joined");
    group.nodes.push(newcomer);
    let after = texts("afterwards", 50);
    say_together(TOPIC, &[(&group.nodes[1], &after)], CONVERGED_WITHIN)?;
    let said = [said, &after].concat();
    converge(&group.all(), TOPIC, said.len(), CONVERGED_WITHIN)?.ensure_exactly(&said)?;
    drop(occupying);
    Ok(())
}
