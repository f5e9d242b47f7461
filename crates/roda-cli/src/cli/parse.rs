//! Values that people type.

use std::time::Duration;

use jiff::Timestamp;
use roda::Hlc;

use crate::error::{Failure, Result};

/// A duration such as `500ms`, `10s`, `5m`, `2h` or `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    duration_of(text).ok_or_else(|| Failure::new("usage-duration").with("value", text))
}

fn duration_of(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// The same duration as people type it, in the largest unit that fits.
pub(crate) fn duration_text(millis: u64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    let unit = units
        .into_iter()
        .find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "ms"));
    format!("{}{name}", millis / unit)
}

/// A moment: RFC 3339, or how long before `now`.
pub(crate) fn since(text: &str, now: Timestamp) -> Result<Hlc> {
    let fault = || Failure::new("usage-since").with("value", text);
    let millis = match duration_of(text) {
        Some(ago) => {
            let ago = i64::try_from(ago.as_millis()).map_err(|_too_long| fault())?;
            now.as_millisecond().saturating_sub(ago)
        }
        None => text
            .parse::<Timestamp>()
            .map_err(|_no_time| fault())?
            .as_millisecond(),
    };
    // A clock before 1970 cannot have stamped anything.
    Ok(Hlc::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// A moment that is still to come.
pub(crate) fn future(text: &str, now: Timestamp) -> Result<Timestamp> {
    let moment = text
        .parse::<Timestamp>()
        .map_err(|_no_time| Failure::new("usage-moment").with("value", text))?;
    // What was worked out a moment ago is not a mistake.
    if moment.as_second() + PAST_SECONDS_MAX < now.as_second() {
        return Err(Failure::new("usage-past").with("value", text));
    }
    Ok(moment)
}

/// A share between 0 and 1.
pub(crate) fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("0..1".to_owned()),
    }
}

/// So long ago counts as now.
const PAST_SECONDS_MAX: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_as_it_can_be_typed() {
        for text in ["7d", "36h", "90m", "61s", "1500ms", "0ms"] {
            let millis = u64::try_from(duration(text).unwrap().as_millis()).unwrap();
            assert_eq!(duration_text(millis), text);
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        assert_eq!(duration("7d").unwrap(), Duration::from_secs(604_800));
        for bad in [
            "",
            "5",
            "s",
            "-1s",
            "1.5h",
            "1w",
            "99999999999999999d",
            "1 s",
        ] {
            assert_eq!(duration(bad).unwrap_err().code, "usage-duration", "{bad}");
        }
    }

    #[test]
    fn since_is_a_moment_or_a_duration_ago() {
        let now: Timestamp = "2026-05-04T03:02:01Z".parse().unwrap();
        let hour_ago = since("1h", now).unwrap();
        assert_eq!(hour_ago, since("2026-05-04T02:02:01Z", now).unwrap());
        assert_eq!(hour_ago, since("2026-05-03T23:02:01-03:00", now).unwrap());
        assert_eq!(since("99999d", now).unwrap(), Hlc::ZERO);
        assert_eq!(since("yesterday", now).unwrap_err().code, "usage-since");
    }

    #[test]
    fn a_moment_to_come_has_not_passed() {
        let now: Timestamp = "2026-05-04T03:02:01Z".parse().unwrap();
        assert!(future("2026-05-04T00:02:02-03:00", now).is_ok());
        assert!(future("2026-05-04T03:01:30Z", now).is_ok(), "just now");
        let code = |text| future(text, now).unwrap_err().code;
        assert_eq!(code("2016-05-04T03:02:02Z"), "usage-past");
        assert_eq!(code("tomorrow"), "usage-moment");
        assert_eq!(code("-1s"), "usage-moment");
    }

    #[test]
    fn a_share_is_between_zero_and_one() {
        assert_eq!(share("0.1"), Ok(0.1));
        for bad in ["-0.1", "1.1", "NaN", "10%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
