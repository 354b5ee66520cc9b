//! `agp rollback`: back to the files of an earlier generation, after a look at what that changes.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal as _, Write};

use http::Method;
use serde_json::{Value, json};

use crate::cli::{FAILED, Failed, ask, diff};
use crate::config::plan;

/// Arguments of `agp rollback`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "A key, or a token of the admin API, that was deleted, disabled or replaced since stays so, unless it is named with `--restore-key`.\n\nExample:\n  agp rollback 3 --yes"
)]
pub struct Args {
    /// The generation, by its number in `agp history`
    #[arg(value_name = "N")]
    pub generation: u64,
    /// Do not ask; what is of high risk is refused all the same (exit code 3)
    #[arg(long)]
    pub yes: bool,
    /// Do not ask, whatever the risk
    #[arg(long)]
    pub yes_high: bool,
    /// A key that was revoked since and is to be accepted again, by the name of its table, or a token, such as
    /// `admin.tokens.ci`; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub restore_key: Vec<String>,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

/// Prints the plan, asks, and has the running gateway do just that.
///
/// # Errors
/// Code 3 where it is not agreed to, or is of high risk and that is not agreed to; code 1 where the gateway refuses, code 4
/// where no gateway runs on this state folder.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let n = args.generation;
    let told = async |word: &str, body: Value| {
        let path = format!("/history/{n}/{word}");
        let body = body.to_string().into();
        ask::told(&args.at, Method::POST, &path, body, ask::WAIT).await
    };
    let keys = &args.restore_key;
    let planned = told("plan", json!({ "restore_keys": keys })).await?;
    let _ = out.write_all(described(&planned, n)?.as_bytes());
    if planned["diff"] == "" {
        let _ = writeln!(out, "\nthe files are those of generation {n} already");
        return Ok(());
    }
    if planned["high"]
        .as_array()
        .is_some_and(|high| !high.is_empty())
        && !args.yes_high
    {
        return Err(gate(
            "something is of high risk: nothing is changed without `--yes-high`",
        ));
    }
    if !args.yes && !args.yes_high {
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Err(gate(
                "nobody can be asked here: nothing is changed without `--yes`",
            ));
        }
        if !agreed(&mut input.lock(), out) {
            return Err(gate("nothing is changed"));
        }
    }
    let body = json!({
        "restore_keys": keys,
        "revision": planned["revision"],
        "high": args.yes_high,
    });
    let done = told("rollback", body).await?;
    let _ = out.write_all(outcome(&done).as_bytes());
    Ok(())
}

fn gate(message: &str) -> Failed {
    Failed {
        message: message.to_owned(),
        code: FAILED,
    }
}

/// Whether a person says yes.
fn agreed(input: &mut dyn BufRead, out: &mut dyn Write) -> bool {
    let _ = write!(out, "\nRoll back? [y/N] ");
    let _ = out.flush();
    let mut line = String::new();
    let read = input.read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

/// What is about to be done.
fn described(planned: &Value, n: u64) -> Result<String, Failed> {
    let of_plan = diff::read(&planned["plan"])?;
    let before = format!("running (generation {})", planned["running"]);
    let mut text = plan::human(&of_plan, &before, &format!("generation {n}"));
    let list = |name: &str| planned[name].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut notes = Vec::new();
    for key in list("keys_kept") {
        let (name, how) = (word(&key["name"]), word(&key["how"]));
        notes.push(format!(
            "{} {how} (`--restore-key {name}` would take it back)",
            called(&name)
        ));
    }
    for key in list("keys_restored") {
        notes.push(format!("{} is accepted again", called(&word(&key))));
    }
    for file in list("files_left") {
        notes.push(format!(
            "`{}` is no longer in play; it stays on the disk",
            word(&file)
        ));
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    let changes = word(&planned["diff"]);
    if !changes.is_empty() {
        let _ = write!(text, "\n{changes}");
    }
    Ok(text)
}

/// A key by its name, a token of the admin API by its path.
fn called(name: &str) -> String {
    let kind = if name.starts_with("admin.tokens.") {
        "token"
    } else {
        "key"
    };
    format!("{kind} `{name}`")
}

fn outcome(done: &Value) -> String {
    if done["saved"] == true {
        return format!(
            "\nrolled back: generation {} is in force\n",
            done["generation"]
        );
    }
    if done["changed"] == false {
        return "\nthe files say so already\n".to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "\nnothing is saved: {}\nto be committed with `{}`:\n\n{}",
        text(&done["why"]),
        text(&done["patch"]["command"]),
        text(&done["patch"]["text"])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, yes) in [
            ("y\n", true),
            ("Yes\r\n", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yess\n", false),
        ] {
            let mut out = Vec::new();
            assert_eq!(agreed(&mut line.as_bytes(), &mut out), yes, "{line:?}");
            assert!(String::from_utf8(out).unwrap().contains("[y/N]"));
        }
    }

    #[test]
    fn what_becomes_of_keys_and_files_is_said() {
        let planned = json!({
            "running": 4, "plan": {"changes": [], "effects": []}, "diff": "--- a\n",
            "keys_kept": [{"name": "ci", "how": "stays deleted"}],
            "keys_restored": ["ops"],
            "files_left": ["more.toml"],
        });
        let text = described(&planned, 2).unwrap();
        assert_eq!(
            text,
            "running (generation 4) -> generation 2\n\nnothing changes\n\n\
             key `ci` stays deleted (`--restore-key ci` would take it back)\n\
             key `ops` is accepted again\n\
             `more.toml` is no longer in play; it stays on the disk\n\n--- a\n"
        );
    }
}
