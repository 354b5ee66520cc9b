//! `agp explain`: the story of one request.

use std::fmt::Write as _;
use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::base::money::{Dollars, nanos};
use crate::cli::{Failed, ask};

/// Arguments of `agp explain`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The id is in every answer's header `x-request-id`, and in the log.\n\n\
                  Example:\n  agp explain 01JD8Q0Z6V8Q3W3T5T0N0G6K7B"
)]
pub struct Args {
    /// The request's id
    pub id: String,
    /// Show also what the client sent and was sent, where `state.log_bodies` keeps it; the gateway logs the look
    #[arg(long)]
    pub body: bool,
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
/// Code 4 where no gateway runs on this state folder, code 1 where it does not know the request.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let path = format!("/requests/{}", ask::encoded(&args.id));
    let mut value = ask::operation(&args.at, Method::GET, &path).await?;
    if args.body {
        let path = format!("{path}/body");
        value["body"] = ask::operation(&args.at, Method::GET, &path).await?;
    }
    let mut text = if args.json {
        format!("{value:#}\n")
    } else {
        story(&value)
    };
    if args.body && !args.json {
        for part in ["request", "answer"] {
            text.push_str(&said(part, &value["body"][part]));
        }
    }
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

/// One direction of what was said. What a terminal would obey is shown instead.
fn said(name: &str, part: &Value) -> String {
    let cut = if part["cut"] == true {
        ", only its beginning is kept"
    } else {
        ""
    };
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    let said: String = text(&part["text"]).chars().map(shown).collect();
    format!(
        "\n{name}, {} bytes{cut}:\n{}\n",
        part["bytes"],
        said.trim_end()
    )
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What happened, in order, for people.
fn story(r: &Value) -> String {
    let mut out = String::new();
    let streamed = if r["stream"] == true {
        ", streamed"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "request {}, ended {}\n  key {}, {}, model {} (served as {}){streamed}",
        text(&r["id"]),
        text(&r["at"]),
        r["key"].as_str().unwrap_or("unknown"),
        text(&r["dialect"]),
        text(&r["requested"]),
        r["model"].as_str().unwrap_or("nothing"),
    );
    if r["queue_ms"].as_u64().unwrap_or_default() > 0 {
        let _ = writeln!(out, "  waited {} ms for a slot", r["queue_ms"]);
    }
    if list(&r["verdicts"]).next().is_some() {
        let chosen = list(&r["verdicts"]).any(|v| v["verdict"] == "chosen");
        let when = if chosen {
            "as they stood when the first was picked"
        } else {
            "as they stood when none was left"
        };
        let _ = writeln!(out, "accounts, {when}:");
    }
    for verdict in list(&r["verdicts"]) {
        let _ = writeln!(
            out,
            "  {:<24} {}",
            text(&verdict["account"]),
            verdict_said(&verdict["verdict"])
        );
    }
    if r["more_verdicts"].as_u64().unwrap_or_default() > 0 {
        let _ = writeln!(out, "  and {} more", r["more_verdicts"]);
    }
    if list(&r["tries"]).next().is_some() {
        let _ = writeln!(out, "tries:");
    }
    for call in list(&r["tries"]) {
        for verdict in list(&r["later_verdicts"]).filter(|v| v["try"] == call["n"]) {
            // The one that was chosen is the one that was tried.
            if verdict["verdict"] != "chosen" {
                let account = text(&verdict["account"]);
                let _ = writeln!(
                    out,
                    "     meanwhile {account}: {}",
                    verdict_said(&verdict["verdict"])
                );
            }
        }
        out.push_str(&told(call));
    }
    out.push_str(&ending(r));
    out
}

/// A verdict for people: what selection calls usable was not used.
fn verdict_said(verdict: &Value) -> String {
    match verdict.as_str() {
        Some("usable") => "could have served, another was picked".to_owned(),
        _ => text(verdict),
    }
}

/// One try.
fn told(call: &Value) -> String {
    let mut out = String::new();
    let status = call["status"]
        .as_u64()
        .map_or_else(|| "no status".to_owned(), |n| n.to_string());
    let outcome = match call["class"].as_str() {
        Some(class) => format!("{status} {class}"),
        None => format!("{status}, served"),
    };
    let first = call["first_byte_ms"].as_u64();
    let first = first.map_or_else(String::new, |ms| format!(", its head after {ms} ms"));
    let _ = writeln!(
        out,
        "  {}. {} with {}/{} at {}: {outcome}, {} ms{first}",
        call["n"],
        text(&call["account"]),
        text(&call["upstream"]),
        text(&call["model"]),
        text(&call["host"]),
        call["latency_ms"],
    );
    if let Some(detail) = call["detail"].as_str().filter(|d| !d.is_empty()) {
        let _ = writeln!(out, "     {detail}");
    }
    out
}

fn ending(r: &Value) -> String {
    let mut out = String::new();
    let error = &r["error"];
    if error.is_object() {
        let _ = writeln!(
            out,
            "told the client {} {} (the fault is with the {}): {}",
            r["status"],
            text(&error["kind"]),
            text(&error["fault"]),
            text(&error["message"]),
        );
    } else {
        let _ = writeln!(
            out,
            "answered {} by {}, {} tokens in, {} out{}",
            r["status"],
            r["account"].as_str().unwrap_or("nobody"),
            r["input_tokens"],
            r["output_tokens"],
            cost(r),
        );
    }
    let first = r["first_token_ms"].as_u64().map_or_else(String::new, |ms| {
        format!(", the first content after {ms} ms")
    });
    let _ = writeln!(out, "{} ms in all{first}", r["latency_ms"]);
    for loss in list(&r["losses"]) {
        let _ = writeln!(out, "  dropped: {}", text(loss));
    }
    out
}

/// `, $0.0012` where the model has a price.
fn cost(r: &Value) -> String {
    let cost = r["cost_usd"].as_f64();
    cost.map_or_else(String::new, |usd| format!(", {}", Dollars(nanos(usd))))
}
