//! Takes back what entries that never counted had said about jobs.

use std::collections::BTreeSet;

use roda_proto::Batch;
use roda_proto::job::{Fact, JobEntry, JobId};

use super::row;
use super::said::said;
use crate::Result;
use crate::append::Appending;
use crate::columns::seq_to_sql;

impl Appending<'_> {
    /// Takes out what a batch had put in. The jobs `touched` have to be folded anew in the end.
    pub(crate) fn remove_jobs(&mut self, batch: &Batch, touched: &mut BTreeSet<i64>) -> Result<()> {
        for said in said(batch) {
            let queue = self.queue(said.topic)?;
            match said.entry {
                JobEntry::Push { .. } => self.remove_push(queue, said.place.into())?,
                JobEntry::Pause { .. } | JobEntry::Purge => {
                    self.remove_queue_fact(queue, &said, touched)?;
                }
                _ => {
                    for (job, fact) in said.facts() {
                        self.remove_fact(queue, job, &fact, touched)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Folds jobs anew, those of them that are still there.
    pub(crate) fn refold_all(&mut self, touched: BTreeSet<i64>) -> Result<()> {
        for number in touched {
            let Some(mut stored) = self.stored(number)? else {
                continue;
            };
            self.refold(&mut stored)?;
            self.put(&stored)?;
            if let Some(key) = &stored.key {
                self.settle_rivals(stored.queue, key)?;
            }
        }
        Ok(())
    }

    /// What others say about the job is kept: as about one that is not known.
    fn remove_push(&mut self, queue: i64, id: JobId) -> Result<()> {
        self.recall(queue, id)?;
        let Some(stored) = row::by_id(self.transaction, id)? else {
            return Ok(());
        };
        self.unpack(&stored)?;
        self.run(
            "INSERT INTO orphan (of_author, of_seq, author, seq, topic, hlc, kind)
             SELECT ?2, ?3, author, seq, ?4, hlc, kind FROM job_fact WHERE job = ?1",
            (stored.number, id.author.0, seq_to_sql(id.seq), stored.queue),
        )?;
        self.has_orphans = None;
        self.run("DELETE FROM job_fact WHERE job = ?1", [stored.number])?;
        self.run("DELETE FROM job WHERE number = ?1", [stored.number])?;
        self.remove_blobs(&stored)?;
        self.count(stored.queue, stored.state, -1);
        if let Some(key) = &stored.key {
            self.settle_rivals(stored.queue, key)?;
        }
        if let Some(order_key) = &stored.order_key {
            self.let_next(stored.queue, order_key)?;
        }
        Ok(())
    }

    fn remove_fact(
        &mut self,
        queue: i64,
        id: JobId,
        fact: &Fact,
        touched: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let (author, seq) = (fact.place.author.0, seq_to_sql(fact.place.seq));
        self.recall(queue, id)?;
        let stored = row::by_id(self.transaction, id)?;
        if let Some(stored) = stored.filter(|stored| stored.queue == queue) {
            touched.insert(stored.number);
            self.unpack(&stored)?;
            return self.run(
                "DELETE FROM job_fact WHERE job = ?1 AND author = ?2 AND seq = ?3",
                (stored.number, author, seq),
            );
        }
        self.run(
            "DELETE FROM orphan
             WHERE of_author = ?1 AND of_seq = ?2 AND author = ?3 AND seq = ?4",
            (id.author.0, seq_to_sql(id.seq), author, seq),
        )
    }
}
