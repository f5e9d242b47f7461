//! The token: fair, fenced locks without a lock server.
//!
//! Three state machines, all without I/O:
//!
//! - [`Table`] is the *replicated* one: sessions, grants, queues. Every voter applies the same
//!   [`LockCommand`]s in the same order. Only it chooses who comes next, and it does so ahead of time.
//! - [`Registrar`] runs beside the table of the leading voter: it renews and ends sessions by the clock,
//!   and tells sessions what was decided for them.
//! - [`Agent`] runs on every node: it keeps one session alive, enters and leaves locks for local
//!   clients, and passes the token straight to the successor that the table has chosen.
//!
//! A node enters a lock only if all four hold; without any one of them two can be inside:
//!
//! 1. the token or grant names its *current* session;
//! 2. its fence is larger than every fence that this session used for the lock;
//! 3. the session is valid by the node's own clock, one that counts suspended time;
//! 4. the grant was committed to the table before.

mod agent;
mod command;
mod message;
mod name;
mod registrar;
mod table;
mod timings;

pub use agent::{
    Acquire, Acquired, Agent, AgentEvent, AgentOutput, HoldState, LostReason, Recipient,
};
pub use command::{Frontier, LockCommand, LockOutcome, LockRefusal, SessionCause};
pub use message::{
    GrantView, Heir, HolderStatus, LockMessage, LockStatus, Notice, Quorum, SessionView, Token,
    WaiterStatus,
};
pub use name::{
    Fence, LOCK_NAME_LEN_MAX, LockName, LockNameError, Permits, Priority, RequestId, SessionId,
};
pub use registrar::{Registrar, RegistrarOutput};
pub use table::{Applied, Change, Inconsistent, Table};
pub use timings::Timings;

/// Most locks that one request names.
pub const LOCKS_PER_REQUEST_MAX: usize = 16;
/// Most requests, waiting and granted, of one session.
pub const REQUESTS_PER_SESSION_MAX: usize = 1024;
/// Most requests, waiting and granted, of all sessions.
pub const REQUESTS_MAX: usize = 262_144;
/// Most grants of one lock, live and chosen to follow, whatever its permits; who comes next waits.
pub const GRANTS_PER_LOCK_MAX: usize = 4096;
/// Most gaps among the request numbers of a session that are remembered. Beyond, a number that was
/// left out counts as used up.
pub const REQUEST_GAPS_MAX: usize = 1024;
/// Most waiters of one lock.
pub const WAITERS_PER_LOCK_MAX: usize = 4096;
/// Most locks that are held, waited for, or remembered for their frontier.
pub const LOCKS_MAX: usize = 65_536;
/// Most sessions; a group has no more members.
pub const SESSIONS_MAX: usize = 4096;
/// Most authors in a lock's frontier.
pub const FRONTIER_AUTHORS_MAX: usize = 1024;
/// Fences start no higher than this, so that they never run out.
pub const FENCE_START_MAX: Fence = Fence(1 << 62);
/// Fences that a grant of a single exclusive lock carries, so that its node can enter again and again
/// without asking.
pub const FENCE_BLOCK: u64 = 1024;
/// Grants to others that raise a waiter's effective priority by one.
pub const AGING: u64 = 4;
/// Most successors chosen ahead of time for one lock while its holds are short; one otherwise.
pub const SUCCESSORS_MAX: usize = 16;
/// A hold below this is short.
pub const SHORT_HOLD_MILLIS: u64 = 20;
/// Most commands in one proposal.
pub const COMMANDS_PER_PROPOSAL_MAX: usize = 1024;
/// Most idle tokens that a node keeps.
pub const IDLE_TOKENS_MAX: usize = 512;
/// Shortest session time that a node can ask for.
pub const SESSION_MILLIS_MIN: u32 = 500;
/// Longest session time that a node can ask for.
pub const SESSION_MILLIS_MAX: u32 = 60_000;
