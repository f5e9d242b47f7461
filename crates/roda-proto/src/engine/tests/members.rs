//! Who belongs to the group, and what those who do not any more have said.

use std::string::String;
use std::vec;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::world::*;
use crate::engine::*;
use crate::group::InviteToken;
use crate::group::control::Control;
use crate::log::Topic;
use crate::stream::join_proof_message;
use crate::time::WallTime;

#[test]
fn a_removed_member_reads_and_writes_nothing_more() {
    let mut net = Net::group_of(4);
    let removed = net.hosts[3].engine.node();
    net.command(0, Command::Remove { node: removed });
    net.run(100);
    assert!(net.hosts[3].expelled);
    net.say(1, "secret");
    net.run(3_000);
    assert!(net.hosts[0].failed.is_empty());
    assert_eq!(net.texts(2), ["secret"]);
    assert_eq!(net.texts(3), [""; 0]);
    for index in 0..3 {
        assert_eq!(net.hosts[index].engine.members().len(), 3);
    }
    net.hosts[3].engine.is_expelled = false;
    net.hosts[3].engine.logs.take_deps();
    let topic = Topic::new("t").unwrap();
    net.input(
        3,
        Input::Command(
            CommandId(99),
            Command::Append {
                topic,
                bodies: vec![b"x".to_vec()],
            },
        ),
    )
    .unwrap();
    net.run(1_000);
    assert_eq!(net.texts(0), ["secret"]);
}

#[test]
fn a_member_that_slept_through_a_key_change_comes_back() {
    let mut net = Net::group_of(4);
    net.is_cut = |from, to| from == 2 || to == 2;
    let removed = net.hosts[3].engine.node();
    net.command(0, Command::Remove { node: removed });
    net.say(0, "after");
    net.run(100_000);
    net.is_cut = |_, _| false;
    net.run(20_000);
    assert_eq!(net.texts(2), ["after"]);
    assert_eq!(
        net.hosts[2].engine.epoch_keys()[0].tag,
        net.hosts[0].engine.epoch_keys()[0].tag
    );
}

#[test]
fn after_somebody_left_the_key_changes() {
    let mut net = Net::group_of(3);
    let before = net.hosts[0].engine.epoch_keys()[0].tag;
    net.command(2, Command::Leave);
    net.run(6_000);
    let after = net.hosts[0].engine.epoch_keys()[0].tag;
    assert_ne!(before, after);
    assert_eq!(after, net.hosts[1].engine.epoch_keys()[0].tag);
    assert_eq!(net.hosts[0].engine.members().len(), 2);
}

#[test]
fn nothing_follows_a_leave_and_what_was_said_before_it_counts() {
    let mut net = Net::group_of(3);
    let topic = Topic::new("t").unwrap();
    let bodies = vec![b"last words".to_vec()];
    for (id, command) in [
        (100, Command::Append { topic, bodies }),
        (101, Command::Leave),
    ] {
        net.input(2, Input::Command(CommandId(id), command))
            .unwrap();
    }
    net.run(10_000);
    assert_eq!(net.texts(0), ["last words"]);
    let author = net.hosts[2].engine.author();
    let mut batches = net.hosts[0].disk.batches.iter();
    let last = batches.rfind(|batch| batch.author == author).unwrap();
    let entry = last.entries().last().unwrap();
    assert!(matches!(
        Control::parse(entry.body),
        Ok(Control::Leave { .. })
    ));
    assert!(!net.hosts[0].engine.is_member(&net.hosts[2].node()));
}

#[test]
fn what_a_removal_voids_is_voided_by_the_next_start_if_a_crash_came_between() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from != to && (from == 0 || to == 0);
    net.say(2, "unheard by the remover");
    net.run(1_000);
    let (node, author) = (net.hosts[2].node(), net.hosts[2].engine.author());
    net.command(0, Command::Remove { node });
    net.run(1_000);
    let removal = net.hosts[0].disk.batches.last().unwrap().clone();
    assert!(removal.has_control());
    // The removal reached the disk of another, and nothing after it.
    net.hosts[1].disk.batches.push(removal);
    net.restart(1);
    net.run(1_000);
    assert!(!net.hosts[1].engine.is_member(&node));
    let head = |net: &Net, index: usize| {
        let heads = net.hosts[index].engine.version_vector();
        heads
            .into_iter()
            .find(|(of, _)| *of == author)
            .map(|(_, seq)| seq)
    };
    assert_eq!(head(&net, 1), head(&net, 0));
}

#[test]
fn a_key_is_still_known_to_be_leaked_after_a_restart() {
    let mut net = Net::group_of(3);
    let old = net.hosts[1].engine.epoch_keys()[0].clone();
    let node = net.hosts[2].node();
    net.command(0, Command::Remove { node });
    net.run(10_000);
    net.restart(1);
    net.run(10);
    let engine = &net.hosts[1].engine;
    assert!(engine.membership.is_leaked(&old, &engine.node));
    assert_ne!(engine.epoch_keys()[0].tag, old.tag);
}

#[test]
fn a_stream_goes_on_past_entries_of_one_who_was_removed() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from != to && (from == 0 || to == 0);
    net.say(2, "unheard by the remover");
    net.run(1_000);
    let node = net.hosts[2].node();
    net.command(0, Command::Remove { node });
    let late = net.hosts[2].disk.batches.last().unwrap().clone();
    assert_eq!(net.input(0, Input::Batch(late.bytes())), Ok(()));
    assert!(net.texts(0).is_empty());
}

#[test]
fn an_invite_admits_as_many_as_it_says() {
    let mut net = Net::new();
    let token = net.invite(1);
    for (seed, fails) in [(10, false), (11, true)] {
        let joiner = SigningKey::from_seed(&[seed; 32]).public();
        let admitter = net.hosts[0].engine.node();
        let proof = token
            .signing_key()
            .sign(&join_proof_message(&net.group, &joiner, &admitter))
            .to_vec();
        let admit = Command::Admit {
            node: joiner,
            invite: token.id(),
            proof,
            wrap_key: [1; 32],
            nick: String::new(),
        };
        net.command(0, admit);
        assert_eq!(!net.hosts[0].failed.is_empty(), fails);
    }
    assert_eq!(
        net.hosts[0].failed,
        [CommandError::Refused(Refusal::UsedUp)]
    );
}

#[test]
fn an_invite_ends_with_the_membership_of_who_made_it() {
    let mut net = Net::group_of(2);
    let seed = Zeroizing::new([7; 16]);
    let (group, expires) = (net.group, WallTime(START + 1_000_000));
    let token = InviteToken {
        group,
        seed,
        expires,
        hints: Vec::new(),
    };
    net.command(
        1,
        Command::Invite {
            invite: token.id(),
            uses: 5,
            expires,
        },
    );
    net.run(200);
    let now = net.now;
    assert_eq!(net.hosts[0].engine.check_invite(&token.id(), now), Ok(()));
    let removed = net.hosts[1].engine.node();
    net.command(0, Command::Remove { node: removed });
    let refused = net.hosts[0].engine.check_invite(&token.id(), now);
    assert_eq!(refused, Err(Refusal::UnknownInvite));
}
