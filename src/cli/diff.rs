//! `agp diff`: what differs between the files of two generations.

use std::fmt::Write as _;
use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::history::Format;
use crate::cli::{Failed, ask};
use crate::config::plan::{self, Plan};

/// Arguments of `agp diff`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Every secret shows as ••••, also where it is another one.\n\nExample:\n  agp diff 3 5 --plan"
)]
pub struct Args {
    /// The earlier generation, by its number in `agp history`
    #[arg(value_name = "N")]
    pub before: u64,
    /// The later one; without it the one in force
    #[arg(value_name = "M")]
    pub after: Option<u64>,
    /// Also what the difference does: accounts, keys, limits, and how risky it is
    #[arg(long)]
    pub plan: bool,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

/// Asks the running gateway.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 where one of the generations is not kept.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let mut path = format!("/history/{}/diff?plan={}", args.before, args.plan);
    if let Some(after) = args.after {
        let _ = write!(path, "&with={after}");
    }
    let value = ask::operation(&args.at, Method::GET, &path).await?;
    let text = match args.format {
        Format::Json => format!("{value:#}\n"),
        Format::Human => told(&value)?,
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn told(value: &Value) -> Result<String, Failed> {
    let diff = value["diff"].as_str().unwrap_or_default();
    let mut text = if diff.is_empty() {
        "the files are the same\n".to_owned()
    } else {
        diff.to_owned()
    };
    if !value["plan"].is_null() {
        let plan = read(&value["plan"])?;
        let name = |side: &str| format!("generation {}", value[side]);
        text.push('\n');
        text.push_str(&plan::human(&plan, &name("before"), &name("after")));
    }
    Ok(text)
}

/// A plan as a gateway tells it.
pub(super) fn read(value: &Value) -> Result<Plan, Failed> {
    let read = serde_json::from_value(value.clone());
    read.map_err(|e| format!("the gateway's answer can't be read: {e}").into())
}
