//! Who may come in, and who is refused.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{CONVERGED_WITHIN, Group, texts};
use crate::hosts::Bench;
use crate::hosts::command::wait_for;
use crate::hosts::history::converge;
use crate::hosts::net::{Addresses, Filter};
use crate::hosts::node::Node;

const TOPIC: &str = "roda";
/// How long the short invite lives.
const LIFETIME: Duration = Duration::from_secs(1);

/// The inviting node is off while others are admitted or refused.
pub(crate) fn tokens_are_checked_by_any_member(bench: &Bench) -> Result<()> {
    let mut group = Group::start(bench, 3)?;
    let inviter = &group.nodes[0];
    let once = inviter.invite(&["--uses", "1"])?;
    let short = inviter.invite(&["--expires", "1s"])?;
    let invited = Instant::now();
    ensure!(
        once.starts_with("roda1") && !once.contains(char::is_whitespace),
        "{once:?}"
    );
    // A message after the invites: whoever has it has the invites as well.
    inviter.say(TOPIC, "invited")?;
    converge(&group.all(), TOPIC, 1, CONVERGED_WITHIN)?;
    inviter.down()?;

    let admitted = group.newcomer(bench, Addresses::Both)?;
    admitted.host.filter(&Filter::default())?;
    refused(&admitted, &once[..once.len() - 3])?;
    refused(&admitted, "not a token")?;
    wait_for("the short invite to expire", CONVERGED_WITHIN, || {
        let age = invited.elapsed();
        Ok(if age > LIFETIME {
            Ok(())
        } else {
            Err(format!("{age:?} old"))
        })
    })?;
    let errors = refused(&admitted, &short)?;
    ensure!(errors.contains("expired"), "another reason: {errors}");
    admitted.join(&once)?;
    refused(&admitted, &once)?;
    group.nodes.push(admitted);

    let turned_away = group.newcomer(bench, Addresses::Both)?;
    refused(&turned_away, &once)?;
    inviter_returns(&group)
}

fn inviter_returns(group: &Group<'_>) -> Result<()> {
    group.nodes[0].up()?;
    let own = texts("newcomer", 10);
    for text in &own {
        group.nodes[3].say(TOPIC, text)?;
    }
    let history = converge(&group.all(), TOPIC, 1 + own.len(), CONVERGED_WITHIN)?;
    history.ensure_once(&own)?;
    for node in &group.nodes {
        let members = node.members()?.len();
        ensure!(members == 4, "{} counts {members} members", node.nick);
    }
    Ok(())
}

/// Exit code 1, and an error that says what is wrong and what to do; returns it.
fn refused(node: &Node<'_>, token: &str) -> Result<String> {
    let output = node.try_join(token)?.code(1)?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        errors.contains("error:") && errors.contains("hint:"),
        "an error without a reason or a hint: {errors}"
    );
    Ok(errors)
}
