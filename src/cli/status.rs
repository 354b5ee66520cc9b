//! `agp status`: the admin operation `status`, for people or as JSON.

use std::io::Write;

use serde_json::Value;
use tokio::net::UnixStream;

use crate::cli::{Failed, UNREACHABLE, ask, running, serve};
use crate::server::{admin, socket};

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
    let path = socket::path(&running::find(&args.serve.places()?).state);
    let unreachable = |why: String| Failed {
        message: format!("no gateway answers on `{}`: {why}", path.display()),
        code: UNREACHABLE,
    };
    let stream = UnixStream::connect(&path)
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    let (status, body) = ask::get(stream, &format!("{}/status", admin::BASE))
        .await
        .map_err(unreachable)?;
    let value: Value = serde_json::from_slice(&body).map_err(|e| unreachable(e.to_string()))?;
    if status != 200 {
        return Err(unreachable(format!("status {status}")));
    }
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
        let _ = write!(
            out,
            "  {:<24} {:<18} in flight {}",
            text(&account["name"]),
            text(&account["state"]),
            account["in_flight"]
        );
        for field in ["tier", "cooling_until", "link"] {
            if let Some(value) = account[field].as_str() {
                let _ = write!(out, "  {field} {value}");
            }
        }
        out.push('\n');
        for bench in account["models"].as_array().into_iter().flatten() {
            let _ = writeln!(
                out,
                "    {:<22} until {} ({})",
                text(&bench["model"]),
                text(&bench["until"]),
                text(&bench["class"])
            );
        }
    }
    out
}
