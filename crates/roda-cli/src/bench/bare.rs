//! The yardstick of `roda bench jobs`: a table with a row for each push and nothing else, in the same SQLite,
//! written by one thread that commits all that waits in one transaction.

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::{Failure, Result};

/// Hands rows to the writer. The writer ends with the last of these.
#[derive(Clone)]
pub(crate) struct BareQueue {
    rows: mpsc::Sender<Row>,
}

/// The thread that writes.
pub(crate) struct Writer(JoinHandle<rusqlite::Result<()>>);

struct Row {
    payload: Vec<u8>,
    stored: oneshot::Sender<()>,
}

impl BareQueue {
    /// Makes the database.
    pub(crate) fn create(path: &Path) -> Result<(Self, Writer)> {
        let connection = open(path).map_err(failure)?;
        let (rows, waiting) = mpsc::channel(WAITING_MAX);
        let writer = tokio::task::spawn_blocking(move || write(&connection, waiting));
        Ok((Self { rows }, Writer(writer)))
    }

    /// Returns when the row survives power loss.
    pub(crate) async fn push(&self, payload: Vec<u8>) -> Result<()> {
        let (stored, is_stored) = oneshot::channel();
        let row = Row { payload, stored };
        // Why the writer ended, `Writer::end` tells.
        self.rows.send(row).await.map_err(failure)?;
        is_stored.await.map_err(failure)
    }
}

impl Writer {
    /// Waits until it has ended, and tells how.
    pub(crate) async fn end(self) -> Result<()> {
        self.0.await.map_err(failure)?.map_err(failure)
    }
}

/// As durable as Roda's own database, and checkpointed as rarely.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 4096;
         CREATE TABLE job (id INTEGER PRIMARY KEY, payload BLOB NOT NULL);",
    )?;
    Ok(connection)
}

fn write(connection: &Connection, mut waiting: mpsc::Receiver<Row>) -> rusqlite::Result<()> {
    let mut stored = Vec::with_capacity(WAITING_MAX);
    while let Some(first) = waiting.blocking_recv() {
        let transaction = connection.unchecked_transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO job (payload) VALUES (?1)")?;
        let mut next = Some(first);
        while let Some(row) = next {
            insert.execute([row.payload])?;
            stored.push(row.stored);
            // At the bound, what came meanwhile waits for the next transaction.
            next = (stored.len() < WAITING_MAX)
                .then(|| waiting.try_recv().ok())
                .flatten();
        }
        drop(insert);
        transaction.commit()?;
        for stored in stored.drain(..) {
            // Who no longer waits does not want to know.
            let _ = stored.send(());
        }
    }
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn failure(error: impl ToString) -> Failure {
    Failure::new("other").with("reason", error.to_string())
}

/// More than producers that wait at once.
const WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_row_that_was_acknowledged_is_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bare.db");
        let (queue, writer) = BareQueue::create(&path).expect("a queue");
        let pushes = (0..200_u8).map(|number| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.push(vec![number; 3]).await })
        });
        for push in pushes.collect::<Vec<_>>() {
            push.await.expect("no panic").expect("stored");
        }
        drop(queue);
        writer.end().await.expect("no fault");

        let connection = Connection::open(&path).expect("a database");
        let sql = "SELECT count(DISTINCT payload) FROM job";
        let rows: i64 = connection
            .query_row(sql, [], |row| row.get(0))
            .expect("a number");
        assert_eq!(rows, 200);
    }

    #[test]
    fn the_yardstick_is_as_durable_as_the_store() {
        let directory = tempfile::tempdir().expect("a directory");
        let connection = open(&directory.path().join("bare.db")).expect("a database");
        let level: i64 = connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .expect("a number");
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .expect("a word");
        assert_eq!((level, mode.as_str()), (2, "wal"));
    }
}
