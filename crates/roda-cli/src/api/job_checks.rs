//! What a command and the node both check about names, ids and lengths of jobs.

use roda::job::{CronError, CronExpr, CronField, parse_cron};
use roda::{Copies, Topic};

use super::job_types::{KEY_LEN_MAX, PAYLOAD_LEN_MAX, QUEUE_LEN_MAX, STATE_LEN_MAX};
use crate::error::{Failure, Result};

/// Checks the name of a queue.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn queue_name(name: &str) -> Result<Topic> {
    if name.len() > QUEUE_LEN_MAX {
        return Err(Failure::new("queue-too-long")
            .with("bytes", name.len())
            .with("most", QUEUE_LEN_MAX));
    }
    Topic::new(name).map_err(|error| {
        let failure = Failure::from(error);
        let code = failure.code.replacen("topic-", "queue-", 1);
        Failure { code, ..failure }
    })
}

/// Checks the form of a job's id; which job it is, if any, only the node knows.
///
/// # Errors
/// It cannot be one.
pub(crate) fn job_id(id: &str) -> Result<&str> {
    let is_well_formed = id.split_once('-').is_some_and(|(author, seq)| {
        (AUTHOR_DIGITS_MIN..=AUTHOR_DIGITS).contains(&author.len())
            && author.bytes().all(|byte| byte.is_ascii_hexdigit())
            && seq.bytes().all(|byte| byte.is_ascii_digit())
            && seq.parse::<u64>().is_ok_and(|seq| seq > 0)
    });
    if is_well_formed {
        Ok(id)
    } else {
        Err(Failure::new("job-id").with("job", id))
    }
}

/// Checks a key's length.
///
/// # Errors
/// It is empty or too long.
pub(crate) fn key(key: &str) -> Result<()> {
    match key.len() {
        0 => Err(Failure::new("job-key-empty")),
        bytes if bytes > KEY_LEN_MAX => Err(Failure::new("job-key-too-long")
            .with("bytes", bytes)
            .with("most", KEY_LEN_MAX)),
        _ => Ok(()),
    }
}

/// Reads when a job is to come again.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn cron(text: &str) -> Result<CronExpr> {
    parse_cron(text).map_err(|error| cron_failure(error, text))
}

fn cron_failure(error: CronError, text: &str) -> Failure {
    match error {
        CronError::Field { field, text } => Failure::new(match field {
            CronField::Minute => "job-cron-minute",
            CronField::Hour => "job-cron-hour",
            CronField::DayOfMonth => "job-cron-day",
            CronField::Month => "job-cron-month",
            CronField::DayOfWeek => "job-cron-weekday",
        })
        .with("value", text),
        CronError::Fields(count) => Failure::new("job-cron-fields")
            .with("value", text)
            .with("count", count),
        CronError::Never => Failure::new("job-cron-never").with("value", text),
        // Too long or not printable, and whatever a later version of the library finds.
        _ => Failure::new("job-cron-text"),
    }
}

/// Reads how many members are to have a job.
///
/// # Errors
/// It is no number above 0, nor a word for one.
pub(crate) fn copies(text: &str) -> Result<Copies> {
    match text {
        "local" => Ok(Copies::Local),
        "majority" => Ok(Copies::Majority),
        _ => match text.parse() {
            Ok(count @ 1..) => Ok(Copies::AtLeast(count)),
            Ok(0) | Err(_) => Err(Failure::new("job-copies").with("value", text)),
        },
    }
}

/// Checks a payload's length.
///
/// # Errors
/// It is too long.
pub(crate) fn payload(payload: &[u8]) -> Result<()> {
    at_most("job-payload-too-long", payload, PAYLOAD_LEN_MAX)
}

/// Checks a checkpoint's length.
///
/// # Errors
/// It is too long.
pub(crate) fn checkpoint(state: &[u8]) -> Result<()> {
    at_most("checkpoint-too-long", state, STATE_LEN_MAX)
}

fn at_most(code: &str, bytes: &[u8], most: usize) -> Result<()> {
    if bytes.len() <= most {
        return Ok(());
    }
    Err(Failure::new(code).with("most", most))
}

/// Hexadecimal digits of an author, and how many of them are enough.
const AUTHOR_DIGITS: usize = 32;
const AUTHOR_DIGITS_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_digits_of_an_author_and_a_number() {
        let whole = format!("{}-17", "3f2a".repeat(8));
        for good in ["3f2a-17", "3F2A-1", whole.as_str()] {
            assert_eq!(job_id(good), Ok(good));
        }
        let long = format!("{}-17", "3f2a".repeat(9));
        for bad in [
            "", "-", "3f2-17", "3f2a", "3f2a-", "3f2a-0", "3f2a-x", "xyzw-1", "3f2a--1", "3f2a-+1",
            "éé-1", &long,
        ] {
            assert_eq!(job_id(bad).unwrap_err().code, "job-id", "{bad}");
        }
    }

    #[test]
    fn names_of_queues_are_shorter_than_those_of_topics() {
        assert!(queue_name(&"x".repeat(100)).is_ok());
        let code = |name: &str| queue_name(name).unwrap_err().code;
        assert_eq!(code(&"x".repeat(101)), "queue-too-long");
        assert_eq!(code(""), "queue-empty");
        assert_eq!(code("a b"), "queue-bad-character");
        assert_eq!(code(".a"), "queue-bad-start");
    }

    #[test]
    fn what_is_wrong_with_a_cron_expression_is_told() {
        assert!(cron("*/5 8-18 * * MON-FRI").is_ok());
        for (text, code) in [
            ("61 * * * *", "job-cron-minute"),
            ("* 24 * * *", "job-cron-hour"),
            ("* * 32 * *", "job-cron-day"),
            ("* * * 13 *", "job-cron-month"),
            ("* * * * 8", "job-cron-weekday"),
            ("* * * *", "job-cron-fields"),
            ("0 0 31 2 *", "job-cron-never"),
            ("\u{1b}[2J", "job-cron-text"),
        ] {
            assert_eq!(cron(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn copies_are_a_number_or_a_word() {
        assert_eq!(copies("local"), Ok(Copies::Local));
        assert_eq!(copies("majority"), Ok(Copies::Majority));
        assert_eq!(copies("3"), Ok(Copies::AtLeast(3)));
        for bad in ["0", "-1", "all", "", "99999999999"] {
            assert_eq!(copies(bad).unwrap_err().code, "job-copies", "{bad}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        assert!(payload(&[0; PAYLOAD_LEN_MAX]).is_ok());
        let failure = payload(&[0; PAYLOAD_LEN_MAX + 1]).unwrap_err();
        assert_eq!(failure.args["most"], PAYLOAD_LEN_MAX.into());
        assert!(checkpoint(&vec![0; STATE_LEN_MAX]).is_ok());
        let failure = checkpoint(&vec![0; STATE_LEN_MAX + 1]).unwrap_err();
        assert_eq!(failure.args["most"], STATE_LEN_MAX.into());
        assert_eq!(key("").unwrap_err().code, "job-key-empty");
        assert!(key(&"x".repeat(KEY_LEN_MAX)).is_ok());
        assert!(key(&"x".repeat(KEY_LEN_MAX + 1)).is_err());
    }
}
