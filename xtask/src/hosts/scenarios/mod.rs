//! What is shown on several hosts.

mod attempt;
mod carriers;
mod catching_up;
mod chaos;
mod idle;
mod invites;
mod jobs;
mod locks;
mod loss;
mod network;
mod outsider;
mod removal;
mod report;
mod restarts;

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::net::{Addresses, Filter, Host, Lan};
use super::node::{Node, wait_online};

/// One thing to show.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bench) -> Result<()>,
}

/// Every scenario, the longest first, so that two at a time end together.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "lock-kill-matrix",
        about: "whatever of a holder is ended or stopped: never the next before the last is dead",
        run: locks::never_the_next_before_the_last_is_dead,
    },
    Scenario {
        name: "lock-torture",
        about: "20 contenders count under a lock while everything is killed, stopped and cut off",
        run: locks::no_update_is_lost,
    },
    Scenario {
        name: "job-torture",
        about: "five workers and many accidents: each job is done once, by one attempt at a time",
        run: jobs::every_job_is_done_once,
    },
    Scenario {
        name: "lock-wired",
        about: "with the timing for wired networks, a lost machine's lock is free after 3 s",
        run: locks::wired_is_twice_as_fast,
    },
    Scenario {
        name: "job-recurring",
        about: "a job comes each minute, on whichever host works; a push waits until others have it",
        run: jobs::a_recurring_job_comes_again_elsewhere,
    },
    Scenario {
        name: "lock-full-disk",
        about: "the leader's disk is full: locks go on elsewhere, and there too once it has room",
        run: locks::a_full_disk_is_survived,
    },
    Scenario {
        name: "lock-loss-20",
        about: "20 % loss each way: 18 contenders on 3 hosts get their turns, one at a time",
        run: locks::a_lossy_network_is_slower_and_not_wrong,
    },
    Scenario {
        name: "lock-minority",
        about: "without a majority of the voters nothing is granted, and everybody is told why",
        run: locks::without_a_majority_nothing_is_granted,
    },
    Scenario {
        name: "job-basics",
        about: "done elsewhere and read from a third host; cancelled, dead, retried, pushed twice",
        run: jobs::a_job_is_done_elsewhere,
    },
    Scenario {
        name: "job-blob",
        about: "large checkpoints: gone on from elsewhere, byte for byte; and from the one before, and said",
        run: jobs::a_large_checkpoint_is_gone_on_from,
    },
    Scenario {
        name: "lock-basics",
        about: "busy, cancelled, urgent, several at once, shared, and taken away",
        run: locks::a_lock_is_taken_in_turn,
    },
    Scenario {
        name: "lock-fresh",
        about: "the next holder has all that the last one wrote, over a network that loses most of it",
        run: locks::the_next_holder_is_up_to_date,
    },
    Scenario {
        name: "outsider",
        about: "replays, forgeries and floods from outside change nothing and cost little",
        run: outsider::an_outsider_changes_nothing,
    },
    Scenario {
        name: "crash",
        about: "kill -9 in a loop while messages are written: nothing acknowledged is lost",
        run: restarts::nothing_acknowledged_is_lost,
    },
    Scenario {
        name: "loss-30",
        about: "4 hosts, 500 messages each, 30 % loss each way: the same 2,000 everywhere",
        run: loss::thirty_percent,
    },
    Scenario {
        name: "removal",
        about: "a removed member reads and writes nothing more",
        run: removal::a_removed_member_is_outside,
    },
    Scenario {
        name: "sleeper",
        about: "a member that slept through two key changes comes back by itself",
        run: removal::a_sleeper_comes_back,
    },
    Scenario {
        name: "idle",
        about: "a group with nothing to do stays quiet and small, and starts at once",
        run: idle::a_quiet_group_costs_little,
    },
    Scenario {
        name: "loss-10",
        about: "4 hosts, 500 messages each, 10 % loss each way: the same 2,000 everywhere",
        run: loss::ten_percent,
    },
    Scenario {
        name: "partition",
        about: "both sides of a split write; after it heals all have everything",
        run: catching_up::a_split_heals,
    },
    Scenario {
        name: "late-joiner",
        about: "a newcomer gets all that was written before it came",
        run: catching_up::a_late_joiner_gets_everything,
    },
    Scenario {
        name: "no-multicast",
        about: "where multicast is filtered, unicast does the work and status says so",
        run: carriers::without_multicast,
    },
    Scenario {
        name: "two-networks",
        about: "one host on both networks joins hosts that cannot hear each other",
        run: carriers::two_networks,
    },
    Scenario {
        name: "ipv6-only",
        about: "no IPv4 address anywhere",
        run: carriers::only_ipv6,
    },
    Scenario {
        name: "amnesia",
        about: "a node whose home was replaced by an old copy heals and loses nothing new",
        run: restarts::an_old_copy_heals,
    },
    Scenario {
        name: "backup",
        about: "a destroyed node comes back from a backup; nothing is lost, no job runs twice",
        run: jobs::a_destroyed_node_comes_back,
    },
    Scenario {
        name: "invites",
        about: "any member admits; expired, used-up and damaged tokens are refused",
        run: invites::tokens_are_checked_by_any_member,
    },
    Scenario {
        name: "network",
        about: "the network of these scenarios loses, cuts and filters what it should",
        run: network::faults_are_real,
    },
];

/// How long equal histories may take on a machine with more to do.
const CONVERGED_WITHIN: Duration = Duration::from_secs(60);

/// Names of nodes, in the order of their hosts.
const NICKS: [&str; 6] = ["ana", "bia", "caio", "davi", "eva", "fabio"];

/// A segment and a group on it. The nodes go before the segment that joins them.
struct Group<'a> {
    nodes: Vec<Node<'a>>,
    lan: Lan,
    /// The lock timing of its members.
    lock_timing: &'static str,
}

impl<'a> Group<'a> {
    /// Starts a group of `count` nodes on a network without faults; the first one founded it.
    fn start(bench: &'a Bench, count: usize) -> Result<Self> {
        Self::start_with(bench, count, Addresses::Both, &Filter::default())
    }

    /// The same, with another lock timing.
    fn start_timed(bench: &'a Bench, count: usize, lock_timing: &'static str) -> Result<Self> {
        Self::found(
            bench,
            count,
            Addresses::Both,
            &Filter::default(),
            lock_timing,
            |_| Ok(()),
        )
    }

    /// The same as [`Self::start`], with something done to each node before it runs.
    fn start_prepared(
        bench: &'a Bench,
        count: usize,
        prepare: impl FnMut(&Node<'a>) -> Result<()>,
    ) -> Result<Self> {
        let filter = Filter::default();
        Self::found(bench, count, Addresses::Both, &filter, "default", prepare)
    }

    /// Starts a group of `count` nodes whose hosts have these addresses and this firewall.
    fn start_with(
        bench: &'a Bench,
        count: usize,
        addresses: Addresses,
        filter: &Filter,
    ) -> Result<Self> {
        Self::found(bench, count, addresses, filter, "default", |_| Ok(()))
    }

    fn found(
        bench: &'a Bench,
        count: usize,
        addresses: Addresses,
        filter: &Filter,
        lock_timing: &'static str,
        mut prepare: impl FnMut(&Node<'a>) -> Result<()>,
    ) -> Result<Self> {
        let mut group = Self {
            nodes: Vec::new(),
            lan: Lan::new(0)?,
            lock_timing,
        };
        for _ in 0..count {
            let node = group.newcomer(bench, addresses)?;
            node.host.filter(filter)?;
            prepare(&node)?;
            group.nodes.push(node);
        }
        let (first, others) = group.nodes.split_first().expect("a group has members");
        first.create("praça")?;
        let token = first.invite(&["--uses", "10"])?;
        for node in others {
            node.join(&token)?;
        }
        wait_online(&group.all(), u64::try_from(count)?)?;
        Ok(group)
    }

    /// A host on the segment whose node has no group yet.
    fn newcomer(&self, bench: &'a Bench, addresses: Addresses) -> Result<Node<'a>> {
        let index = self.nodes.len();
        let host = Host::new(u8::try_from(index + 1)?)?;
        host.plug(&self.lan, addresses)?;
        let mut node = Node::new(bench, host, NICKS[index]);
        node.lock_timing = self.lock_timing;
        Ok(node)
    }

    fn all(&self) -> Vec<&Node<'a>> {
        self.nodes.iter().collect()
    }

    /// Gives every host the same firewall.
    fn filter(&self, filter: &Filter) -> Result<()> {
        self.nodes
            .iter()
            .try_for_each(|node| node.host.filter(filter))
    }

    /// Cuts the first `size` nodes off from the others.
    fn split_after(&self, size: usize) -> Result<()> {
        let numbers: Vec<u8> = self.nodes.iter().map(|node| node.host.number).collect();
        let (one, other) = numbers.split_at(size);
        for (index, node) in self.nodes.iter().enumerate() {
            let hidden = if index < size { other } else { one };
            node.host.filter(&Filter::cut_off(hidden))?;
        }
        Ok(())
    }
}

/// Texts that nothing else says.
fn texts(prefix: &str, count: usize) -> Vec<String> {
    (1..=count)
        .map(|number| format!("{prefix} message {number} of {count}"))
        .collect()
}

/// Lets each node say its texts, all at the same time.
fn say_together(topic: &str, says: &[(&Node<'_>, &[String])], timeout: Duration) -> Result<()> {
    let running = says
        .iter()
        .map(|(node, texts)| node.start_saying(topic, texts))
        .collect::<Result<Vec<_>>>()?;
    for say in running {
        say.finish(timeout)?.success()?;
    }
    Ok(())
}
