//! Names of topics.

use alloc::sync::Arc;
use core::fmt;

use thiserror::Error;

/// Longest topic name, in bytes.
pub const TOPIC_LEN_MAX: usize = 128;

/// Name of a topic: letters and digits of any script, `-`, `_` and `.`, not starting with `-` or `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// Why a text is no topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// Nothing at all.
    #[error("a topic name cannot be empty")]
    Empty,
    /// More than [`TOPIC_LEN_MAX`] bytes.
    #[error("a topic name has at most {TOPIC_LEN_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// A character outside the allowed ones.
    #[error("a topic name cannot contain {0:?}")]
    BadCharacter(char),
    /// `-` would look like an option, `.` like a hidden file.
    #[error("a topic name cannot start with {0:?}")]
    BadStart(char),
}

impl Topic {
    /// Checks a name.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self, TopicError> {
        if name.len() > TOPIC_LEN_MAX {
            return Err(TopicError::TooLong(name.len()));
        }
        match name.chars().next() {
            None => return Err(TopicError::Empty),
            Some(first @ ('-' | '.')) => return Err(TopicError::BadStart(first)),
            Some(_) => {}
        }
        match name
            .chars()
            .find(|c| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')))
        {
            Some(bad) => Err(TopicError::BadCharacter(bad)),
            None => Ok(Self(Arc::from(name))),
        }
    }

    pub(crate) fn is_valid(name: &str) -> bool {
        Self::new(name).is_ok()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({} bytes)", self.0.len())
    }
}

impl core::str::FromStr for Topic {
    type Err = TopicError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_confuse_a_shell_or_a_path_are_refused() {
        assert!(Topic::new("praça-1.log").is_ok());
        assert_eq!(Topic::new(""), Err(TopicError::Empty));
        assert_eq!(Topic::new("a/b"), Err(TopicError::BadCharacter('/')));
        assert_eq!(Topic::new("a\u{7}"), Err(TopicError::BadCharacter('\u{7}')));
        assert_eq!(Topic::new("a b"), Err(TopicError::BadCharacter(' ')));
        assert_eq!(Topic::new("-x"), Err(TopicError::BadStart('-')));
        assert_eq!(Topic::new(".."), Err(TopicError::BadStart('.')));
        assert!(Topic::new(&"x".repeat(TOPIC_LEN_MAX)).is_ok());
        assert_eq!(
            Topic::new(&"x".repeat(TOPIC_LEN_MAX + 1)),
            Err(TopicError::TooLong(129))
        );
    }
}
