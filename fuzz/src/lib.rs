//! What is fuzzed, as plain functions: libFuzzer drives them, and so does `cargo test`.
//!
//! Each takes any bytes, says whether they were accepted, and panics when something that must always
//! hold does not. Parsers must agree with their writers: what was accepted, written again, is
//! accepted again and means the same.

mod cursor;
mod engine;
mod job;
pub mod random;
mod sealing;
pub mod seeds;

use roda_proto::group::control::Control;
use roda_proto::log::Hold;
use roda_proto::stream::{self, Request, Response};
use roda_proto::wire::codec::Writer;
use roda_proto::wire::join::{Offer, Probe};
use roda_proto::wire::{Frame, Header};
use roda_proto::{Batch, Entry, EntryKind, Hlc, InviteToken, Seq};

pub use engine::engine;
pub use job::{job_entry, job_fold};
pub use sealing::seal;

/// A function to fuzz.
pub struct Target {
    /// Its name, also of its corpus.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]) -> bool,
    /// Changes of inputs that `cargo test` tries: some seconds altogether.
    pub changed_inputs: usize,
    /// Valid inputs, each with a name.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "datagram",
        run: datagram,
        seeds: seeds::datagrams,
        changed_inputs: 300_000,
    },
    Target {
        name: "batch",
        run: batch,
        seeds: seeds::batches,
        changed_inputs: 300_000,
    },
    Target {
        name: "invite",
        run: invite,
        seeds: seeds::invites,
        changed_inputs: 300_000,
    },
    Target {
        name: "stream",
        run: stream,
        seeds: seeds::stream_messages,
        changed_inputs: 300_000,
    },
    Target {
        name: "seal",
        run: seal,
        seeds: seeds::sealing_plans,
        changed_inputs: 200_000,
    },
    Target {
        name: "control",
        run: control,
        seeds: seeds::controls,
        changed_inputs: 300_000,
    },
    Target {
        name: "fenced",
        run: fenced,
        seeds: seeds::fenced_bodies,
        changed_inputs: 300_000,
    },
    Target {
        name: "job_entry",
        run: job_entry,
        seeds: seeds::job_entries,
        changed_inputs: 300_000,
    },
    Target {
        name: "job_fold",
        run: job_fold,
        seeds: seeds::job_stories,
        changed_inputs: 20_000,
    },
    Target {
        name: "engine",
        run: engine,
        seeds: seeds::operations,
        changed_inputs: 1_500,
    },
];

/// A datagram: its header, the frames in a sealed one's body, probes and offers.
pub fn datagram(data: &[u8]) -> bool {
    let header = Header::parse(data);
    if let Ok(header) = &header {
        let mut writer = Writer::new();
        header.write(&mut writer);
        assert!(data.starts_with(writer.as_slice()), "a header has one form");
    }
    let probe = Probe::parse(data);
    if let Some(probe) = probe {
        let again = Probe::parse(&probe.encode());
        assert_eq!(again, Some(probe), "a probe survives a round trip");
    }
    let offer = Offer::parse(data);
    if let Some(offer) = &offer {
        let again = Offer::parse(&offer.encode());
        assert_eq!(
            again.as_ref(),
            Some(offer),
            "an offer survives a round trip"
        );
    }
    let frames = Frame::parse_all(data);
    if let Ok(frames) = &frames {
        // Unknown frames are left out, so the bytes may differ; the meaning may not.
        let written: Vec<u8> = frames.iter().flat_map(Frame::to_vec).collect();
        assert_eq!(Frame::parse_all(&written).as_ref(), Ok(frames));
    }
    header.is_ok() || probe.is_some() || offer.is_some() || frames.is_ok()
}

/// A batch of log entries.
pub fn batch(data: &[u8]) -> bool {
    let Ok(batch) = Batch::parse(data) else {
        return false;
    };
    assert_eq!(batch.bytes(), data, "a batch is kept as it came");
    let mut next = batch.first;
    let mut clock = None;
    let mut count = 0;
    for entry in batch.entries() {
        let _said = entry.said();
        assert_eq!(entry.seq, next, "entries are numbered without gaps");
        assert!(clock.is_none_or(|clock| clock < entry.hlc), "clocks grow");
        (next, clock, count) = (next.next(), Some(entry.hlc), count + 1);
    }
    assert_eq!(count, batch.count());
    assert_eq!(clock, Some(batch.hlc_last));
    assert!(batch.topics().all(|topic| !topic.is_empty()));
    // Only seeds are signed; what counts is that any signature can be looked at.
    let _signed = batch.verify();
    true
}

/// An invite token, as a person might paste it.
pub fn invite(data: &[u8]) -> bool {
    let Some(token) = std::str::from_utf8(data)
        .ok()
        .and_then(|text| InviteToken::parse(text).ok())
    else {
        return false;
    };
    assert_eq!(InviteToken::parse(&token.to_string()), Ok(token.clone()));
    let _name = token.id();
    true
}

/// The body of a control entry.
pub fn control(data: &[u8]) -> bool {
    let Ok(control) = Control::parse(data) else {
        return false;
    };
    assert_eq!(Control::parse(&control.encode()).as_ref(), Ok(&control));
    true
}

/// The body of a fenced entry.
pub fn fenced(data: &[u8]) -> bool {
    let Some((hold, body)) = hold_of(data) else {
        return false;
    };
    let again = hold.entry_body(&body);
    assert_eq!(hold_of(&again), Some((hold, body)));
    true
}

fn hold_of(body: &[u8]) -> Option<(Hold, Vec<u8>)> {
    let entry = Entry {
        seq: Seq(1),
        hlc: Hlc(1),
        kind: EntryKind::Fenced,
        topic: Some("t"),
        body,
    };
    let said = entry.said()?;
    Some((said.hold?, said.body.to_vec()))
}

/// A message of a stream, in either direction.
pub fn stream(data: &[u8]) -> bool {
    let request = stream::decode::<Request>(data);
    if let Ok(request) = &request {
        assert_eq!(
            stream::decode(&stream::encode(request)).as_ref(),
            Ok(request)
        );
    }
    let response = stream::decode::<Response>(data);
    if let Ok(response) = &response {
        assert_eq!(
            stream::decode(&stream::encode(response)).as_ref(),
            Ok(response)
        );
    }
    request.is_ok() || response.is_ok()
}
