//! `agp history`: the generations of the files that are kept.

use std::fmt::Write as _;
use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::{Failed, ask};

/// Arguments of `agp history`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Newest first; the one in force is marked with `*`. `agp diff N` shows what has changed since.\n\nExample:\n  agp history -n 5"
)]
pub struct Args {
    /// How many, at most
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    pub number: u32,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a terminal
    Human,
    /// For scripts
    Json,
}

/// Asks the running gateway.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 where the history can't be read.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let path = format!("/history?limit={}", args.number);
    let value = ask::operation(&args.at, Method::GET, &path).await?;
    let text = match args.format {
        Format::Json => format!("{value:#}\n"),
        Format::Human => table(&value),
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

/// A line for each, in columns as wide as they need.
fn table(value: &Value) -> String {
    let cell = |value: &Value| match value {
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        other => other.to_string(),
    };
    let head = ["", "GENERATION", "WHEN", "WHO", "FROM", "WHAT"].map(str::to_owned);
    let mut rows = vec![head];
    for entry in value["generations"].as_array().into_iter().flatten() {
        let mark = if entry["running"] == true { "*" } else { "" };
        let mut what: String = cell(&entry["what"]);
        if entry["texts"] == false {
            what.push_str(" [texts not kept]");
        }
        rows.push([
            mark.to_owned(),
            cell(&entry["generation"]),
            // To the second: people read it.
            seconds(&cell(&entry["at"])),
            cell(&entry["who"]),
            cell(&entry["from"]),
            what,
        ]);
    }
    if rows.len() == 1 {
        return "no generation is kept: see `state.history`\n".to_owned();
    }
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|n| width(n).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// A time without its fraction of a second.
fn seconds(at: &str) -> String {
    match at.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => at.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_one_in_force_is_marked_and_nothing_moves_the_cursor() {
        let value = json!({"running": 11, "generations": [
            {"generation": 11, "running": true, "at": "2027-01-01T00:00:00.05Z", "who": "cli:0", "from": "socket",
             "what": "set `accounts.a\u{1b}[2Jb.enabled`", "texts": true},
            {"generation": 9, "running": false, "at": "then", "who": "file", "from": "start", "what": "x", "texts": false},
        ]});
        assert_eq!(
            table(&value),
            "   GENERATION  WHEN                  WHO    FROM    WHAT\n\
             *  11          2027-01-01T00:00:00Z  cli:0  socket  set `accounts.a[2Jb.enabled`\n   \
             9           then                  file   start   x [texts not kept]\n"
        );
        assert!(table(&json!({"generations": []})).contains("no generation is kept"));
    }
}
