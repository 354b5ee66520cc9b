//! `agp logs`: the log's rows, as a table or as JSON.

use std::fmt::Write as _;
use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::{Failed, ask};

/// Arguments of `agp logs`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Newest first. `agp explain ID` tells the story of one request.\n\nExample:\n  agp logs --status 5xx --since 2h --model gemini-2.5-flash"
)]
pub struct Args {
    /// Of this public model
    #[arg(long)]
    pub model: Option<String>,
    /// Served by this account, or tried with it
    #[arg(long)]
    pub account: Option<String>,
    /// Of this client key, by its name in the file
    #[arg(long)]
    pub key: Option<String>,
    /// Answered with this status, such as 429, or 4xx for all that begin with a 4
    #[arg(long)]
    pub status: Option<String>,
    /// Ended since then: how long ago, such as 2h, or a time such as 2026-11-22T10:00:00Z
    #[arg(long)]
    pub since: Option<String>,
    /// Ended before then
    #[arg(long)]
    pub until: Option<String>,
    /// Older than the last row of another page, by what that said
    #[arg(long)]
    pub before: Option<String>,
    /// Rows, at most 1000
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for each, for people
    Table,
    /// The whole answer
    Json,
}

/// Asks the running gateway.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 where it does not understand what is asked for.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let value = ask::operation(&args.at, Method::GET, &path(args)).await?;
    let text = match args.format {
        Format::Json => format!("{value:#}\n"),
        Format::Table => table(&value),
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn path(args: &Args) -> String {
    let mut path = format!("/requests?limit={}", args.limit);
    for (name, value) in [
        ("model", &args.model),
        ("account", &args.account),
        ("key", &args.key),
        ("status", &args.status),
        ("since", &args.since),
        ("until", &args.until),
        ("before", &args.before),
    ] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", ask::encoded(value));
        }
    }
    path
}

const HEAD: [&str; 10] = [
    "ENDED", "STATUS", "KEY", "MODEL", "ACCOUNT", "MS", "IN", "OUT", "ERROR", "REQUEST",
];

/// The rows in columns as wide as they need.
fn table(page: &Value) -> String {
    let rows: Vec<[String; 10]> = page["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let cell = |value: &Value| match value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
                other => other.to_string(),
            };
            let model = if row["model"].is_null() {
                &row["requested"]
            } else {
                &row["model"]
            };
            [
                cell(&row["at"]),
                cell(&row["status"]),
                cell(&row["key"]),
                cell(model),
                cell(&row["account"]),
                cell(&row["latency_ms"]),
                cell(&row["input_tokens"]),
                cell(&row["output_tokens"]),
                cell(&row["error"]["kind"]),
                cell(&row["id"]),
            ]
        })
        .collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = line(&HEAD.map(str::to_owned), &widths);
    for row in &rows {
        out.push_str(&line(row, &widths));
    }
    if let Some(next) = page["next"].as_str() {
        let _ = writeln!(out, "older ones: --before {next}");
    }
    out
}

fn line(cells: &[String; 10], widths: &[usize; 10]) -> String {
    let mut out = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(out, "{cell:<width$}  ");
    }
    format!("{}\n", out.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_and_nothing_moves_the_cursor() {
        let page = json!({"next": "7", "rows": [
            {"id": "01A", "at": "now", "status": 200, "key": "team", "requested": "x", "model": "a-long-model",
             "account": "alice", "latency_ms": 12, "input_tokens": 3, "output_tokens": 4, "error": null},
            {"id": "01B", "at": "now", "status": 404, "key": null, "requested": "\u{1b}[2Jevil", "model": null,
             "account": null, "latency_ms": 1, "input_tokens": null, "output_tokens": null,
             "error": {"kind": "unknown_model"}},
        ]});
        assert_eq!(
            table(&page),
            "ENDED  STATUS  KEY   MODEL         ACCOUNT  MS  IN  OUT  ERROR          REQUEST\n\
             now    200     team  a-long-model  alice    12  3   4    -              01A\n\
             now    404     -     [2Jevil       -        1   -   -    unknown_model  01B\n\
             older ones: --before 7\n"
        );
    }
}
