//! Durations and sizes as people write them: `"3s"`, `"1h30m"`, `"32MiB"`. A number without a unit is refused.

use std::time::Duration;

/// Reads a duration such as `"250ms"`, `"3s"`, `"1h30m"`, `"30d"`. Units: `ms`, `s`, `m`, `h`, `d`, whole or decimal numbers.
///
/// # Errors
/// A sentence for people that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || {
        format!(
            "expected a duration such as \"3s\", \"250ms\", \"1h30m\" or \"30d\", found \"{text}\""
        )
    };
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit_len = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let seconds = match &rest[..unit_len] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(bad()),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| bad())?;
        // Rounded to the microsecond: 0.1 s is not 100.000000001 ms.
        let part = Duration::from_micros(
            u64::try_from((part.as_nanos() + 500) / 1000).map_err(|_| bad())?,
        );
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = &rest[unit_len..];
    }
    // A century is more than any setting means, and keeps every sum of times far from overflow.
    if total > Duration::from_hours(100 * 366 * 24) {
        Err(bad())
    } else {
        Ok(total)
    }
}

/// Reads a size such as `"32MiB"`, `"20MB"`, `"512KiB"`, `"100B"` as bytes.
///
/// # Errors
/// A sentence for people that says what was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad =
        || format!("expected a size such as \"32MiB\", \"1GiB\" or \"500KB\", found \"{text}\"");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit: u64 = match &text[digits..] {
        "B" => 1,
        "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

/// A duration as [`parse_duration`] reads it, in the largest unit that says it exactly.
pub fn show_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    let units = [
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
    ];
    match units.iter().find(|(_, unit)| micros.is_multiple_of(*unit)) {
        _ if micros == 0 => "0s".to_owned(),
        Some((name, unit)) => format!("{}{name}", micros / unit),
        None if micros.is_multiple_of(1000) => format!("{}ms", micros / 1000),
        None => {
            let decimals = format!("{}.{:03}", micros / 1000, micros % 1000);
            format!("{}ms", decimals.trim_end_matches('0'))
        }
    }
}

/// A size as [`parse_size`] reads it, in the largest unit that says it exactly.
pub fn show_size(bytes: u64) -> String {
    let units = [
        ("TiB", 1 << 40),
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("KB", 1000),
    ];
    match units.iter().find(|(_, unit)| bytes.is_multiple_of(*unit)) {
        Some((name, unit)) if bytes > 0 => format!("{}{name}", bytes / unit),
        _ => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for (micros, text) in [
            (0, "0s"),
            (90_000_000, "90s"),
            (3_600_000_000, "1h"),
            (1_500_000, "1500ms"),
            (250, "0.25ms"),
            (86_400_000_000 * 30, "30d"),
        ] {
            let duration = Duration::from_micros(micros);
            assert_eq!(show_duration(duration), text);
            assert_eq!(parse_duration(text), Ok(duration));
        }
        for (bytes, text) in [
            (0, "0B"),
            (7, "7B"),
            (32 << 20, "32MiB"),
            (2_000_000, "2MB"),
            (1 << 30, "1GiB"),
        ] {
            assert_eq!(show_size(bytes), text);
            assert_eq!(parse_size(text), Ok(bytes));
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("0.25s"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "3", "s", "3 s", "-1s", "3x", "1e9d", "999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("32MiB"), Ok(32 << 20));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        for bad in ["", "3", "MiB", "1.5MiB", "3 MiB", "99999999999TiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
