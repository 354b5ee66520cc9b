//! `agp pick`: which accounts a model's requests would go to, drawn by the running gateway's own selection.

use std::fmt::Write as _;
use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::{Failed, ask};

/// Arguments of `agp pick`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Each draw is a request of its own, as if it were the only one: no call is made and no slot taken.\n\
                  Without --conversation the draws belong to no conversation and show the strategy's shares.\n\n\
                  Example:\n  agp pick gemini-2.5-flash --requests 100000"
)]
pub struct Args {
    /// The public model
    pub model: String,
    /// How many requests to draw for, at most 1000000
    #[arg(long, default_value_t = 1000)]
    pub requests: u32,
    /// Under the rights of this key of the file; without it every account is allowed
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// Show where this conversation has its home
    #[arg(long, value_name = "NAME")]
    pub conversation: Option<String>,
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
/// Code 4 where no gateway runs on this state folder, code 1 where there is no such model or key.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let mut path = format!(
        "/pick?model={}&requests={}",
        ask::encoded(&args.model),
        args.requests
    );
    for (name, value) in [("key", &args.key), ("conversation", &args.conversation)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", ask::encoded(value));
        }
    }
    let value = ask::operation(&args.at, Method::GET, &path).await?;
    let text = if args.json {
        format!("{value:#}\n")
    } else {
        told(&value)
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn told(value: &Value) -> String {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} picks, strategy {}",
        text(&value["model"]),
        value["drawn"],
        text(&value["strategy"])
    );
    if value["drawn"] != value["requests"] {
        let why = value["blocked"].as_str();
        let why = why.unwrap_or("the time for it was over");
        let _ = writeln!(out, "stopped before {}: {why}", value["requests"]);
    }
    for target in value["targets"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "{}/{}",
            text(&target["upstream"]),
            text(&target["model"])
        );
        for account in target["accounts"].as_array().into_iter().flatten() {
            let share = account["share"].as_f64().unwrap_or_default() * 100.0;
            let quota = account["remaining"].as_f64().map_or_else(
                || "unknown".to_owned(),
                |left| format!("{:.0}%", left * 100.0),
            );
            let _ = writeln!(
                out,
                "  {:<24} {share:>6.2}%  {:>8}  weight {}  tier {}  quota {quota}  health {:.2}  {}",
                text(&account["name"]),
                account["picked"],
                account["weight"],
                account["tier"],
                account["health"].as_f64().unwrap_or_default(),
                text(&account["verdict"]),
            );
        }
    }
    out
}
