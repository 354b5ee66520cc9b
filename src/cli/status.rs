//! `agp status`: the admin operation `status`, for people or as JSON.

use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::{Failed, ask};

/// Arguments of `agp status`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp status --json")]
pub struct Args {
    /// Print the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

/// Asks the running gateway.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let value = ask::operation(&args.at, Method::GET, "/status").await?;
    let text = if args.json {
        format!("{value:#}\n")
    } else {
        describe(&value)
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn describe(status: &Value) -> String {
    use std::fmt::Write as _;
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut out = String::new();
    let config = &status["config"];
    let revision: String = text(&config["revision"]).chars().take(12).collect();
    let _ = writeln!(
        out,
        "agp {} on {}, pid {}, since {}\nconfiguration: generation {}, revision {revision}",
        text(&status["version"]),
        text(&status["listen"]),
        status["pid"],
        text(&status["started"]),
        config["generation"],
    );
    let applied = &config["applied"];
    if let (Some(at), Some(who)) = (applied["at"].as_str(), applied["who"].as_str()) {
        let _ = writeln!(out, "  since {at}, by {who}: {}", text(&applied["what"]));
    }
    if let Some(metrics) = status["metrics"].as_str() {
        let _ = writeln!(out, "metrics: http://{metrics}/metrics");
    }
    if let Some(why) = config["differs"].as_str() {
        let _ = writeln!(out, "  the files differ from what runs: {why}");
    }
    for error in config["errors"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  refused: {}", text(error));
    }
    for setting in config["after_restart"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  takes effect after a restart: {}", text(setting));
    }
    let store = &status["store"];
    let _ = writeln!(
        out,
        "store: {}, log {}",
        text(&store["state"]["state"]),
        text(&store["log"]["state"])
    );
    for file in ["state", "log"] {
        let condition = &store[file];
        if let (Some(since), Some(error)) =
            (condition["since"].as_str(), condition["error"].as_str())
        {
            let _ = writeln!(out, "  {file} can't be written since {since}: {error}");
        }
    }
    for (what, queued, dropped) in [
        ("log rows", "queued_logs", "dropped_logs"),
        ("other writes", "queued_writes", "dropped_writes"),
    ] {
        if store[dropped].as_u64().unwrap_or_default() > 0 {
            let (waiting, lost) = (&store[queued], &store[dropped]);
            let _ = writeln!(
                out,
                "  {lost} {what} were lost since the start, {waiting} wait"
            );
        }
    }
    let _ = writeln!(out, "upstreams:");
    for upstream in status["upstreams"].as_array().into_iter().flatten() {
        out.push_str(&describe_upstream(upstream));
    }
    let _ = writeln!(out, "waiting: {}\naccounts:", status["waiting"]);
    for account in status["accounts"].as_array().into_iter().flatten() {
        out.push_str(&describe_account(account));
    }
    out
}

/// An upstream in a line: how many models it lists, and since when that is known.
fn describe_upstream(upstream: &Value) -> String {
    let name = upstream["name"].as_str().unwrap_or_default();
    let Some(age) = upstream["age_s"].as_u64() else {
        return format!("  {name:<24} not heard yet\n");
    };
    let models = &upstream["models"];
    let age = match age {
        0..120 => format!("{age} s"),
        120..7200 => format!("{} min", age / 60),
        7200..172_800 => format!("{} h", age / 3600),
        _ => format!("{} days", age / 86400),
    };
    let from = if upstream["from_store"] == true {
        ", in an earlier run: it has not been heard since the start"
    } else {
        ""
    };
    format!("  {name:<24} {models} models, listed {age} ago{from}\n")
}

/// An account in a few lines: its state and why, and what of it is not as usual.
pub(super) fn describe_account(account: &Value) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let field = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let _ = write!(
        out,
        "  {:<24} {:<18} in flight {}",
        field(&account["name"]),
        field(&account["state"]),
        account["in_flight"]
    );
    for name in ["tier", "until", "class", "link"] {
        if let Some(value) = account[name].as_str() {
            let _ = write!(out, "  {name} {value}");
        }
    }
    out.push('\n');
    if let Some(reason) = account["reason"].as_str().filter(|r| !r.is_empty()) {
        let since = account["since"].as_str();
        let since = since.map_or_else(String::new, |at| format!(", since {at}"));
        let _ = writeln!(out, "    {reason}{since}");
    }
    if let Some(step) = account["step"].as_str().filter(|s| !s.is_empty()) {
        let _ = writeln!(out, "    what to do: {step}");
    }
    for model in account["models"].as_array().into_iter().flatten() {
        if let Some(until) = model["until"].as_str() {
            let why = model["class"].as_str().unwrap_or("no quota left");
            let _ = writeln!(
                out,
                "    {:<22} until {until} ({why})",
                field(&model["model"])
            );
        }
    }
    out
}
