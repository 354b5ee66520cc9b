//! Days and months by the calendar.

use jiff::tz::TimeZone;

use crate::base::money::Per;
use crate::base::time::Timestamp;

/// Milliseconds of a day without a change of clocks.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// From one moment up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl Span {
    /// The day or month that `now` lies in, where this zone's clocks say so.
    pub fn of(per: Per, now: Timestamp, zone: &TimeZone) -> Self {
        calendar(per, now, zone).unwrap_or_else(|| {
            // At the ends of the calendar there are no months any more.
            let start = now.0.div_euclid(DAY_MS).saturating_mul(DAY_MS);
            Self {
                start: Timestamp(start),
                end: Timestamp(start.saturating_add(DAY_MS)),
            }
        })
    }

    /// Whether `now` lies in it.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }
}

fn calendar(per: Per, now: Timestamp, zone: &TimeZone) -> Option<Span> {
    let now = jiff::Timestamp::from_millisecond(now.0).ok()?;
    let date = now.to_zoned(zone.clone()).date();
    let (first, next) = match per {
        Per::Day => (date, date.tomorrow().ok()?),
        Per::Month => (date.first_of_month(), date.last_of_month().tomorrow().ok()?),
    };
    let begin = |date: jiff::civil::Date| {
        let begin = date.to_zoned(zone.clone()).ok()?;
        Some(Timestamp(begin.timestamp().as_millisecond()))
    };
    Some(Span {
        start: begin(first)?,
        end: begin(next)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn span(per: Per, now: &str, zone: &str) -> (Timestamp, Timestamp) {
        let span = Span::of(per, time(now), &TimeZone::get(zone).unwrap());
        (span.start, span.end)
    }

    #[test]
    fn periods_are_those_of_the_zone() {
        let utc = span(Per::Day, "2026-11-22T19:16:00Z", "UTC");
        assert_eq!(
            utc,
            (time("2026-11-22T00:00:00Z"), time("2026-11-23T00:00:00Z"))
        );
        let shanghai = span(Per::Day, "2026-11-22T19:16:00Z", "Asia/Shanghai");
        assert_eq!(
            shanghai,
            (time("2026-11-22T16:00:00Z"), time("2026-11-23T16:00:00Z"))
        );
        let month = span(Per::Month, "2028-02-29T12:00:00Z", "UTC");
        assert_eq!(
            month,
            (time("2028-02-01T00:00:00Z"), time("2028-03-01T00:00:00Z"))
        );
        let year = span(Per::Month, "2026-12-31T23:30:00Z", "Europe/Berlin");
        assert_eq!(
            year,
            (time("2026-12-31T23:00:00Z"), time("2027-01-31T23:00:00Z"))
        );
    }

    #[test]
    fn the_day_of_a_change_of_clocks_has_23_or_25_hours() {
        let hours = |(start, end): (Timestamp, Timestamp)| end.since(start).as_secs() / 3600;
        assert_eq!(
            hours(span(Per::Day, "2026-03-29T12:00:00Z", "Europe/Berlin")),
            23
        );
        assert_eq!(
            hours(span(Per::Day, "2026-10-25T12:00:00Z", "Europe/Berlin")),
            25
        );
    }

    proptest! {
        #[test]
        fn a_period_holds_its_moment_and_ends(now: i64, month: bool) {
            let per = if month { Per::Month } else { Per::Day };
            let now = Timestamp(now);
            let span = Span::of(per, now, &TimeZone::get("America/New_York").unwrap());
            if now.0 > i64::MIN + DAY_MS && now.0 < i64::MAX - DAY_MS {
                prop_assert!(span.holds(now), "{span:?}");
            }
        }
    }
}
