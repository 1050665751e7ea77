//! Time zones: what a clock shows in one of them when a message was stored, and when it showed something.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone as _, Utc};
use chrono_tz::Tz;

/// A zone with a name, which has daylight saving time, or a constant offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeZone(Zone);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Zone {
    Named(Tz),
    Fixed(FixedOffset),
}

impl TimeZone {
    /// Universal time.
    pub const UTC: TimeZone = TimeZone(Zone::Named(Tz::UTC));

    /// Returns what a clock in this zone shows at a time in Unix milliseconds, such as `12:01`.
    pub fn clock(self, unix_ms: u64) -> String {
        let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
        // The greatest id is of a year that the library does not know.
        let time = time.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let minutes = (time.timestamp() + self.offset_seconds(time.naive_utc())).div_euclid(60);
        format!("{:02}:{:02}", minutes.div_euclid(60).rem_euclid(24), minutes.rem_euclid(60))
    }

    fn offset_seconds(self, utc: NaiveDateTime) -> i64 {
        let offset = match self.0 {
            Zone::Named(zone) => zone.offset_from_utc_datetime(&utc).fix(),
            Zone::Fixed(offset) => offset,
        };
        offset.local_minus_utc().into()
    }
}

/// The error for a text that names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZoneError;

impl fmt::Display for TimeZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time zone must be an IANA name, such as Europe/Berlin, or an offset, such as +02:00")
    }
}

impl FromStr for TimeZone {
    type Err = TimeZoneError;

    fn from_str(text: &str) -> Result<Self, TimeZoneError> {
        let named = text.parse().ok().map(Zone::Named);
        named.or_else(|| parse_offset(text).map(Zone::Fixed)).map(Self).ok_or(TimeZoneError)
    }
}

/// Parses a time such as `2026-11-25T14:00`, `2026-11-25T14:00:30+01:00` or `2026-11-25`, which is the beginning of the day.
/// Without an offset it is of UTC. Returns it in Unix milliseconds, 0 if it is earlier.
pub fn parse_time(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let is_clock = |c: char| c.is_ascii_digit() || matches!(c, 'T' | ':' | '.');
    let (clock, offset) = rest.split_at(rest.find(|c| !is_clock(c)).unwrap_or(rest.len()));
    let offset = match offset {
        "" | "Z" => FixedOffset::east_opt(0),
        offset => parse_offset(offset),
    };
    let is_date = date.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok().filter(|_| is_date)?;
    let clock = match clock.len() {
        0 => Some(NaiveTime::MIN),
        6 => NaiveTime::parse_from_str(clock, "T%H:%M").ok(),
        9.. => NaiveTime::parse_from_str(clock, "T%H:%M:%S%.f").ok(),
        _ => None,
    };
    let time = offset?.from_local_datetime(&date.and_time(clock?)).single()?;
    Some(u64::try_from(time.timestamp_millis()).unwrap_or(0))
}

/// Parses `+HH:MM` or `-HH:MM`, up to 23:59. A space counts as the plus sign: in a query string it is one that was not
/// percent-encoded.
fn parse_offset(text: &str) -> Option<FixedOffset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+" | " ", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let two_digits =
        |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok());
    let (hours, minutes) = digits.split_once(':')?;
    let (hours, minutes): (i32, i32) = (two_digits(hours)??, two_digits(minutes)??);
    (hours < 24 && minutes < 60).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-07-01T12:01:59.999Z.
    const SUMMER: u64 = 1_782_907_319_999;
    /// 2026-01-01T23:59:00Z.
    const WINTER: u64 = 1_767_311_940_000;

    fn clock(zone: &str, unix_ms: u64) -> String {
        zone.parse::<TimeZone>().unwrap().clock(unix_ms)
    }

    #[test]
    fn a_time_is_of_utc_unless_it_has_an_offset() {
        let expected = 1_782_907_260_000; // 2026-07-01T12:01:00Z
        for text in [
            "2026-07-01T12:01",
            "2026-07-01T12:01:00Z",
            "2026-07-01T14:01+02:00",
            "2026-07-01T14:01:00.000 02:00",
        ] {
            assert_eq!(parse_time(text), Some(expected), "{text}");
        }
        assert_eq!(parse_time("2026-07-01T12:01:59.999"), Some(SUMMER));
        assert_eq!(parse_time("2026-07-01"), Some(expected - (12 * 60 + 1) * 60_000));
        assert_eq!(parse_time("1969-12-31T23:59"), Some(0));
        let bad = [
            "",
            "now",
            "2026-13-01",
            "2026-02-30T10:00",
            "2026-07-01T25:00",
            "2026-07-01T1:00",
            "2026-07-01 12:01",
        ];
        for text in bad.into_iter().chain([
            "2026-07-01T12:01+2",
            "2026-07-01T12:01z",
            "+026-07-01",
            "2026-7-01T1",
            "é026-07-01",
        ]) {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_shows_hours_and_minutes_of_its_zone() {
        assert_eq!(TimeZone::UTC.clock(SUMMER), "12:01");
        assert_eq!(TimeZone::UTC.clock(0), "00:00");
        assert_eq!((clock("Europe/Berlin", SUMMER), clock("Europe/Berlin", WINTER)), ("14:01".into(), "00:59".into()));
        assert_eq!(clock("America/St_Johns", SUMMER), "09:31");
        assert_eq!(clock("Asia/Kathmandu", WINTER), "05:44");
        assert_eq!(clock("UTC", WINTER), "23:59");
    }

    #[test]
    fn an_offset_is_hours_and_minutes_with_a_sign() {
        assert_eq!(clock("+02:00", SUMMER), "14:01");
        assert_eq!(clock(" 05:30", SUMMER), "17:31");
        assert_eq!(clock("-12:02", SUMMER), "23:59");
        assert_eq!(clock("-00:01", 0), "23:59");
    }

    #[test]
    fn any_id_has_a_time() {
        for unix_ms in [(1 << 53) - 1, u64::MAX] {
            for zone in ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "+23:59", "-23:59"] {
                assert_eq!(clock(zone, unix_ms).len(), 5, "{zone} {unix_ms}");
            }
        }
    }

    #[test]
    fn a_zone_is_a_name_or_an_offset() {
        for text in [
            "",
            "+",
            "Mars/Olympus",
            "europe/berlin",
            "02:00",
            "+2:00",
            "+0200",
            "+24:00",
            "+01:60",
            "++1:00",
            "+01:0é",
        ] {
            assert_eq!(text.parse::<TimeZone>(), Err(TimeZoneError), "{text:?}");
        }
    }
}
