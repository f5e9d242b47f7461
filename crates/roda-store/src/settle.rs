//! Bringing what stands in a write-ahead log to the disk before anybody relies on it.
//!
//! SQLite takes every commit for durable that it finds in the log when it opens a database. It need not
//! be: whoever wrote it may have been killed before the sync, or the sync failed. In the second case
//! another sync does not help, because the kernel takes pages whose writing failed for written
//! (<https://lwn.net/Articles/752063/>); only writing them again does. Without that, commits that are
//! acknowledged later stand behind a hole, and a checkpoint can leave a mixture of old and new pages.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::{Result, StoreError, connection};

/// Where the frames begin: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.
const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;

/// Makes all that a reader of this database could see survive power loss, the name of its log
/// included. The connection must be able to write, and in WAL mode.
pub(crate) fn settle(connection: &Connection, path: &Path) -> Result<()> {
    // If this fails, the close that follows must not build on the log either.
    let checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(checkpoint, true)?;
    let log = connection::beside(path, "-wal");
    // Keeps out foreign writers, a shell for example, whose frames would be overwritten.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let rewritten = write_again(&log).map_err(|error| StoreError::writing(&log, error));
    connection.execute_batch("ROLLBACK")?;
    rewritten?;
    // SQLite does so too when it first syncs a new log, but takes no notice of a failure.
    connection::sync_directory_of(path)?;
    connection.set_db_config(checkpoint, false)?;
    Ok(())
}

/// Writes what could count of a log over itself, and syncs it.
fn write_again(log: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut header = [0; HEADER_LEN];
    if !read_and_write_back(&mut file, &mut header, |_header| true)? {
        return Ok(());
    }
    let page_len = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    // More than SQLite allows is no page length, and then nothing of the log counts.
    let page_len = usize::try_from(page_len.min(1 << 16)).unwrap_or_default();
    let mut frame = vec![0; FRAME_HEADER_LEN + page_len];
    // With another salt, a frame and those behind it are left over from an earlier round.
    let counts = |frame: &[u8]| frame[8..16] == header[16..24];
    while read_and_write_back(&mut file, &mut frame, counts)? {}
    file.sync_all()
}

/// Goes on by one buffer; false where the file ends or what is read does not count.
fn read_and_write_back(
    file: &mut File,
    buffer: &mut [u8],
    counts: impl Fn(&[u8]) -> bool,
) -> io::Result<bool> {
    let from = file.stream_position()?;
    match file.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    if !counts(buffer) {
        return Ok(false);
    }
    write_at(file, buffer, from)?;
    Ok(true)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::Write as _;
    file.seek(io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn log(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, content).unwrap();
        (directory, path)
    }

    /// A header and frames of pages of 512 bytes, each with the salt given.
    fn content(salts: &[u8]) -> Vec<u8> {
        let mut content = vec![0; 8];
        content.extend(512_u32.to_be_bytes());
        content.extend([0; 4]);
        content.extend([1; 8]);
        content.extend([0; 8]);
        for salt in salts {
            content.extend([0; 8]);
            content.extend([*salt; 8]);
            content.extend([*salt; 8 + 512]);
        }
        content
    }

    #[test]
    fn a_log_is_the_same_after_it_was_written_again() {
        let missing = Path::new("/nonexistent/log");
        assert!(write_again(missing).is_ok());
        for whole in [content(&[1, 1, 2]), content(&[]), vec![0; 700], vec![7; 3]] {
            let (_directory, path) = log(&whole);
            write_again(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn frames_of_an_earlier_round_and_half_ones_are_not_written() {
        let mut whole = content(&[1, 2, 1]);
        whole.truncate(whole.len() - 1);
        let (_directory, path) = log(&whole);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut header = [0; HEADER_LEN];
        assert!(read_and_write_back(&mut file, &mut header, |_| true).unwrap());
        let mut frame = vec![0; FRAME_HEADER_LEN + 512];
        let counts = |frame: &[u8]| frame[8..16] == header[16..24];
        assert!(read_and_write_back(&mut file, &mut frame, counts).unwrap());
        assert!(!read_and_write_back(&mut file, &mut frame, counts).unwrap());
        assert!(!read_and_write_back(&mut file, &mut frame, |_| true).unwrap());
    }
}
