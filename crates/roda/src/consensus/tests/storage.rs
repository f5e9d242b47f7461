//! The library's own tests of a storage, against ours.

use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::*;
use crate::consensus::log_store::LogStore;
use crate::consensus::machine::Machine;
use crate::consensus::types::{StorageError, Types};
use crate::consensus::writer::Writer;

struct Builder;

impl StoreBuilder<Types, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError> {
        let home = tempfile::tempdir().unwrap();
        let log = RaftLog::open(&home.path().join("locks.db"), CLUSTER, 1).unwrap();
        let (writer, found) = Writer::start(log).unwrap();
        let (applied, _seen) = mpsc::channel(1);
        let machine = Machine::load(Arc::default(), applied, writer.clone()).await?;
        Ok((home, LogStore::new(writer, &found), machine))
    }
}

#[test]
fn the_storage_passes_the_tests_of_the_library() {
    Suite::test_all(Builder).unwrap();
}
