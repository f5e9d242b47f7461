//! Reading beside the writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roda_proto::{AuthorId, Batch, Hlc, Identity, NodeId, Seq, Topic};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::batch_row::LastBatch;
use crate::columns::{clock_from_sql, seq_from_sql};
use crate::job::PastLog;
use crate::schema::SCHEMA_VERSION;
use crate::{Result, StoreError, batch_row, connection, settings, snapshot};

/// A read-only connection. It can move between threads and needs no [`Store`](crate::Store) in the
/// same process, nor any at all.
///
/// Each call sees the database as one commit left it, and holds no transaction once it has returned.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    pub(crate) last_batch: LastBatch,
    pub(crate) past: PastLog,
}

/// A topic that has messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSummary {
    /// Its name.
    pub topic: Topic,
    /// How many messages it has.
    pub entries: u64,
    /// Greatest clock of a message.
    pub last: Hlc,
}

impl Reader {
    /// The node behind an author that is known here.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn node_of(&self, author: AuthorId) -> Result<Option<NodeId>> {
        let transaction = self.begin()?;
        let mut statement = transaction.prepare_cached("SELECT node FROM author WHERE id = ?1")?;
        let node = statement.query_row([author.0], |row| row.get(0).map(NodeId));
        Ok(node.optional()?)
    }

    /// The last entry of an author's log; 0 if there is none.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn head_of(&self, author: AuthorId) -> Result<Seq> {
        let transaction = self.begin()?;
        let mut statement =
            transaction.prepare_cached("SELECT head_seq FROM author WHERE id = ?1")?;
        let head = statement.query_row([author.0], |row| row.get(0));
        Ok(head.optional()?.map_or(Seq(0), seq_from_sql))
    }

    /// Opens a database for reading only.
    ///
    /// # Errors
    /// [`StoreError::Older`] if [`Store::open`](crate::Store::open) has to migrate it first; else as
    /// there.
    pub fn open(path: &Path) -> Result<Self> {
        let path = connection::absolute(path)?;
        let found = connection::inspect(&path)?;
        if found < SCHEMA_VERSION {
            return Err(StoreError::Older {
                found,
                known: SCHEMA_VERSION,
            });
        }
        let connection = connection::open_read_only(&path)?;
        Ok(Self {
            connection,
            path,
            last_batch: LastBatch::default(),
            past: PastLog::default(),
        })
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who the node is that this database belongs to.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn identity(&self) -> Result<Identity> {
        snapshot::identity(&self.connection)
    }

    /// The text that [`Store::set_meta`](crate::Store::set_meta) put under a key.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        settings::meta(&self.connection, key)
    }

    /// The batch that holds an entry.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn batch_containing(&self, author: &AuthorId, seq: Seq) -> Result<Option<Arc<Batch>>> {
        let batch = batch_row::containing(&self.connection, author, seq)?;
        Ok(batch.map(Arc::new))
    }

    /// All topics that have messages, by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn topics(&self) -> Result<Vec<TopicSummary>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, entries, hlc_last FROM topic WHERE entries > 0 ORDER BY name",
        )?;
        let mut rows = statement.query([])?;
        let mut topics = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            topics.push(TopicSummary {
                topic: Topic::new(&name)
                    .map_err(|error| StoreError::Damaged(format!("topic: {error}")))?,
                entries: row.get(1)?,
                last: clock_from_sql(row.get(2)?),
            });
        }
        Ok(topics)
    }

    /// How many entries of all kinds and authors are stored.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn entry_count(&self) -> Result<u64> {
        // Logs start at 1 and have no gaps.
        let select = "SELECT coalesce(sum(head_seq), 0) FROM author";
        Ok(self.connection.query_row(select, [], |row| row.get(0))?)
    }

    /// A transaction, so that several queries see the same commit.
    pub(crate) fn begin(&self) -> Result<Transaction<'_>> {
        Ok(self.connection.unchecked_transaction()?)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
