//! Members that go, and members that were away when others went.

use anyhow::{Result, ensure};

use super::{CONVERGED_WITHIN, Group, say_together, texts};
use crate::hosts::Bench;
use crate::hosts::command::wait_for;
use crate::hosts::history::{converge, converge_if};
use crate::hosts::net::Filter;
use crate::hosts::node::{Node, number};

const TOPIC: &str = "roda";

/// The removed member was cut off while it was removed: it does not know, and goes on writing.
pub(crate) fn a_removed_member_is_outside(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 4)?;
    let (removed, rest) = (&group.nodes[3], &group.all()[..3]);
    let before = texts("before", 50);
    say_together(TOPIC, &[(removed, &before)], CONVERGED_WITHIN)?;
    converge(&group.all(), TOPIC, before.len(), CONVERGED_WITHIN)?;

    group.split_after(3)?;
    rest[0].run(&["remove", &removed.nick], b"")?.success()?;
    let secret = texts("secret", 50);
    say_together(TOPIC, &[(rest[1], &secret)], CONVERGED_WITHIN)?;
    converge(rest, TOPIC, before.len() + secret.len(), CONVERGED_WITHIN)?;
    let injected = texts("injected", 50);
    say_together(TOPIC, &[(removed, &injected)], CONVERGED_WITHIN)?;

    group.filter(&Filter::default())?;
    // Messages that go both ways after the split show that datagrams had their chance.
    let after = texts("after", 50);
    say_together(TOPIC, &[(rest[2], &after)], CONVERGED_WITHIN)?;
    let rejected_before = rest[0].rejected()?;
    // The removed node may refuse by now; it must not be believed either way.
    for text in &texts("late injection", 5) {
        removed.run(&["say", TOPIC, text], b"")?;
    }
    let said = [before.clone(), secret.clone(), after.clone()].concat();
    wait_for(
        "the removed member's datagrams to be refused",
        CONVERGED_WITHIN,
        || {
            let rejected = rest[0].rejected()?;
            let expelled = !removed
                .run(&["say", TOPIC, "late injection"], b"")?
                .status
                .success();
            Ok(if expelled || rejected > rejected_before {
                Ok(())
            } else {
                Err(format!("{rejected} refused"))
            })
        },
    )?;
    let history = converge(rest, TOPIC, said.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&said)?;
    let outside = removed.history(TOPIC)?;
    outside.ensure_none(&secret)?;
    outside.ensure_none(&after)?;
    for node in rest {
        let members = node.members()?.len();
        ensure!(members == 3, "{} still counts {members} members", node.nick);
    }
    restarting_does_not_help(removed, rest, &said)
}

/// A removed node that starts again, with the keys it had, learns and says nothing either.
fn restarting_does_not_help(removed: &Node<'_>, rest: &[&Node<'_>], said: &[String]) -> Result<()> {
    // Both may be refused by now, which is as good.
    removed.run(&["down"], b"")?;
    removed.run(&["up", "--detach"], b"")?;
    removed.run(&["say", TOPIC, "after a restart"], b"")?;
    let later = texts("later", 20);
    say_together(TOPIC, &[(rest[0], &later)], CONVERGED_WITHIN)?;
    let said = [said, &later].concat();
    converge(rest, TOPIC, said.len(), CONVERGED_WITHIN)?.ensure_exactly(&said)?;
    let outside = removed.run(&["history", TOPIC, "--json"], b"")?;
    let outside = String::from_utf8_lossy(&outside.stdout).into_owned();
    ensure!(
        !outside.contains("later message"),
        "the removed member reads on"
    );
    Ok(())
}

/// A stopped member misses two removals, each with a change of the group's key.
pub(crate) fn a_sleeper_comes_back(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 5)?;
    let (sleeper, awake) = (&group.nodes[2], [&group.nodes[0], &group.nodes[1]]);
    let before = texts("before", 20);
    say_together(TOPIC, &[(sleeper, &before)], CONVERGED_WITHIN)?;
    converge(&group.all(), TOPIC, before.len(), CONVERGED_WITHIN)?;

    sleeper.down()?;
    let mut said = before;
    for removed in &group.nodes[3..] {
        awake[0].run(&["remove", &removed.nick], b"")?.success()?;
        let between = texts(&format!("without {}", removed.nick), 30);
        say_together(TOPIC, &[(awake[1], &between)], CONVERGED_WITHIN)?;
        said.extend(between);
        converge(&awake, TOPIC, said.len(), CONVERGED_WITHIN)?;
    }

    sleeper.up()?;
    let back = [awake[0], awake[1], sleeper];
    converge(&back, TOPIC, said.len(), CONVERGED_WITHIN)?.ensure_exactly(&said)?;
    let own = texts("awake again", 20);
    say_together(TOPIC, &[(sleeper, &own)], CONVERGED_WITHIN)?;
    said.extend(own);
    converge_if(&back, TOPIC, CONVERGED_WITHIN, |history| {
        Ok(history.texts.len() == said.len())
    })?
    .ensure_exactly(&said)?;
    for node in back {
        let members = number(&node.status()?, "/members")?;
        ensure!(members == 3, "{} counts {members} members", node.nick);
    }
    Ok(())
}
