//! How long an upstream says to wait (upstream-protocol.md 9.2).

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;

use crate::base::time::Timestamp;

/// A stated delay is never cut, but sums of times must not overflow: a century stands for all that is longer.
const CENTURY: Duration = Duration::from_hours(100 * 366 * 24);

/// Reads a Go duration (`1h16m0.667923083s`, `754.431528ms`) or a protobuf one (`34.07s`). Negative is zero, `None` where
/// the text is neither.
pub fn parse_delay(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (delay, rest) = leading_delay(text, false)?;
    let delay = if negative { Duration::ZERO } else { delay };
    rest.is_empty().then_some(delay)
}

/// Reads `Retry-After`: whole seconds or an HTTP date (RFC 9110 section 10.2.3). A date that is past is zero.
pub(super) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(
            value
                .parse()
                .map_or(CENTURY, |s| Duration::from_secs(s).min(CENTURY)),
        );
    }
    let date = DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(value)
        .ok()?;
    Some(Timestamp(date.as_millisecond()).since(now))
}

/// Finds a delay in words: `Please retry in 10h17m5.7s`, `reset after 1h23m45s`, `retry after 5 seconds`.
pub(super) fn delay_in_text(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    ["retry in ", "reset after ", "retry after "]
        .iter()
        .flat_map(|phrase| {
            lower
                .match_indices(phrase)
                .map(|(at, found)| &lower[at + found.len()..])
        })
        .find_map(|rest| leading_delay(rest.trim_start(), true).map(|(delay, _)| delay))
}

/// Reads as many `<number><unit>` as stand at the beginning; gives their sum and what follows. With `words` the unit may
/// also be a word, and stand apart.
fn leading_delay(text: &str, words: bool) -> Option<(Duration, &str)> {
    let mut total = None;
    let mut rest = text;
    while let Some((part, after)) = one_part(rest, words) {
        total = Some(total.unwrap_or(Duration::ZERO).saturating_add(part));
        rest = after;
    }
    total.map(|total: Duration| (total.min(CENTURY), rest))
}

fn one_part(text: &str, words: bool) -> Option<(Duration, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let after = &text[digits..];
    let after = if words { after.trim_start() } else { after };
    let letters = after
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(after.len());
    let unit = &after[..letters];
    let seconds = match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ns" => 1e-9,
        _ if words => spoken_unit(unit)?,
        _ => return None,
    };
    let part = Duration::try_from_secs_f64(number * seconds).unwrap_or(CENTURY);
    Some((part, &after[letters..]))
}

fn spoken_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "second" | "seconds" | "sec" | "secs" => 1.0,
        "minute" | "minutes" | "min" | "mins" => 60.0,
        "hour" | "hours" => 3600.0,
        "day" | "days" => 86400.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(text: &str) -> Option<u128> {
        parse_delay(text).map(|d| d.as_millis())
    }

    #[test]
    fn durations_of_both_styles() {
        assert_eq!(ms("34.074824224s"), Some(34074));
        assert_eq!(ms("754.431528ms"), Some(754));
        assert_eq!(ms("1h16m0.667923083s"), Some(4_560_667));
        assert_eq!(ms("2m"), Some(120_000));
        assert_eq!(ms("0s"), Some(0));
        assert_eq!(ms("0"), Some(0));
        assert_eq!(ms("-1s"), Some(0));
        assert_eq!(ms("-1h2m"), Some(0));
        assert_eq!(ms("1500us"), Some(1));
        assert_eq!(ms("1500µs"), Some(1));
        assert_eq!(ms("1500μs"), Some(1));
        assert_eq!(ms("2000000ns"), Some(2));
        for bad in [
            "", "-", "--1s", "5", "s", "1x", "1.2.3s", "1s ", "1 s", "1s2", "1e3s",
        ] {
            let expected = (bad == "1s ").then_some(1000);
            assert_eq!(ms(bad), expected, "{bad}");
        }
    }

    #[test]
    fn absurd_delays_stay_finite() {
        assert_eq!(parse_delay("99999999999999999999h"), Some(CENTURY));
        assert_eq!(
            parse_retry_after("99999999999999999999999", Timestamp(0)),
            Some(CENTURY)
        );
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = Timestamp::parse_rfc3339("2026-11-22T12:00:00Z").unwrap();
        let read = |value| parse_retry_after(value, now).map(|d| d.as_secs());
        assert_eq!(read("37"), Some(37));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Sun, 22 Nov 2026 12:00:30 GMT"), Some(30));
        assert_eq!(read("Sun, 22 Nov 2026 11:00:00 GMT"), Some(0));
        for bad in ["", "-3", "soon", "3.5.1", "Sun, 22 Foo 2026 12:00:30 GMT"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn delays_in_words() {
        let read = |text| delay_in_text(text).map(|d| d.as_millis());
        assert_eq!(read("Please retry in 10h17m5.7s."), Some(37_025_700));
        assert_eq!(
            read("Your quota will reset after 1h23m45s."),
            Some(5_025_000)
        );
        assert_eq!(read("quota will reset after 45s"), Some(45_000));
        assert_eq!(read("Retry after 5 seconds, please"), Some(5_000));
        assert_eq!(read("retry after 1 minute"), Some(60_000));
        assert_eq!(read("retry after a while, or retry in 3s"), Some(3_000));
        for none in [
            "",
            "retry after",
            "retry in a moment",
            "reset after 5",
            "5 seconds",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_go_prints_is_read(h in 0u64..5000, m in 0u64..60, s in 0u64..60, milli in 0u64..1000) {
            let text = format!("{h}h{m}m{s}.{milli:03}s");
            let expected = u128::from(((h * 60 + m) * 60 + s) * 1000 + milli);
            let read = parse_delay(&text).unwrap().as_millis();
            prop_assert!(read.abs_diff(expected) <= 1, "{read} {expected}");
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse_delay(&text);
            let _ = delay_in_text(&format!("retry in {text}"));
            let _ = parse_retry_after(&text, Timestamp(0));
        }
    }
}
