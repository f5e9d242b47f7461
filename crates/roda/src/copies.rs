//! Waiting until others have an entry as well.

use roda_proto::{AuthorId, Seq};
use tokio::sync::{oneshot, watch};

use crate::driver::Request;
use crate::error::{Error, Result};
use crate::node::Node;

/// How many members are to have an entry durably, the own node included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// The own node alone, which is so when the entry was acknowledged.
    #[default]
    Local,
    /// So many; less than two is as [`Self::Local`].
    AtLeast(u32),
    /// More than half of those that are members when the wait begins.
    Majority,
}

impl Copies {
    /// How many that are in a group of this size.
    #[must_use]
    pub const fn of(self, members: u32) -> u32 {
        match self {
            Self::Local | Self::AtLeast(0) => 1,
            Self::AtLeast(count) => count,
            Self::Majority => members / 2 + 1,
        }
    }
}

/// How many members have an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCount {
    /// So many have told that it survives power loss there; the own node is one of them.
    pub have: u32,
    /// Of so many.
    pub members: u32,
}

impl Node {
    /// Watches how many members durably have an entry, such as the last one of a
    /// [`Receipt`](crate::Receipt), or a job, which is named by its entry. Members that nobody hears are not
    /// counted unless they told before.
    ///
    /// An entry of an author is there only with all that the author wrote before.
    ///
    /// # Errors
    /// [`Error::TooManyWait`], [`Error::Stopped`].
    pub async fn copies(&self, author: AuthorId, seq: Seq) -> Result<watch::Receiver<CopyCount>> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::Copies(author, seq, answer)).await?;
        answered.await.map_err(|_stopped| Error::Stopped)?
    }

    /// Returns once so many members durably have an entry, with how many that are. It may wait for ever: put
    /// a timeout around it. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::copies`].
    pub async fn replicated(
        &self,
        author: AuthorId,
        seq: Seq,
        copies: Copies,
    ) -> Result<CopyCount> {
        let mut watched = self.copies(author, seq).await?;
        let wanted = copies.of(watched.borrow().members);
        let reached = watched.wait_for(|count| count.have >= wanted).await;
        reached
            .map(|count| *count)
            .map_err(|_stopped| Error::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        for (members, expected) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
            assert_eq!(Copies::Majority.of(members), expected, "{members}");
        }
        assert_eq!(Copies::Local.of(5), 1);
        assert_eq!(Copies::AtLeast(0).of(5), 1);
        assert_eq!(Copies::AtLeast(3).of(5), 3);
    }
}
