//! The faults themselves: a scenario that passes on a perfect network shows nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::hosts::Bench;
use crate::hosts::command::{self, wait_for};
use crate::hosts::net::{Addresses, Filter, Host, Lan, ipv4};
use crate::hosts::outsider::Captured;

const GROUP: &str = "239.192.7.7:7007";
const SENT: usize = 4_000;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Loss, cuts and filters drop what they should, and nothing else.
pub(crate) fn faults_are_real(bench: &Bench) -> Result<()> {
    let lan = Lan::new(0)?;
    let (sender, receiver) = (Host::new(1)?, Host::new(2)?);
    sender.plug(&lan, Addresses::Both)?;
    receiver.plug(&lan, Addresses::Both)?;
    let unicast = format!("{}:7007", ipv4(0, 2));
    let arrive = |filter: &Filter, target: &str| -> Result<usize> {
        receiver.filter(filter)?;
        let arrived = transfer(bench, &sender, &receiver, target)?;
        Ok(arrived.len())
    };
    for target in [GROUP, &unicast] {
        ensure!(
            arrive(&Filter::default(), target)? == SENT,
            "no fault, all arrives"
        );
        // 4,000 draws at 10 % scatter by 19; at 30 % by 29. Six times that is allowed.
        let kept = arrive(&Filter::loss(100), target)?;
        ensure!(
            (3_486..=3_714).contains(&kept),
            "{kept} of 4,000 left by 10 % loss"
        );
        let kept = arrive(&Filter::loss(300), target)?;
        ensure!(
            (2_626..=2_974).contains(&kept),
            "{kept} of 4,000 left by 30 % loss"
        );
        ensure!(
            arrive(&Filter::cut_off(&[3]), target)? == SENT,
            "another host is cut off"
        );
        ensure!(
            arrive(&Filter::cut_off(&[1]), target)? == 0,
            "the sender is cut off"
        );
    }
    let datagrams = Filter {
        datagram_loss_per_mille: 300,
        ..Filter::default()
    };
    let kept = arrive(&datagrams, &unicast)?;
    ensure!(
        (2_626..=2_974).contains(&kept),
        "{kept} of 4,000 left by 30 % loss of datagrams"
    );
    let mute = Filter {
        mute: true,
        ..Filter::default()
    };
    ensure!(arrive(&mute, &unicast)? == SENT, "the receiver is mute");
    ensure!(
        arrive(&Filter::isolated(), &unicast)? == 0,
        "the receiver is isolated"
    );
    sender.filter(&mute)?;
    ensure!(
        arrive(&Filter::default(), &unicast)? == 0,
        "the sender is mute"
    );
    sender.filter(&Filter::default())?;
    let no_multicast = Filter {
        no_multicast: true,
        ..Filter::default()
    };
    ensure!(arrive(&no_multicast, GROUP)? == 0, "multicast is filtered");
    ensure!(
        arrive(&no_multicast, &unicast)? == SENT,
        "unicast is not filtered"
    );
    Ok(())
}

/// Sends [`SENT`] datagrams and returns those that arrived.
fn transfer(bench: &Bench, sender: &Host, receiver: &Host, target: &str) -> Result<Vec<Captured>> {
    let (from, to) = (ipv4(0, 1).to_string(), ipv4(0, 2).to_string());
    let ready = bench.directory.join("ready");
    let ready_word = ready.to_str().context("paths of a run are plain")?;
    let count = SENT.to_string();
    let words = ["capture", &to, target, &count, "1", ready_word];
    let listening = command::start(bench.helper(receiver, &words), b"")?;
    wait_for("the receiver to listen", TIMEOUT, || {
        Ok(std::fs::remove_file(&ready).map_err(|error| error.to_string()))
    })?;
    let words = ["send", &from, &count, target];
    command::run(bench.helper(sender, &words), b"", TIMEOUT)?.success()?;
    let heard = listening.finish(TIMEOUT)?.success()?;
    Captured::parse(&heard.text())
}
