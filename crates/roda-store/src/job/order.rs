//! Order keys: whose turn it is.

use roda_proto::job::StateKind;
use rusqlite::OptionalExtension;

use super::row::kind_to_sql;
use crate::Result;
use crate::append::Appending;

/// The waiting jobs of an order key that may run: one at most. Left alone, SQLite would look for it among
/// all that wait.
pub(super) const UNBLOCKED: &str = "SELECT number FROM job INDEXED BY job_in_order
     WHERE queue = ?1 AND order_key = ?2 AND state = 0 AND blocked = 0";
/// The canonically first job of an order key that is in a state.
pub(super) const FIRST_IN: &str = "SELECT hlc, author, seq, number FROM job
     WHERE queue = ?1 AND order_key = ?2 AND state = ?3
     ORDER BY hlc, author, seq LIMIT 1";

impl Appending<'_> {
    /// Lets the first job of an order key run that is not finished, and no other; none while one runs.
    pub(super) fn let_next(&self, queue: i64, order_key: &str) -> Result<()> {
        let next = self.next_in_order(queue, order_key)?;
        let mut unblocked = self.statement(UNBLOCKED)?;
        let unblocked: Vec<i64> = unblocked
            .query_map((queue, order_key), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for number in unblocked.iter().filter(|number| Some(**number) != next) {
            self.run("UPDATE job SET blocked = 1 WHERE number = ?1", [number])?;
        }
        if let Some(next) = next.filter(|next| !unblocked.contains(next)) {
            self.run("UPDATE job SET blocked = 0 WHERE number = ?1", [next])?;
        }
        Ok(())
    }

    /// The waiting job of an order key whose turn it is.
    fn next_in_order(&self, queue: i64, order_key: &str) -> Result<Option<i64>> {
        if self
            .first_in(queue, order_key, StateKind::Running)?
            .is_some()
        {
            return Ok(None);
        }
        let waiting = self.first_in(queue, order_key, StateKind::Waiting)?;
        let held = self.first_in(queue, order_key, StateKind::Held)?;
        let is_before = |(place, _): &(Place, i64)| held.is_none_or(|(held, _)| *place < held);
        Ok(waiting.filter(is_before).map(|(_, number)| number))
    }

    fn first_in(
        &self,
        queue: i64,
        order_key: &str,
        kind: StateKind,
    ) -> Result<Option<(Place, i64)>> {
        let found = self
            .statement(FIRST_IN)?
            .query_row((queue, order_key, kind_to_sql(kind)), |row| {
                Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?))
            });
        Ok(found.optional()?)
    }
}

/// Clock, author and number, as they stand in the columns: the canonical order.
type Place = (i64, [u8; 16], i64);
