//! Accidents, drawn from a seed: one every second or two, and each is repaired some time later.

mod record;

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};

use crate::hosts::command::wait_for;
use crate::hosts::net::Filter;
use crate::hosts::process::{self, now_ns};
use crate::hosts::random::Random;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::report::Report;

pub(super) use record::{Fault, Record};

/// Longer than a session lives that is not renewed.
const STOPPED: Duration = Duration::from_secs(8);
/// How many hosts may be disturbed at the same time; the majority of three voters can be among them.
const DISTURBED_MAX: usize = 2;
/// How long a repaired node needs until it counts as undisturbed.
const RECOVERY: Duration = Duration::from_secs(3);
/// One in so many accidents to a whole node may happen. Each costs all others a session time, in which
/// nobody is inside and nothing can be found out.
const FIRST_RARITY: usize = 3;
/// The same while another host is disturbed: without a majority nobody is inside for longer.
const SECOND_RARITY: usize = 10;
/// How many accidents are thought of before this turn is let pass.
const DRAWS: usize = 30;
/// How long it is asked who leads.
const LEADER_WITHIN: Duration = Duration::from_millis(500);
/// How long somebody to hit is looked for.
const HOLDER_WITHIN: Duration = Duration::from_millis(50);
const RESTARTED_WITHIN: Duration = Duration::from_secs(30);

/// To whom.
#[derive(Clone, Copy, Debug)]
enum Aim {
    Anybody,
    Leader,
    Holder,
}

const FAULTS: &[Fault] = &[
    Fault::KillNode,
    Fault::KillWrapper,
    Fault::KillChild,
    Fault::KillHost,
    Fault::StopWrapper,
    Fault::StopNode,
    Fault::Cut,
    Fault::Deafen,
    Fault::Mute,
];
const AIMS: &[Aim] = &[Aim::Anybody, Aim::Leader, Aim::Holder];

/// How something is repaired.
#[derive(Debug)]
enum Repair {
    Continue(Pid),
    Start,
    Open,
}

struct Pending {
    at: Instant,
    host: usize,
    repair: Repair,
}

/// Somebody whom an accident can be aimed at: it does what only one at a time may do.
#[derive(Clone)]
pub(super) struct Target {
    /// The nick of a node, and something that makes it unique. The process has it among its words.
    pub(super) label: String,
    pub(super) pid: i32,
}

impl Target {
    /// The nick of the node on which it is.
    fn node(&self) -> &str {
        self.label.split('-').next().unwrap_or_default()
    }
}

/// Those to whom accidents happen, besides the nodes.
pub(super) trait Victims {
    /// Where accidents are written down at once.
    fn directory(&self) -> &Path;

    /// One to aim at, if there is one at this moment.
    fn target(&self) -> Result<Option<Target>>;

    /// Lets nothing new start on a host, or lets it again.
    fn pause(&self, host: usize, paused: bool);

    /// Sends a signal to a wrapper: that of the target if it is on the host, otherwise any there.
    /// Returns whose it was.
    fn signal(
        &self,
        host: usize,
        target: Option<&Target>,
        random: &mut Random,
        signal: Signal,
    ) -> Option<(String, Pid)>;
}

/// Who makes accidents happen, and remembers them.
pub(super) struct Chaos<'c> {
    group: &'c Group<'c>,
    victims: &'c dyn Victims,
    random: Random,
    pending: Vec<Pending>,
    record: Record,
}

impl<'c> Chaos<'c> {
    pub(super) fn new(group: &'c Group<'c>, victims: &'c dyn Victims, seed: u64) -> Self {
        Self {
            group,
            victims,
            random: Random::new(seed),
            pending: Vec::new(),
            record: Record::default(),
        }
    }

    /// Makes accidents happen for so long, then repairs everything.
    pub(super) fn rage(mut self, duration: Duration) -> Result<Record> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let pause = 1_000 + self.random.below(1_000);
            self.wait_until(Instant::now() + Duration::from_millis(u64::try_from(pause)?))?;
            self.strike()?;
        }
        for pending in std::mem::take(&mut self.pending) {
            self.repair(&pending)?;
        }
        Ok(self.record)
    }

    /// Waits, and repairs what is due meanwhile.
    fn wait_until(&mut self, until: Instant) -> Result<()> {
        loop {
            let due = self.pending.iter().map(|pending| pending.at).min();
            let next = due.map_or(until, |due| due.min(until));
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            let (due, later) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|pending| pending.at <= now);
            self.pending = later;
            for pending in due {
                self.repair(&pending)?;
            }
        }
    }

    /// Makes one accident happen, if one of some draws is possible now.
    fn strike(&mut self) -> Result<()> {
        let leader = self.leader();
        for _ in 0..DRAWS {
            let holder = self.holder()?;
            let (fault, aim) = (*self.random.pick(FAULTS), *self.random.pick(AIMS));
            let aim = match fault {
                Fault::KillChild => Aim::Holder,
                Fault::KillNode
                | Fault::KillWrapper
                | Fault::KillHost
                | Fault::StopWrapper
                | Fault::StopNode
                | Fault::Cut
                | Fault::Deafen
                | Fault::Mute => aim,
            };
            let Some(host) = self.aim(aim, holder.as_ref(), leader) else {
                continue;
            };
            if self.is_forbidden(fault, host) || !self.inflict(fault, host, holder.as_ref())? {
                continue;
            }
            let nick = &self.group.nodes[host].nick;
            let line = format!("{fault:?} on {nick}, aimed at {aim:?}");
            self.note(&line)?;
            self.record.strike(fault, host, line);
            break;
        }
        Ok(())
    }

    /// Writes it down at once, beside the log of what runs.
    fn note(&self, line: &str) -> Result<()> {
        let path = self.victims.directory().join("accidents");
        let mut file = File::options().create(true).append(true).open(path)?;
        Ok(writeln!(file, "{} {line}", now_ns())?)
    }

    /// Who is inside; waits a little if nobody is at this moment.
    fn holder(&self) -> Result<Option<Target>> {
        let until = Instant::now() + HOLDER_WITHIN;
        loop {
            let holder = self.victims.target()?;
            if holder.is_some() || Instant::now() >= until {
                return Ok(holder);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The host that is meant.
    fn aim(&mut self, aim: Aim, holder: Option<&Target>, leader: Option<usize>) -> Option<usize> {
        let position = |nick: &str| self.group.nodes.iter().position(|node| node.nick == nick);
        match aim {
            Aim::Anybody => Some(self.random.below(self.group.nodes.len())),
            Aim::Holder => position(holder?.node()),
            // While nobody leads, anybody may soon.
            Aim::Leader => leader.or_else(|| Some(self.random.below(self.group.nodes.len()))),
        }
    }

    /// The host that leads, as an undisturbed one knows.
    fn leader(&self) -> Option<usize> {
        let nodes = &self.group.nodes;
        let is_disturbed = |host| self.pending.iter().any(|pending| pending.host == host);
        let healthy = (0..nodes.len()).find(|host| !is_disturbed(*host))?;
        let report = Report::within(&nodes[healthy], LEADER_WITHIN).ok()?;
        nodes.iter().position(|node| node.nick == report.leader)
    }

    /// One accident at a time on each host. Two together, as a stopped wrapper whose node is killed,
    /// leave nobody who could end the command in time: that is what fences are for.
    fn is_forbidden(&mut self, fault: Fault, host: usize) -> bool {
        let is_disturbed = |host: usize| self.pending.iter().any(|pending| pending.host == host);
        let others = (0..self.group.nodes.len())
            .filter(|other| *other != host && is_disturbed(*other))
            .count();
        match fault {
            Fault::KillChild => false,
            Fault::KillWrapper => is_disturbed(host),
            Fault::KillNode
            | Fault::KillHost
            | Fault::StopWrapper
            | Fault::StopNode
            | Fault::Cut
            | Fault::Deafen
            | Fault::Mute => {
                let rarity = if others == 0 {
                    FIRST_RARITY
                } else {
                    SECOND_RARITY
                };
                let is_rare = self.random.below(rarity) > 0;
                is_disturbed(host) || others >= DISTURBED_MAX || is_rare
            }
        }
    }

    /// Does it; false if there was nothing to do it to.
    fn inflict(&mut self, fault: Fault, host: usize, holder: Option<&Target>) -> Result<bool> {
        let node = &self.group.nodes[host];
        let pause = Duration::from_millis(u64::try_from(2_000 + self.random.below(8_000))?);
        let holder = holder.filter(|holder| holder.node() == node.nick);
        match fault {
            Fault::KillNode => {
                let Some(pid) = process::daemon(node) else {
                    return Ok(false);
                };
                process::signal(pid, Signal::KILL);
                self.later(pause / 8, host, Repair::Start);
            }
            Fault::KillHost => {
                self.victims.pause(host, true);
                self.record.kill(node.nick.clone(), now_ns());
                for pid in node.host.processes()? {
                    process::signal(pid, Signal::KILL);
                }
                self.later(pause / 2, host, Repair::Start);
            }
            Fault::KillChild => {
                let Some(child) = holder.and_then(|holder| Pid::from_raw(holder.pid)) else {
                    return Ok(false);
                };
                let label = holder.map_or_else(String::new, |holder| holder.label.clone());
                // Its number may be another one's by now.
                if !process::words(child).contains(&label) {
                    return Ok(false);
                }
                self.record.kill(label, now_ns());
                process::signal(child, Signal::KILL);
            }
            Fault::KillWrapper => {
                let at_ns = now_ns();
                let Some((label, _)) = self.signal_wrapper(host, holder, Signal::KILL) else {
                    return Ok(false);
                };
                self.record.kill(label, at_ns);
            }
            Fault::StopWrapper => {
                let Some((_, pid)) = self.signal_wrapper(host, holder, Signal::STOP) else {
                    return Ok(false);
                };
                self.later(STOPPED, host, Repair::Continue(pid));
            }
            Fault::StopNode => {
                let Some(pid) = process::daemon(node) else {
                    return Ok(false);
                };
                process::signal(pid, Signal::STOP);
                self.later(STOPPED, host, Repair::Continue(pid));
            }
            Fault::Cut | Fault::Deafen | Fault::Mute => {
                let filter = Filter {
                    deaf: fault != Fault::Mute,
                    mute: fault != Fault::Deafen,
                    ..Filter::default()
                };
                node.host.filter(&filter)?;
                self.later(pause, host, Repair::Open);
            }
        }
        Ok(true)
    }

    /// The holder's wrapper if it is on this host, otherwise any.
    fn signal_wrapper(
        &mut self,
        host: usize,
        holder: Option<&Target>,
        signal: Signal,
    ) -> Option<(String, Pid)> {
        self.victims.signal(host, holder, &mut self.random, signal)
    }

    fn later(&mut self, pause: Duration, host: usize, repair: Repair) {
        let from = now_ns();
        let until = from + nanos(pause + RECOVERY);
        self.record.disturb(host, from, until);
        self.pending.push(Pending {
            at: Instant::now() + pause,
            host,
            repair,
        });
    }

    fn repair(&self, pending: &Pending) -> Result<()> {
        let node = &self.group.nodes[pending.host];
        self.note(&format!("{:?} on {}", pending.repair, node.nick))?;
        match pending.repair {
            Repair::Continue(pid) => {
                process::signal(pid, Signal::CONT);
            }
            Repair::Open => node.host.filter(&Filter::default())?,
            Repair::Start => {
                wait_for("a killed node to run again", RESTARTED_WITHIN, || {
                    Ok(node.up().map_err(|error| format!("{error:#}")))
                })?;
                self.victims.pause(pending.host, false);
            }
        }
        Ok(())
    }
}

/// What makes the accidents: `RODA_TORTURE_SEED`, or something new.
pub(super) fn seed() -> Result<u64> {
    if let Some(seed) = number("RODA_TORTURE_SEED")? {
        return Ok(seed);
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_micros())?)
}

/// A number that the environment may give.
pub(super) fn number(variable: &str) -> Result<Option<u64>> {
    let value = env::var(variable).ok();
    let number = value.map(|value| value.parse());
    number
        .transpose()
        .with_context(|| format!("{variable} is no number"))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
