//! `agp key usage`: the admin operation `key usage`, for people or as JSON.

use std::fmt::Write as _;
use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::base::money::{Dollars, nanos};
use crate::cli::key::UsageArgs;
use crate::cli::{Failed, ask};

/// Asks the running gateway.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 where there is no such key.
pub async fn run(args: &UsageArgs, out: &mut dyn Write) -> Result<(), Failed> {
    let query = args.name.as_ref();
    let query = query.map_or_else(String::new, |n| format!("?name={}", ask::encoded(n)));
    let path = format!("/keys/usage{query}");
    let value = ask::operation(&args.at, Method::GET, &path).await?;
    let text = if args.json {
        format!("{value:#}\n")
    } else {
        table(&value)
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A line for each owner, and one for each of its limits.
fn table(usage: &Value) -> String {
    let mut out = String::new();
    for (what, owners) in [("key", &usage["keys"]), ("group", &usage["groups"])] {
        for owner in list(owners) {
            let name = owner["name"].as_str().unwrap_or_default();
            let label = owner["label"].as_str().filter(|label| *label != name);
            let label = label.map_or_else(String::new, |label| format!(" ({label})"));
            let group = owner["group"].as_str();
            let group = group.map_or_else(String::new, |g| format!(", of group {g}"));
            let _ = writeln!(out, "{what} {name}{label}{group}");
            if list(&owner["limits"]).next().is_none() {
                let _ = writeln!(out, "  no limits of its own");
            }
            for limit in list(&owner["limits"]) {
                let _ = writeln!(out, "{}", line(limit));
            }
        }
    }
    if out.is_empty() {
        out.push_str("no key or group of the file has limits\n");
    }
    out
}

fn line(limit: &Value) -> String {
    let money = limit["unit"] == "usd";
    let amount = |value: &Value| match value.as_f64() {
        Some(dollars) if money => Dollars(nanos(dollars)).to_string(),
        Some(number) => format!("{number:.0}"),
        None => value.to_string(),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let unit = if money {
        String::new()
    } else {
        format!(" {}", text(&limit["unit"]))
    };
    format!(
        "  {:<18} {} of {}{unit} a {}, resets {}",
        text(&limit["limit"]),
        amount(&limit["used"]),
        amount(&limit["bound"]),
        text(&limit["per"]),
        text(&limit["reset"]),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_limit_has_its_line() {
        let usage = json!({
            "keys": [{"name": "ci", "label": "CI runners", "group": "all", "limits": [
                {"limit": "rpm", "unit": "requests", "per": "minute", "used": 3, "bound": 60, "reset": "2026-11-22T10:00:30Z"},
                {"limit": "budget", "unit": "usd", "per": "month", "used": 1.25, "bound": 50.0, "reset": "2026-12-01T00:00:00Z"},
            ]}],
            "groups": [{"name": "all", "limits": []}],
        });
        assert_eq!(
            table(&usage),
            "key ci (CI runners), of group all\n  \
             rpm                3 of 60 requests a minute, resets 2026-11-22T10:00:30Z\n  \
             budget             $1.25 of $50.00 a month, resets 2026-12-01T00:00:00Z\n\
             group all\n  no limits of its own\n"
        );
        let none = table(&json!({"keys": [], "groups": []}));
        assert_eq!(none, "no key or group of the file has limits\n");
    }
}
