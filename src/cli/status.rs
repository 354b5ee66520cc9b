//! `agp status`: the admin operation `status`, for people or as JSON.

use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::{Failed, ask, serve};

/// Arguments of `agp status`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp status --json")]
pub struct Args {
    /// Print the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the configuration and the state are
    #[command(flatten)]
    pub serve: serve::Args,
}

/// Asks the running gateway over its socket.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let value = ask::operation(&args.serve, Method::GET, "/status").await?;
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
    if let Some(metrics) = status["metrics"].as_str() {
        let _ = writeln!(out, "metrics: http://{metrics}/metrics");
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
    let _ = writeln!(out, "waiting: {}\naccounts:", status["waiting"]);
    for account in status["accounts"].as_array().into_iter().flatten() {
        out.push_str(&describe_account(account));
    }
    out
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
