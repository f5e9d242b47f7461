//! The file of a raft log: made whole or not at all, told from its copies, counted at each opening.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use roda_proto::GroupId;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Result, StoreError, connection, place, schema, store};

/// Marks the file as a log of locks of Roda: "RodL" in ASCII.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"RodL");
const VERSION: u32 = 1;
/// Migration `n` leads from version `n` to `n + 1`. A released one is never edited.
const MIGRATIONS: [schema::Migration; VERSION as usize] =
    [schema::Migration::sql(include_str!("0001_raft.sql"))];

/// An entry is short; a commit writes two or three pages.
const PAGE_LEN: u32 = 4096;
/// Pages in the WAL after which a commit also checkpoints. Few, so that it never takes long: the same
/// pages are written again and again.
const CHECKPOINT_PAGES: u32 = 1000;

const EMPTY: &str = "DELETE FROM vote; DELETE FROM entry; DELETE FROM mark; DELETE FROM snapshot;";

/// What an opening found.
pub(super) struct Opened {
    pub(super) raft_id: u64,
    pub(super) generation: u64,
}

pub(super) fn open(
    path: &Path,
    cluster: GroupId,
    fresh: u64,
) -> Result<(Connection, PathBuf, File)> {
    let path = connection::absolute(path)?;
    let lock = connection::lock(&path)?;
    if !store::exists(&path)? {
        create(&path, cluster, fresh)?;
    }
    let found = connection::inspect_as(&path, APPLICATION_ID, VERSION)?;
    check_cluster(&path, cluster)?;
    let mut opened = connection::open_writer(&path)?;
    tune(&opened).map_err(|error| error.at(&path))?;
    if found < VERSION {
        schema::migrate(&mut opened, &MIGRATIONS).map_err(|error| error.at(&path))?;
    }
    Ok((opened, path, lock))
}

/// Begins the next generation, if the last was noticed; a copy begins anew.
pub(super) fn count_opening(
    connection: &mut Connection,
    path: &Path,
    fresh: u64,
) -> Result<Opened> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let here = place::of(path)?;
    let recorded: String = transaction.query_row("SELECT place FROM meta", [], |row| row.get(0))?;
    if recorded != here {
        tracing::warn!("the log of locks is a copy; this node takes part under a new raft id");
        renew(&transaction, fresh)?;
        transaction.execute("UPDATE meta SET place = ?1", [here])?;
    }
    let read = "SELECT raft_id, generation, noticed FROM meta";
    let (raft_id, last, noticed) = transaction.query_row(read, [], |row| {
        let (raft_id, generation): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((
            raft_id.cast_unsigned(),
            generation.cast_unsigned(),
            row.get(2)?,
        ))
    })?;
    let generation = if noticed {
        let next = next_generation(last, fresh);
        let count = "UPDATE meta SET generation = ?1, noticed = 0";
        transaction.execute(count, [next.cast_signed()])?;
        next
    } else {
        last
    };
    store::commit(transaction)?;
    Ok(Opened {
        raft_id,
        generation,
    })
}

/// Empties the log and gives it another id, within the caller's transaction. What is known of others
/// stays: it is as true as before.
pub(super) fn renew(connection: &Connection, fresh: u64) -> Result<()> {
    connection.execute_batch(EMPTY)?;
    let renewed = "UPDATE meta SET raft_id = ?1, generation = ?2, noticed = 0";
    let generation = next_generation(0, fresh);
    connection.execute(renewed, [fresh.cast_signed(), generation.cast_signed()])?;
    Ok(())
}

pub(super) fn set_noticed(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE meta SET noticed = 1", [])?;
    Ok(())
}

pub(super) const fn next_generation(last: u64, random: u64) -> u64 {
    ((last >> 32) + 1) << 32 | random & 0xffff_ffff
}

fn create(path: &Path, cluster: GroupId, fresh: u64) -> Result<()> {
    store::refuse_remains(path)?;
    // Built beside its place, so that a half-made log never stands there.
    let draft = connection::beside(path, ".new");
    connection::remove_database(&draft)?;
    if let Err(error) = write_draft(&draft, cluster, fresh) {
        // The first error is the one to tell.
        let _removed = connection::remove_database(&draft);
        return Err(error.at(&draft));
    }
    fs::rename(&draft, path).map_err(|error| StoreError::writing(path, error))?;
    connection::sync_directory_of(path)
}

fn write_draft(path: &Path, cluster: GroupId, fresh: u64) -> Result<()> {
    connection::private(OpenOptions::new().write(true).create_new(true))
        .open(path)
        .map_err(|error| StoreError::writing(path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut draft = Connection::open_with_flags(path, flags)?;
    draft.pragma_update(None, "page_size", PAGE_LEN)?;
    draft.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection::set_durable(&draft)?;
    schema::migrate(&mut draft, &MIGRATIONS)?;
    draft.execute(
        "INSERT INTO meta (one, cluster, raft_id, generation, noticed, place)
         VALUES (1, ?1, ?2, ?3, 0, ?4)",
        (
            cluster.0,
            fresh.cast_signed(),
            next_generation(0, fresh).cast_signed(),
            place::of(path)?,
        ),
    )?;
    // Recorded in the header, so that even the first opening finds a database in WAL mode.
    draft.pragma_update(None, "journal_mode", "wal")?;
    let closed = draft.close();
    closed.map_err(|(_connection, error)| StoreError::from(error))
}

fn check_cluster(path: &Path, cluster: GroupId) -> Result<()> {
    let reading = connection::open_read_only(path)?;
    let found: [u8; GroupId::LEN] =
        reading.query_row("SELECT cluster FROM meta", [], |row| row.get(0))?;
    if found == cluster.0 {
        Ok(())
    } else {
        Err(StoreError::OtherGroup(path.to_owned()))
    }
}

/// There are no secrets in it, and it must be quick.
fn tune(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "secure_delete", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(())
}
