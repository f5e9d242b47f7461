use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::proposals::QUEUE_PER_NODE_MAX;
use super::*;
use crate::token::{LockName, LockRefusal, Permits, Priority};

struct Bench {
    now: Timestamp,
    table: Table,
    registrar: Registrar,
}

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn acquire(session: SessionId, request: u64) -> LockCommand {
    LockCommand::Acquire {
        session,
        request: RequestId(request),
        locks: vec![LockName::new("a").unwrap()],
        permits: Permits::EXCLUSIVE,
        priority: Priority::default(),
        is_ahead: false,
    }
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            now: Timestamp::from_micros(1_000_000),
            table: Table::new(),
            registrar: Registrar::new(Timings::DEFAULT),
        };
        bench.registrar.lead(bench.now, &bench.table);
        bench
    }

    fn tell(&mut self, from: NodeId, message: LockMessage) -> Vec<RegistrarOutput> {
        self.registrar
            .handle_message(self.now, &self.table, from, message);
        self.drain()
    }

    fn propose(&mut self, from: NodeId, commands: Vec<LockCommand>) -> Vec<RegistrarOutput> {
        self.tell(from, LockMessage::Propose { commands })
    }

    fn renew(&mut self, session: SessionId, sent_micros: u64) -> Vec<RegistrarOutput> {
        let renew = LockMessage::Renew {
            session,
            sent_micros,
            version: 0,
        };
        self.tell(node(1), renew)
    }

    fn drain(&mut self) -> Vec<RegistrarOutput> {
        core::iter::from_fn(|| self.registrar.poll_output()).collect()
    }

    fn apply(&mut self, id: u64, commands: &[LockCommand]) -> Vec<RegistrarOutput> {
        let applied = self.table.apply(commands);
        self.registrar
            .on_applied(self.now, &self.table, Some(id), applied);
        self.drain()
    }

    fn confirm(&mut self, id: u64) -> Vec<RegistrarOutput> {
        self.registrar
            .on_confirmed(self.now, &self.table, id, Ok(()));
        self.drain()
    }

    fn open(&mut self, of: NodeId, boot: u64) -> SessionId {
        let open = LockMessage::Open {
            boot,
            sent_micros: 5,
            session_millis: 4000,
        };
        let outputs = self.tell(of, open);
        let [RegistrarOutput::Propose { id, commands }] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        let outputs = self.apply(*id, commands);
        let [
            RegistrarOutput::Send {
                to,
                message:
                    LockMessage::Opened {
                        session,
                        sent_micros: 5,
                        ..
                    },
            },
        ] = &outputs[..]
        else {
            panic!("{outputs:?}");
        };
        assert_eq!(*to, of);
        *session
    }

    fn wait(&mut self, time: Duration) -> Vec<RegistrarOutput> {
        self.now = self.now + time;
        self.registrar.handle_timeout(self.now);
        self.drain()
    }
}

fn confirms(outputs: &[RegistrarOutput]) -> Vec<u64> {
    let ids = outputs.iter().filter_map(|output| match output {
        RegistrarOutput::Confirm { id } => Some(*id),
        RegistrarOutput::Send { .. } | RegistrarOutput::Propose { .. } => None,
    });
    ids.collect()
}

fn proposals(outputs: Vec<RegistrarOutput>) -> Vec<(u64, Vec<LockCommand>)> {
    let proposals = outputs.into_iter().filter_map(|output| match output {
        RegistrarOutput::Propose { id, commands } => Some((id, commands)),
        RegistrarOutput::Send { .. } | RegistrarOutput::Confirm { .. } => None,
    });
    proposals.collect()
}

fn renewed(outputs: &[RegistrarOutput]) -> Vec<u64> {
    let sent = outputs.iter().filter_map(|output| match output {
        RegistrarOutput::Send {
            message: LockMessage::Renewed { sent_micros, .. },
            ..
        } => Some(*sent_micros),
        _ => None,
    });
    sent.collect()
}

fn is_ended(outputs: &[RegistrarOutput], of: SessionId) -> bool {
    let ended = LockMessage::Ended { session: of };
    outputs
        .iter()
        .any(|it| matches!(it, RegistrarOutput::Send { message, .. } if *message == ended))
}

#[test]
fn a_renewal_is_answered_by_a_confirmation_that_began_after_it_came() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let first = confirms(&bench.renew(session, 10));
    assert_eq!(first.len(), 1);
    assert!(
        bench.renew(session, 11).is_empty(),
        "one question at a time"
    );
    let outputs = bench.confirm(first[0]);
    assert_eq!(renewed(&outputs), [10]);
    let second = confirms(&outputs);
    assert_eq!(renewed(&bench.confirm(first[0])), [], "answered before");
    assert_eq!(renewed(&bench.confirm(second[0])), [11]);
}

#[test]
fn too_few_answers_are_told_to_who_waits() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let asked = confirms(&bench.renew(session, 10));
    let quorum = Quorum {
        reachable: 1,
        voters: 3,
    };
    bench
        .registrar
        .on_confirmed(bench.now, &bench.table, asked[0], Err(quorum));
    let told = RegistrarOutput::Send {
        to: node(1),
        message: LockMessage::NoQuorum(quorum),
    };
    assert_eq!(bench.drain(), core::slice::from_ref(&told));
    let proposed = proposals(bench.propose(node(1), vec![acquire(session, 1)]));
    bench
        .registrar
        .on_failed(bench.now, proposed[0].0, Some(quorum));
    assert_eq!(bench.drain(), [told]);
}

#[test]
fn a_session_ends_after_half_as_long_again_and_not_before() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let expiry = Timings::DEFAULT.expiry();
    assert_eq!(bench.wait(expiry - Duration::from_micros(1)), []);
    let outputs = bench.wait(Duration::from_micros(1));
    let [(id, commands)] = &proposals(outputs)[..] else {
        panic!("nothing proposed");
    };
    assert_eq!(*commands, [LockCommand::Expire { session }]);
    assert!(is_ended(&bench.apply(*id, commands), session));
    assert_eq!(bench.registrar.next_deadline(), None);
}

#[test]
fn a_session_that_is_ending_is_not_renewed_whatever_becomes_of_its_end() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let asked = confirms(&bench.renew(session, 10));
    let outputs = bench.wait(Timings::DEFAULT.expiry());
    let ending = proposals(outputs);
    assert_eq!(ending.len(), 1);
    // Neither what was asked before, nor what is asked now, nor by way of opening it again.
    let outputs = bench.confirm(asked[0]);
    assert!(!is_ended(&outputs, session) && renewed(&outputs).is_empty());
    let asked = confirms(&bench.renew(session, 11));
    let outputs = bench.confirm(asked[0]);
    assert!(!is_ended(&outputs, session) && renewed(&outputs).is_empty());
    bench.registrar.on_failed(bench.now, ending[0].0, None);
    let asked = confirms(&bench.renew(session, 12));
    let outputs = bench.confirm(asked[0]);
    assert!(!is_ended(&outputs, session) && renewed(&outputs).is_empty());
    let open = LockMessage::Open {
        boot: 1,
        sent_micros: 13,
        session_millis: 4000,
    };
    let opening = proposals(bench.tell(node(1), open));
    assert_eq!(bench.apply(opening[0].0, &opening[0].1), []);
    let again = proposals(bench.wait(Timings::DEFAULT.retry()));
    assert_eq!(again[0].1, [LockCommand::Expire { session }]);
}

#[test]
fn a_new_leader_gives_every_session_its_whole_time() {
    let mut bench = Bench::new();
    bench.open(node(1), 1);
    let expiry = Timings::DEFAULT.expiry();
    bench.wait(expiry - HALF);
    bench.registrar.follow();
    assert_eq!(bench.registrar.next_deadline(), None);
    bench.registrar.lead(bench.now, &bench.table);
    assert_eq!(bench.registrar.next_deadline(), Some(bench.now + expiry));
}

#[test]
fn a_session_time_is_the_sessions_own() {
    let mut bench = Bench::new();
    let open = LockCommand::Open {
        node: node(1),
        boot: 1,
        session_millis: 10_000,
    };
    bench.table.apply(&[open]);
    bench.registrar.lead(bench.now, &bench.table);
    let deadline = bench.now + Duration::from_secs(15);
    assert_eq!(bench.registrar.next_deadline(), Some(deadline));
}

#[test]
fn nobody_speaks_for_another_or_for_the_leader() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let frontier = crate::token::Frontier::default();
    let lock = LockName::new("a").unwrap();
    let commands = vec![
        acquire(session, 1),
        LockCommand::Cancel {
            session,
            request: RequestId(1),
        },
        LockCommand::Release {
            session,
            fence: Fence(1),
            frontier,
            held_millis: 0,
        },
        LockCommand::Close { session },
        LockCommand::Expire { session },
        LockCommand::Start { fence: Fence(1) },
        LockCommand::Open {
            node: node(1),
            boot: 2,
            session_millis: 1,
        },
        LockCommand::Force {
            lock,
            by: node(1),
            upto: Fence(u64::MAX),
        },
    ];
    assert_eq!(bench.propose(node(2), commands), []);
    let renew = LockMessage::Renew {
        session,
        sent_micros: 1,
        version: 0,
    };
    let outputs = bench.tell(node(2), renew);
    assert!(renewed(&outputs).is_empty() && confirms(&outputs).is_empty());
}

#[test]
fn one_entry_is_under_way_and_what_comes_meanwhile_is_the_next() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let first = proposals(bench.propose(node(1), vec![acquire(session, 1)]));
    assert_eq!(first.len(), 1);
    assert_eq!(bench.propose(node(1), vec![acquire(session, 2)]), []);
    assert_eq!(bench.propose(node(1), vec![acquire(session, 3)]), []);
    let outputs = bench.apply(first[0].0, &first[0].1);
    let second = proposals(outputs);
    assert_eq!(second[0].1, [acquire(session, 2), acquire(session, 3)]);
}

#[test]
fn a_request_that_the_table_has_is_not_written_again() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let first = proposals(bench.propose(node(1), vec![acquire(session, 1)]));
    bench.apply(first[0].0, &first[0].1);
    assert_eq!(bench.propose(node(1), vec![acquire(session, 1)]), []);
}

#[test]
fn what_is_refused_and_what_is_withdrawn_is_told() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    let mut bad = acquire(session, 1);
    if let LockCommand::Acquire { locks, .. } = &mut bad {
        locks.clear();
    }
    let cancel = LockCommand::Cancel {
        session,
        request: RequestId(9),
    };
    let proposed = proposals(bench.propose(node(1), vec![bad, cancel]));
    let to = node(1);
    let expected = [
        LockMessage::Refused {
            session,
            request: RequestId(1),
            refusal: LockRefusal::BadRequest,
        },
        LockMessage::Withdrawn {
            session,
            requests: vec![RequestId(9)],
        },
    ];
    let outputs = bench.apply(proposed[0].0, &proposed[0].1);
    assert_eq!(
        outputs,
        expected.map(|message| RegistrarOutput::Send { to, message })
    );
}

#[test]
fn one_node_cannot_take_all_the_room() {
    let mut bench = Bench::new();
    let greedy = bench.open(node(1), 1);
    let modest = bench.open(node(2), 1);
    // Two entries are under way, so that the rest has to wait.
    for request in 0..2 {
        bench.propose(node(1), vec![acquire(greedy, request)]);
    }
    let limit = u64::try_from(QUEUE_PER_NODE_MAX).unwrap();
    for request in 0..limit + 10 {
        bench.propose(node(1), vec![acquire(greedy, 10 + request)]);
    }
    bench.propose(node(2), vec![acquire(modest, 1)]);
    let Role::Leading(leading) = &bench.registrar.role else {
        panic!("follows");
    };
    assert_eq!(leading.proposals.waiting(), QUEUE_PER_NODE_MAX + 1);
}

#[test]
fn a_node_has_no_more_than_so_many_sessions() {
    let mut bench = Bench::new();
    for boot in 0..16 {
        bench.open(node(1), boot);
    }
    let open = LockMessage::Open {
        boot: 99,
        sent_micros: 5,
        session_millis: 4000,
    };
    assert_eq!(bench.tell(node(1), open), []);
    bench.open(node(2), 1);
}

#[test]
fn whoever_does_not_lead_says_nothing() {
    let mut bench = Bench::new();
    let session = bench.open(node(1), 1);
    bench.registrar.follow();
    assert_eq!(bench.renew(session, 1), []);
    assert_eq!(bench.propose(node(1), vec![acquire(session, 1)]), []);
    assert_eq!(bench.wait(Timings::DEFAULT.expiry()), []);
}

const HALF: Duration = Duration::from_millis(500);
