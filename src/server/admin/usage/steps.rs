//! The steps of a time: quarter hours, hours and days of a time zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, Zoned};

use crate::base::time::Timestamp;

const SECOND: i64 = 1000;
/// Sums are kept by it.
const QUARTER: i64 = 900 * SECOND;
const HOUR: i64 = 3600 * SECOND;

/// How far two points are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::admin) enum Step {
    /// A quarter hour.
    Quarter,
    /// An hour of the zone.
    Hour,
    /// A day of the zone, from midnight to midnight.
    Day,
}

impl Step {
    /// By its name in a query.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "15m" => Some(Self::Quarter),
            "1h" => Some(Self::Hour),
            "1d" => Some(Self::Day),
            _ => None,
        }
    }

    /// One that gives a time of this length a fair number of points.
    pub(super) fn for_length(ms: i64) -> Self {
        match ms {
            ..=43_200_000 => Self::Quarter,
            43_200_001..=604_800_000 => Self::Hour,
            _ => Self::Day,
        }
    }

    /// Its usual length in seconds.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Self::Quarter => 900,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The first begin of a step after a moment.
    fn after(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let next = |length: i64, offset: i64| {
            let into = (at.0 + offset).rem_euclid(length);
            Timestamp(at.0 + length - into)
        };
        let Some(local) = local(at, zone) else {
            return next(QUARTER, 0);
        };
        let offset = i64::from(local.offset().seconds()) * SECOND;
        match self {
            Self::Quarter => next(QUARTER, 0),
            Self::Hour => next(HOUR, offset),
            Self::Day => {
                let tomorrow = local.tomorrow().and_then(|day| day.start_of_day());
                let found = tomorrow.map(|day| Timestamp(day.timestamp().as_millisecond()));
                // Never back, whatever a zone's rules are.
                found
                    .ok()
                    .filter(|next| *next > at)
                    .unwrap_or_else(|| next(24 * HOUR, offset))
            }
        }
    }

    /// The begins of the steps from `from` on, the first of which is `from` itself, before `to`: at most `most` and one more.
    pub(in crate::server::admin) fn begins(
        self,
        from: Timestamp,
        to: Timestamp,
        zone: &TimeZone,
        most: usize,
    ) -> Vec<Timestamp> {
        let mut begins = Vec::new();
        let mut at = from;
        while at < to && begins.len() <= most {
            begins.push(at);
            at = self.after(at, zone);
        }
        begins
    }
}

fn local(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let moment = Moment::from_millisecond(at.0).ok()?;
    Some(moment.to_zoned(zone.clone()))
}

/// When the day of the zone begins that a moment lies in, and the day before.
pub(in crate::server::admin) fn midnights(
    at: Timestamp,
    zone: &TimeZone,
) -> (Timestamp, Timestamp) {
    let day = local(at, zone);
    let begin = |day: Result<Zoned, jiff::Error>| {
        let begin = day.and_then(|day| day.start_of_day()).ok()?;
        Some(Timestamp(begin.timestamp().as_millisecond()))
    };
    let found = day.and_then(|day| Some((begin(day.yesterday())?, begin(Ok(day))?)));
    let (yesterday, today) = found.unwrap_or_else(|| {
        let today = at.0 - at.0.rem_euclid(24 * HOUR);
        (Timestamp(today - 24 * HOUR), Timestamp(today))
    });
    (today, yesterday)
}

/// When the quarter hour begins that a moment lies in.
pub(in crate::server::admin) fn quarter(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(QUARTER))
}

/// When the hour of the zone begins that a moment lies in.
pub(in crate::server::admin) fn hour(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let next = Step::Hour.after(at, zone);
    Timestamp(next.0 - HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn begins(step: Step, from: &str, to: &str, zone: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let begins = step.begins(at(from), at(to), &zone, 100);
        begins.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn steps_begin_where_the_zones_do() {
        assert_eq!(
            begins(
                Step::Hour,
                "2026-11-22T10:15:00Z",
                "2026-11-22T12:10:00Z",
                "UTC"
            ),
            [
                "2026-11-22T10:15:00Z",
                "2026-11-22T11:00:00Z",
                "2026-11-22T12:00:00Z"
            ]
        );
        // Half an hour beside the hours of UTC.
        assert_eq!(
            begins(
                Step::Hour,
                "2026-11-22T10:15:00Z",
                "2026-11-22T11:40:00Z",
                "Asia/Kolkata"
            ),
            [
                "2026-11-22T10:15:00Z",
                "2026-11-22T10:30:00Z",
                "2026-11-22T11:30:00Z"
            ]
        );
        let quarters = begins(
            Step::Quarter,
            "2026-11-22T10:00:00Z",
            "2026-11-22T11:00:00Z",
            "UTC",
        );
        assert_eq!(quarters.len(), 4);
    }

    #[test]
    fn days_have_23_and_25_hours_where_clocks_are_changed() {
        // In Berlin summer time began on 2026-03-29 and ended on 2026-10-25.
        let spring = begins(
            Step::Day,
            "2026-03-27T23:00:00Z",
            "2026-03-30T22:00:00Z",
            "Europe/Berlin",
        );
        assert_eq!(
            spring,
            [
                "2026-03-27T23:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z"
            ]
        );
        let autumn = begins(
            Step::Day,
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            "Europe/Berlin",
        );
        assert_eq!(
            autumn,
            [
                "2026-10-24T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z"
            ]
        );
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let (today, yesterday) = midnights(at("2026-03-30T10:00:00Z"), &berlin);
        assert_eq!(today, at("2026-03-29T22:00:00Z"));
        assert_eq!(yesterday, at("2026-03-28T23:00:00Z"));
    }

    #[test]
    fn the_number_of_steps_is_bounded() {
        let zone = TimeZone::UTC;
        let begins = Step::Quarter.begins(Timestamp(0), Timestamp(i64::MAX), &zone, 10);
        assert_eq!(begins.len(), 11);
        assert_eq!(
            hour(at("2026-11-22T10:59:59Z"), &zone),
            at("2026-11-22T10:00:00Z")
        );
        assert_eq!(
            hour(at("2026-11-22T10:00:00Z"), &zone),
            at("2026-11-22T10:00:00Z")
        );
        assert_eq!(
            quarter(at("2026-11-22T10:59:59Z")),
            at("2026-11-22T10:45:00Z")
        );
    }
}
