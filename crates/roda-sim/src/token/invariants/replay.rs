//! T6: the same entries do the same everywhere.

use roda_proto::token::{Applied, LockCommand, Table};

use crate::invariants::{Check, Violation};
use crate::token::node::Node;

/// A table of its own that sees every entry first.
#[derive(Default)]
pub struct Replay {
    table: Table,
    applied: Vec<Applied>,
}

impl Replay {
    /// An entry was agreed on.
    pub fn apply(&mut self, commands: &[LockCommand]) -> Applied {
        let applied = self.table.apply(commands);
        self.applied.push(applied.clone());
        applied
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// A voter has applied an entry.
    ///
    /// # Errors
    /// It did something else there.
    pub fn check_applied(&self, node: usize, entry: usize, applied: &Applied) -> Check {
        if self.applied.get(entry) == Some(applied) {
            return Ok(());
        }
        let detail = format!("entry {entry} did {applied:?}");
        Err(Violation::at("T6", node, detail))
    }

    /// All tables that have all entries are equal, and so is one that was written and read.
    ///
    /// # Errors
    /// One is not.
    pub fn check_end(&self, nodes: &[Node]) -> Check {
        for (index, node) in nodes.iter().enumerate() {
            let Some(process) = &node.process else {
                continue;
            };
            if process.applied == self.applied.len() && process.table != self.table {
                return Err(Violation::at("T6", index, "its table differs"));
            }
        }
        let bytes = minicbor::to_vec(&self.table).unwrap_or_default();
        match minicbor::decode::<Table>(&bytes) {
            Ok(table) if table == self.table => Ok(()),
            Ok(_) => Err(Violation::global("T6", "the table read back differs")),
            Err(error) => Err(Violation::global("T6", error)),
        }
    }

    /// Whether nobody holds or waits for anything.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        let locks = self.table.status(&[]);
        locks
            .iter()
            .all(|lock| lock.holders.is_empty() && lock.waiters.is_empty())
    }

    /// What is left although all clients are gone.
    #[must_use]
    pub fn not_unused(&self) -> Violation {
        Violation::global("T8", format!("ghosts: {:?}", self.table.status(&[])))
    }
}
