//! Batches that a peer lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roda_proto::{AuthorId, Batch, Hlc, Seq};
use rusqlite::Connection;

use crate::columns::{clock_from_sql, seq_from_sql, seq_to_sql};
use crate::{Reader, Result, batch_row};

/// Most bytes of batches on one page, whatever is asked for.
pub const CATCH_UP_LEN_MAX: usize = 1 << 20;

/// Some of the batches that a peer lacks.
#[derive(Clone, Debug, Default)]
pub struct CatchUpPage {
    /// In the order (clock of the first entry, author, sequence number); empty if nothing is lacking.
    pub batches: Vec<Arc<[u8]>>,
    /// What the peer has once it took them. Ask with this for the next page.
    pub have: Vec<(AuthorId, Seq)>,
}

impl Reader {
    /// The next batches for a peer that has the logs in `have` up to the sequence numbers there, and
    /// no others. At least one, if any is lacking, then as many as fit in `len_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`](crate::StoreError::Damaged) names the row that fails.
    pub fn batches_after(&self, have: &[(AuthorId, Seq)], len_max: usize) -> Result<CatchUpPage> {
        let len_max = len_max.min(CATCH_UP_LEN_MAX);
        let transaction = self.begin()?;
        let mut have: BTreeMap<AuthorId, Seq> = have.iter().copied().collect();
        let mut next = first_lacking(&transaction, &have)?;
        let mut page = CatchUpPage::default();
        let mut len = 0;
        while let Some((_, author, seq)) = next.pop_first() {
            let Some(batch) = batch_row::containing(&transaction, &author, seq)? else {
                break;
            };
            len += batch.bytes().len();
            if len > len_max && !page.batches.is_empty() {
                break;
            }
            have.insert(author, batch.last);
            next.extend(place_of(&transaction, &author, batch.last.next())?);
            page.batches.push(Batch::shared_bytes(&batch));
        }
        page.have = have.into_iter().collect();
        Ok(page)
    }
}

/// Where a batch stands in the order.
type Place = (Hlc, AuthorId, Seq);

/// The first batch that is lacking of each author.
fn first_lacking(
    connection: &Connection,
    have: &BTreeMap<AuthorId, Seq>,
) -> Result<BTreeSet<Place>> {
    let mut statement = connection.prepare_cached("SELECT id, head_seq FROM author")?;
    let mut rows = statement.query([])?;
    let mut lacking = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let author = AuthorId(row.get(0)?);
        let had = have.get(&author).copied().unwrap_or_default();
        if had < seq_from_sql(row.get(1)?) {
            lacking.extend(place_of(connection, &author, had.next())?);
        }
    }
    Ok(lacking)
}

/// The place of the batch that holds an entry, without reading its content.
fn place_of(connection: &Connection, author: &AuthorId, seq: Seq) -> Result<Option<Place>> {
    let mut statement = connection.prepare_cached(
        "SELECT last, hlc_first, first FROM batch
         WHERE author = (SELECT number FROM author WHERE id = ?1) AND first <= ?2
         ORDER BY first DESC LIMIT 1",
    )?;
    let mut rows = statement.query((author.0, seq_to_sql(seq)))?;
    match rows.next()? {
        Some(row) if seq_from_sql(row.get(0)?) >= seq => {
            let hlc = clock_from_sql(row.get(1)?);
            Ok(Some((hlc, *author, seq_from_sql(row.get(2)?))))
        }
        _ => Ok(None),
    }
}
