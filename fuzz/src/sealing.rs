//! Two members and whoever is between them.

use std::collections::BTreeSet;

use roda_proto::secure::Secure;
use roda_proto::{EpochRecord, Hlc, SenderTag, Timestamp, crypto};
use zeroize::Zeroizing;

/// Runs a plan of three bytes a step: what to do, and two parameters.
///
/// A datagram opens at most once, unchanged, and no other one opens at all.
pub fn seal(plan: &[u8]) -> bool {
    let keys = || vec![epoch(1), epoch(2)];
    let now = Timestamp::default();
    let mut sender = Secure::new(SenderTag(1), keys(), now);
    let mut receiver = Secure::new(SenderTag(2), keys(), now);
    let mut on_the_way: Vec<Vec<u8>> = Vec::new();
    let mut opened: BTreeSet<usize> = BTreeSet::new();
    for step in plan.chunks_exact(3) {
        let (action, one, two) = (step[0], usize::from(step[1]), step[2]);
        if action % 4 == 0 || on_the_way.is_empty() {
            let frames = vec![two; one];
            on_the_way.push(sender.seal(&frames).expect("there is a key"));
            continue;
        }
        let index = one % on_the_way.len();
        let original = &on_the_way[index];
        let mut datagram = original.clone();
        match action % 4 {
            1 => {}
            2 => {
                let at = (usize::from(two) * 257 + one) % datagram.len();
                datagram[at] ^= 1 << (two % 8);
            }
            _ => datagram.truncate(usize::from(two) % datagram.len()),
        }
        let is_unchanged = datagram == *original;
        let outcome = receiver.open(now, &mut datagram);
        let is_open = matches!(outcome, Ok(Some(_)));
        assert_eq!(
            is_open,
            is_unchanged && opened.insert(index),
            "datagram {index}, changed: {}",
            !is_unchanged
        );
    }
    !opened.is_empty()
}

fn epoch(byte: u8) -> EpochRecord {
    let secret = Zeroizing::new([byte; 32]);
    EpochRecord {
        tag: crypto::epoch_tag(&secret),
        secret,
        created: Hlc(byte.into()),
    }
}
