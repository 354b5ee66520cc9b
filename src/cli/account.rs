//! `agp account`: what a person does to an account of the running gateway.

use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::cli::{Failed, ask, serve, status};

/// Arguments of `agp account`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp account release alice")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done to an account.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// End its cooldowns, and put it back on trial if it waits for a person
    ///
    /// On trial an account gets one call at a time; its first success ends the trial, its first refusal sets it aside
    /// again. A paused account stays paused.
    #[command(after_help = "Example:\n  agp account release alice")]
    Release(Named),
    /// Take it out of use until it is resumed, without a change of the file
    ///
    /// Calls that are under way go on. The pause outlives a reload; `enabled = false` in the file overrules it.
    #[command(after_help = "Example:\n  agp account pause alice")]
    Pause(Named),
    /// Take it back into use, in the state it was in
    #[command(after_help = "Example:\n  agp account resume alice")]
    Resume(Named),
    /// Set its `enabled` to true in the file
    ///
    /// The file changes in that one place; where it may not be written, the patch to commit is printed.
    #[command(after_help = "Example:\n  agp account enable alice")]
    Enable(Switched),
    /// Set its `enabled` to false in the file
    ///
    /// Calls that are under way go on. The file changes in that one place; where it may not be written, the patch to commit
    /// is printed.
    #[command(after_help = "Example:\n  agp account disable alice > the.patch")]
    Disable(Switched),
    /// Ask for its quotas now
    #[command(after_help = "Example:\n  agp account refresh alice")]
    Refresh(Named),
}

/// Which account.
#[derive(Debug, Clone, clap::Args)]
pub struct Named {
    /// The account's name in the file
    pub name: String,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the configuration and the state are
    #[command(flatten)]
    pub serve: serve::Args,
}

/// Which account, in which files.
#[derive(Debug, Clone, clap::Args)]
pub struct Switched {
    /// The account.
    #[command(flatten)]
    pub named: Named,
    /// Only if the files still have this revision, as `agp status --json` prints it
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

impl Args {
    /// Where the configuration and the state are.
    pub fn serve_args(&mut self) -> &mut serve::Args {
        match &mut self.action {
            Action::Release(named)
            | Action::Pause(named)
            | Action::Resume(named)
            | Action::Refresh(named) => &mut named.serve,
            Action::Enable(switched) | Action::Disable(switched) => &mut switched.named.serve,
        }
    }
}

/// Asks the running gateway over its socket.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 where there is no such account.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let (word, named) = match &args.action {
        Action::Release(named) => ("release", named),
        Action::Pause(named) => ("pause", named),
        Action::Resume(named) => ("resume", named),
        Action::Refresh(named) => ("refresh", named),
        Action::Enable(switched) => ("enable", &switched.named),
        Action::Disable(switched) => ("disable", &switched.named),
    };
    let mut path = format!("/accounts/{}/{word}", ask::encoded(&named.name));
    if let Action::Enable(switched) | Action::Disable(switched) = &args.action
        && let Some(revision) = &switched.revision
    {
        path = format!("{path}?revision={}", ask::encoded(revision));
    }
    let value = ask::operation(&named.serve, Method::POST, &path).await?;
    let text = if named.json {
        format!("{value:#}\n")
    } else {
        told(&args.action, &value)
    };
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn told(action: &Action, value: &Value) -> String {
    if let Action::Enable(_) | Action::Disable(_) = action {
        return switched(matches!(action, Action::Enable(_)), value);
    }
    let changed = value["changed"] == true;
    let what = match (action, changed) {
        (Action::Release(_), _) => "released",
        (Action::Pause(_), true) => "paused",
        (Action::Pause(_), false) => "was paused already",
        (Action::Resume(_), true) => "resumed",
        (Action::Resume(_), false) => "was not paused",
        (Action::Refresh(_), true) => {
            "its quotas are being asked for: `agp status --json` shows them"
        }
        (_, _) => "can't be asked for its quotas in the state it is in",
    };
    format!("{what}\n{}", status::describe_account(&value["account"]))
}

/// What became of the edit.
fn switched(on: bool, value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let word = if on { "enabled" } else { "disabled" };
    if value["saved"] == true {
        return format!("{word}\n\n{}", text("diff"));
    }
    if value["changed"] == false {
        return format!("was {word} already\n");
    }
    let patch = &value["patch"];
    format!(
        "nothing is saved: {}\nto be committed with `{}`:\n\n{}",
        text("why"),
        patch["command"].as_str().unwrap_or_default(),
        patch["text"].as_str().unwrap_or_default()
    )
}
