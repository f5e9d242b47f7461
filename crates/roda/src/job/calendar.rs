//! When recurring jobs are due.

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions, parse_crontab_with};
use jiff::Timestamp;
use roda_proto::WallTime;
use roda_proto::job::{CronExpr, CronExprError, Job};
use thiserror::Error;

use crate::driver::wall;

/// One of the five fields of a cron expression, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CronField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31, `L` for the last one.
    DayOfMonth,
    /// 1 to 12, or JAN to DEC.
    Month,
    /// 0 to 7, or SUN to SAT; 0 and 7 are Sunday.
    DayOfWeek,
}

/// Why a text does not say when a job is due.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CronError {
    /// It is too long, or has characters that do not belong there.
    #[error("{0}")]
    Text(#[from] CronExprError),
    /// It has not five fields.
    #[error("a cron expression has 5 fields, this one has {0}")]
    Fields(usize),
    /// A field is wrong.
    #[error("{text:?} is no {field:?} of a cron expression")]
    Field {
        /// Which one.
        field: CronField,
        /// What it is.
        text: String,
    },
    /// It is right and names no moment within four years, such as the 30th of February.
    #[error("this cron expression never comes")]
    Never,
}

/// Reads a cron expression: minute, hour, day of the month, month and day of the week, in UTC; or one of
/// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Of equal ones that are written with other spaces
/// or by such a name, the result is the same.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_cron(text: &str) -> Result<CronExpr, CronError> {
    let named = NAMED.iter().find(|(name, _)| *name == text.trim());
    let text = named.map_or(text, |(_, fields)| fields);
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let expression = CronExpr::new(&fields.join(" "))?;
    if fields.len() != FIELDS.len() {
        return Err(CronError::Fields(fields.len()));
    }
    for (at, (field, text)) in FIELDS.into_iter().zip(&fields).enumerate() {
        // Alone among fields that are right, so that it is known which one is wrong.
        let mut alone = ["*"; 5];
        alone[at] = text;
        if crontab(&alone.join(" ")).is_none() {
            let text = (*text).to_owned();
            return Err(CronError::Field { field, text });
        }
    }
    match next_time(&expression, wall()) {
        Some(_) => Ok(expression),
        None => Err(CronError::Never),
    }
}

/// The first moment after `after` that an expression names; `None` if there is none within four years, or
/// if it is none that [`parse_cron`] would take: it may come from anybody.
#[must_use]
pub fn next_time(cron: &CronExpr, after: WallTime) -> Option<WallTime> {
    // Calendars end with the year 9999, and the search must not come near.
    let after = i64::try_from(after.0)
        .ok()
        .filter(|millis| *millis < AFTER_MAX)?;
    let after = Timestamp::from_millisecond(after).ok()?;
    let next = crontab(cron.as_str())?.find_next(after).ok()?;
    let millis = u64::try_from(next.timestamp().as_millisecond()).ok()?;
    Some(WallTime(millis))
}

/// When a recurring job is due after the round that ends now. Never at or before the time for which this
/// round was due, however wrong this node's clock is; and of all times that were missed there is one round.
pub(super) fn next_round(job: &Job) -> Option<WallTime> {
    let recurrence = job.recurrence()?;
    next_time(&recurrence.cron, recurrence.due.max(wall()))
}

fn crontab(text: &str) -> Option<Crontab> {
    // A sixth field would be a time zone, which not every member may know.
    if text.split_ascii_whitespace().count() != FIELDS.len() {
        return None;
    }
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    parse_crontab_with(text, options).ok()
}

const FIELDS: [CronField; 5] = [
    CronField::Minute,
    CronField::Hour,
    CronField::DayOfMonth,
    CronField::Month,
    CronField::DayOfWeek,
];

const NAMED: [(&str, &str); 5] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

/// The year 9000, in milliseconds since 1970.
const AFTER_MAX: i64 = 221_845_392_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> Option<String> {
        let after: Timestamp = after.parse().unwrap();
        let after = WallTime(u64::try_from(after.as_millisecond()).unwrap());
        let next = next_time(&CronExpr::new(cron).unwrap(), after)?;
        let millis = i64::try_from(next.0).unwrap();
        Some(Timestamp::from_millisecond(millis).unwrap().to_string())
    }

    #[test]
    fn the_next_time_is_later_and_in_utc() {
        for (cron, after, expected) in [
            ("* * * * *", "2026-05-04T03:02:01Z", "2026-05-04T03:03:00Z"),
            ("2 3 * * *", "2026-05-04T03:02:00Z", "2026-05-05T03:02:00Z"),
            (
                "*/20 4 * * *",
                "2026-05-04T04:59:59Z",
                "2026-05-05T04:00:00Z",
            ),
            ("0 0 L * *", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z"),
            (
                "0 9 * * MON-FRI",
                "2026-05-08T09:00:00Z",
                "2026-05-11T09:00:00Z",
            ),
            ("0 0 29 2 *", "2026-05-04T00:00:00Z", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(cron, after).as_deref(), Some(expected), "{cron}");
        }
    }

    #[test]
    fn an_expression_that_is_wrong_or_never_comes_is_told_so() {
        let field = |field, text: &str| CronError::Field {
            field,
            text: text.to_owned(),
        };
        for (text, error) in [
            ("", CronError::Text(CronExprError::Length(0))),
            ("* * * *", CronError::Fields(4)),
            ("@reboot", CronError::Fields(1)),
            ("* * * * * Europe/Berlin", CronError::Fields(6)),
            ("60 * * * *", field(CronField::Minute, "60")),
            ("0 24 * * *", field(CronField::Hour, "24")),
            ("0 0 0 * *", field(CronField::DayOfMonth, "0")),
            ("0 0 1 JANUARY *", field(CronField::Month, "JANUARY")),
            ("0 0 * * 1-", field(CronField::DayOfWeek, "1-")),
            ("0 0 30 2 *", CronError::Never),
            ("0 0 31 4,6 *", CronError::Never),
        ] {
            assert_eq!(parse_cron(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_same_times_are_the_same_expression() {
        let hourly = parse_cron("0 * * * *").unwrap();
        assert_eq!(parse_cron(" 0  *\t* * * "), Ok(hourly.clone()));
        assert_eq!(parse_cron("@hourly"), Ok(hourly));
        for (name, _) in NAMED {
            assert!(parse_cron(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn no_expression_and_no_moment_of_a_peer_does_any_harm() {
        let every = CronExpr::new("* * * * *").unwrap();
        for after in [u64::MAX, 253_402_300_799_999, i64::MAX.unsigned_abs()] {
            assert_eq!(next_time(&every, WallTime(after)), None);
        }
        for text in [
            "~",
            "* * * * * ../../x",
            "99999999999999999999 * * * *",
            "*/0 * * * *",
        ] {
            let cron = CronExpr::new(text).unwrap();
            assert_eq!(next_time(&cron, WallTime(0)), None, "{text}");
        }
    }
}
