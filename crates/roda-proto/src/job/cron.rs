//! Jobs that come again: when, and how their rounds ended.
//!
//! What an expression means is not known here: whoever writes the end of a round computes the next time
//! and writes it into that entry. So all members agree on it, whatever they know of calendars.

use alloc::sync::Arc;
use core::fmt;

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::text::checked_text;
use crate::time::{Hlc, WallTime};

/// Most bytes of a [`CronExpr`].
pub const CRON_LEN_MAX: usize = 200;

/// When a recurring job is due, as text: 1 to [`CRON_LEN_MAX`] printable ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CronExpr(Arc<str>);

/// Why a text cannot be a [`CronExpr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CronExprError {
    /// Nothing at all, or more than [`CRON_LEN_MAX`] bytes.
    #[error("a cron expression has 1 to {CRON_LEN_MAX} bytes, this one has {0}")]
    Length(usize),
    /// Nothing that such expressions are made of.
    #[error("a cron expression cannot contain {0:?}")]
    BadCharacter(char),
}

impl CronExpr {
    /// Checks a text. Whether it names a time at all is not looked at.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, CronExprError> {
        if !(1..=CRON_LEN_MAX).contains(&text.len()) {
            return Err(CronExprError::Length(text.len()));
        }
        match text.chars().find(|c| !(' '..='~').contains(c)) {
            Some(bad) => Err(CronExprError::BadCharacter(bad)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Debug for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronExpr({:?})", &*self.0)
    }
}

checked_text!(CronExpr, CronExprError, "not a cron expression");

/// What is known of a job that comes again. From one due time to the end of what it began is a *round*;
/// each has its own tries and checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Recurrence {
    /// When it is due, again and again.
    #[n(0)]
    pub cron: CronExpr,
    /// When the present round was or is due: no later round is due at or before it.
    #[n(1)]
    pub due: WallTime,
    /// How many rounds are over.
    #[n(2)]
    pub rounds: u32,
    /// How the last one ended.
    #[n(3)]
    pub last: Option<RoundEnd>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RoundEnd {
    /// Clock of the entry that ended it.
    #[n(0)]
    pub hlc: Hlc,
    /// All its tries failed.
    #[n(1)]
    pub is_dead: bool,
    /// Exit code of its last try, if that told one.
    #[n(2)]
    pub code: Option<i32>,
}

impl Recurrence {
    pub(super) const fn new(cron: CronExpr, due: WallTime) -> Self {
        Self {
            cron,
            due,
            rounds: 0,
            last: None,
        }
    }

    /// A round is over.
    pub(super) fn end_round(&mut self, end: RoundEnd, next: Option<WallTime>) {
        self.rounds = self.rounds.saturating_add(1);
        self.last = Some(end);
        self.due = next.unwrap_or(self.due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_short_and_printable() {
        assert!(CronExpr::new("*/5 1-3 * JAN 1#2").is_ok());
        assert_eq!(CronExpr::new(""), Err(CronExprError::Length(0)));
        assert_eq!(
            CronExpr::new("* *\n"),
            Err(CronExprError::BadCharacter('\n'))
        );
        let longest = "*".repeat(CRON_LEN_MAX);
        assert!(CronExpr::new(&longest).is_ok());
        assert_eq!(
            CronExpr::new(&(longest + "*")),
            Err(CronExprError::Length(CRON_LEN_MAX + 1))
        );
    }
}
