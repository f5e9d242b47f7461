//! Schema versions: numbered SQL files, forward only.

use rusqlite::{Connection, TransactionBehavior};

use crate::{Result, reindex};

/// The schema version this build reads and writes.
pub const SCHEMA_VERSION: u32 = 6;

/// Marks the file as Roda's: "Roda" in ASCII.
pub(crate) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"Roda");

/// Migration `n` leads from version `n` to `n + 1`. A released one is never edited.
pub(crate) const MIGRATIONS: [Migration; SCHEMA_VERSION as usize] = [
    Migration::sql(include_str!("migrations/0001_log.sql")),
    Migration {
        sql: include_str!("migrations/0002_hold.sql"),
        then: Some(reindex::fenced),
    },
    // The next one makes the index that this one makes room for.
    Migration::sql(include_str!("migrations/0003_job.sql")),
    Migration {
        sql: include_str!("migrations/0004_blob.sql"),
        then: Some(reindex::jobs),
    },
    Migration::sql(include_str!("migrations/0005_number.sql")),
    Migration::sql(include_str!("migrations/0006_past.sql")),
];

/// One step.
pub(crate) struct Migration {
    sql: &'static str,
    /// What SQL alone cannot do.
    then: Option<fn(&Connection) -> Result<()>>,
}

impl Migration {
    pub(crate) const fn sql(sql: &'static str) -> Self {
        Self { sql, then: None }
    }
}

pub(crate) fn version(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Runs what is missing. Each step is on disk as a whole, with its version, or not at all.
pub(crate) fn migrate(connection: &mut Connection, migrations: &[Migration]) -> Result<()> {
    let found = version(connection)?;
    for (next, migration) in (1_u32..).zip(migrations).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration.sql)?;
        if let Some(then) = migration.then {
            then(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
        tracing::debug!(version = next, "database migrated");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = [
            "CREATE TABLE a (x INTEGER)",
            "CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER)",
        ]
        .map(Migration::sql);
        assert!(migrate(&mut connection, &steps).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        let tables = "SELECT group_concat(name) FROM sqlite_schema";
        let names: String = connection.query_row(tables, [], |row| row.get(0)).unwrap();
        assert_eq!(names, "a");
    }

    #[test]
    fn only_the_missing_migrations_run() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(
            &mut connection,
            &[Migration::sql("CREATE TABLE a (x INTEGER)")],
        )
        .unwrap();
        let steps = [
            "CREATE TABLE a (x INTEGER)",
            "ALTER TABLE a ADD COLUMN y INTEGER",
        ]
        .map(Migration::sql);
        migrate(&mut connection, &steps).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
        connection
            .execute("INSERT INTO a VALUES (1, 2)", [])
            .unwrap();
    }
}
