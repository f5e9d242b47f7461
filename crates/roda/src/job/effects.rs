//! Effects in a database of the program's own that happen once, although a job can run twice.

use roda_proto::job::{AttemptId, JobId};
use roda_proto::token::Fence;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::RunningJob;
use crate::driver::wall;

/// What became of a job's effects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it says whether this run changed anything"]
pub enum Effects<T> {
    /// This run has made them, with this result.
    Made(T),
    /// An earlier run of the job had made them; nothing was changed.
    MadeBefore,
}

/// Why effects were not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EffectsError {
    /// A later run of the job has made them already, so this one should not run any more. It lost its
    /// worker's lock and does not know yet.
    #[error("attempt {attempt} of job {job} is over: attempt {newest} has made its effects", attempt = told(*attempt), newest = told(*newest))]
    Over {
        /// The job.
        job: JobId,
        /// The attempt that came too late.
        attempt: AttemptId,
        /// The attempt that made them.
        newest: AttemptId,
    },
    /// `PRAGMA synchronous` is below `FULL`: a power cut could take back effects of a job that is done.
    #[error("the database is not synced at each commit: PRAGMA synchronous is {0}, 2 is needed")]
    NotDurable(i64),
    /// The database failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl RunningJob {
    /// Makes this job's effects in the program's own database, in one transaction with a note that they
    /// are made. A later run of the job finds the note and changes nothing; so does a run that should be
    /// dead and comes late. So they happen once, however often the job runs.
    ///
    /// The note is a row of the table `roda_job_done`, which is made when it is missing. A job has one
    /// set of effects: what belongs together goes into one call. Only what `make` does to this
    /// database counts; it can run more than once where a commit fails, so it sends no mails.
    ///
    /// Blocks for as long as the transaction takes, and is never interrupted in the middle of it: a job
    /// that is cancelled meanwhile is aborted at the next `await`, with its effects made.
    ///
    /// # Errors
    /// What `make` returns; [`EffectsError`] otherwise. All is rolled back then.
    pub fn effects<T, E: From<EffectsError>>(
        &self,
        connection: &mut Connection,
        make: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<Effects<T>, E> {
        once(connection, (self.id(), self.attempt()), make)
    }
}

fn once<T, E: From<EffectsError>>(
    connection: &mut Connection,
    run: (JobId, AttemptId),
    make: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<Effects<T>, E> {
    let transaction = begin(connection)?;
    if !note(&transaction, run)? {
        return Ok(Effects::MadeBefore);
    }
    // An error or a panic drops the transaction, which takes back the note as well.
    let made = make(&transaction)?;
    transaction.commit().map_err(EffectsError::Sqlite)?;
    Ok(Effects::Made(made))
}

/// Writers wait for each other here, not halfway, where SQLite could only fail.
fn begin(connection: &mut Connection) -> Result<Transaction<'_>, EffectsError> {
    let level: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if level < SYNCHRONOUS_FULL {
        return Err(EffectsError::NotDurable(level));
    }
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Notes that a run makes the job's effects; `false` if an earlier one has.
fn note(
    transaction: &Transaction<'_>,
    (job, attempt): (JobId, AttemptId),
) -> Result<bool, EffectsError> {
    transaction.execute_batch(TABLE)?;
    let name = job.to_string();
    let made = transaction
        .prepare_cached("SELECT fence, attempt FROM roda_job_done WHERE job = ?1")?
        .query_row([&name], |row| {
            Ok(AttemptId {
                fence: Fence(row.get::<_, i64>(0)?.cast_unsigned()),
                number: row.get(1)?,
            })
        })
        .optional()?;
    match made {
        Some(newest) if newest > attempt => Err(EffectsError::Over {
            job,
            attempt,
            newest,
        }),
        Some(_earlier) => Ok(false),
        None => {
            let at = i64::try_from(wall().0).unwrap_or(i64::MAX);
            transaction
                .prepare_cached("INSERT INTO roda_job_done VALUES (?1, ?2, ?3, ?4)")?
                .execute((&name, attempt.fence.0.cast_signed(), attempt.number, at))?;
            Ok(true)
        }
    }
}

fn told(attempt: AttemptId) -> String {
    format!("{}-{}", attempt.fence, attempt.number)
}

/// The value of `PRAGMA synchronous` from which on a commit survives a power cut in every journal mode.
const SYNCHRONOUS_FULL: i64 = 2;
/// `fence` and `attempt` are those of the run that made the effects, `at` when, in ms since 1970.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS roda_job_done (
    job     TEXT PRIMARY KEY,
    fence   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

#[cfg(test)]
mod tests {
    use roda_proto::{AuthorId, Seq};

    use super::*;

    const JOB: JobId = JobId {
        author: AuthorId([0x3f; 16]),
        seq: Seq(17),
    };

    fn attempt(fence: u64, number: u32) -> AttemptId {
        AttemptId {
            fence: Fence(fence),
            number,
        }
    }

    fn account() -> (tempfile::TempDir, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let opened = Connection::open(directory.path().join("account.db")).unwrap();
        opened
            .execute_batch("CREATE TABLE account (balance); INSERT INTO account VALUES (0)")
            .unwrap();
        (directory, opened)
    }

    fn balance(opened: &Connection) -> i64 {
        let select = "SELECT balance FROM account";
        opened.query_row(select, [], |row| row.get(0)).unwrap()
    }

    fn book(transaction: &Transaction<'_>) -> Result<i64, EffectsError> {
        transaction.execute("UPDATE account SET balance = balance + 1", [])?;
        Ok(balance(transaction))
    }

    #[test]
    fn of_two_runs_the_first_makes_the_effects() {
        let (_directory, mut opened) = account();
        let first = once(&mut opened, (JOB, attempt(5, 1)), book).unwrap();
        assert_eq!(first, Effects::Made(1));
        for later in [attempt(5, 1), attempt(5, 2), attempt(6, 1)] {
            let again = once(&mut opened, (JOB, later), book).unwrap();
            assert_eq!(again, Effects::MadeBefore, "{later:?}");
        }
        let other = JobId {
            seq: Seq(18),
            ..JOB
        };
        let other = once(&mut opened, (other, attempt(1, 1)), book).unwrap();
        assert_eq!((other, balance(&opened)), (Effects::Made(2), 2));
    }

    #[test]
    fn a_run_that_is_over_is_told_so_and_changes_nothing() {
        let (_directory, mut opened) = account();
        let _made = once(&mut opened, (JOB, attempt(7, 2)), book).unwrap();
        for stale in [attempt(6, 9), attempt(7, 1)] {
            let late = once(&mut opened, (JOB, stale), book);
            assert!(
                matches!(late, Err(EffectsError::Over { newest, .. }) if newest == attempt(7, 2))
            );
        }
        assert_eq!(balance(&opened), 1);
    }

    #[test]
    fn effects_that_fail_are_taken_back_with_their_note() {
        let (_directory, mut opened) = account();
        let run = (JOB, attempt(1, 1));
        let failed = once(&mut opened, run, |transaction| {
            book(transaction)?;
            Err::<(), _>(EffectsError::NotDurable(0))
        });
        assert!(failed.is_err());
        assert_eq!(balance(&opened), 0);
        let made = once(&mut opened, run, book).unwrap();
        assert_eq!(made, Effects::Made(1));
    }

    #[test]
    fn a_database_that_can_forget_is_refused() {
        let (_directory, mut opened) = account();
        opened.pragma_update(None, "synchronous", "normal").unwrap();
        let refused = once(&mut opened, (JOB, attempt(1, 1)), book);
        assert!(matches!(refused, Err(EffectsError::NotDurable(1))));
        assert_eq!(balance(&opened), 0);
    }

    #[test]
    fn two_connections_make_the_effects_of_a_job_once() {
        let (directory, opened) = account();
        let path = directory.path().join("account.db");
        let runs = std::thread::scope(|scope| {
            let runs: Vec<_> = (1..=8)
                .map(|number| {
                    let path = &path;
                    scope.spawn(move || {
                        let mut own = Connection::open(path).unwrap();
                        own.busy_timeout(std::time::Duration::from_secs(60))
                            .unwrap();
                        once(&mut own, (JOB, attempt(1, number)), book)
                    })
                })
                .collect();
            runs.into_iter()
                .map(|run| run.join().unwrap())
                .collect::<Vec<_>>()
        });
        let made = runs
            .iter()
            .filter(|run| matches!(run, Ok(Effects::Made(_))));
        assert_eq!((made.count(), balance(&opened)), (1, 1));
    }
}
