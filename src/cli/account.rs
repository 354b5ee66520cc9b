//! `agp account`: looks at accounts of the running gateway, and does what a person does to one.

use std::io::Write;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::Method;
use serde_json::Value;

use crate::cli::{Failed, MISTAKE, ask, serve, status};

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
    /// Show every account: its state, and the least that is left of a quota
    #[command(after_help = "Example:\n  agp account list")]
    List(All),
    /// Show one account: its state, and what is left of each model's quota
    #[command(after_help = "Example:\n  agp account show alice")]
    Show(Named),
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
    #[command(after_help = "Example:\n  agp account disable alice")]
    Disable(Switched),
    /// Ask its upstream now: token, project, models, quotas
    ///
    /// Waits for the answer. Exits with 1 where it is a refusal.
    #[command(after_help = "Example:\n  agp account refresh alice\n  agp account refresh --all")]
    Refresh(Refresh),
}

/// Which account.
#[derive(Debug, Clone, clap::Args)]
pub struct Named {
    /// The account's name in the file
    pub name: String,
    /// How to print and where to ask
    #[command(flatten)]
    pub all: All,
}

/// Which account, in which files.
#[derive(Debug, Clone, clap::Args)]
pub struct Switched {
    /// The account
    #[command(flatten)]
    pub named: Named,
    /// Only if the files still have this revision, as `agp status --json` prints it
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

/// Which accounts to refresh.
#[derive(Debug, Clone, clap::Args)]
pub struct Refresh {
    /// The account's name in the file
    #[arg(required_unless_present = "every", conflicts_with = "every")]
    pub name: Option<String>,
    /// All accounts that can be asked, a few at a time, a line for each
    #[arg(long = "all")]
    pub every: bool,
    /// How to print and where to ask
    #[command(flatten)]
    pub all: All,
}

/// What every action takes.
#[derive(Debug, Clone, clap::Args)]
pub struct All {
    /// Print the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

impl Args {
    /// Where the configuration and the state are.
    pub fn serve_args(&mut self) -> &mut serve::Args {
        let all = match &mut self.action {
            Action::List(all) => all,
            Action::Show(named)
            | Action::Release(named)
            | Action::Pause(named)
            | Action::Resume(named) => &mut named.all,
            Action::Refresh(refresh) => &mut refresh.all,
            Action::Enable(switched) | Action::Disable(switched) => &mut switched.named.all,
        };
        &mut all.at.serve
    }
}

/// How many accounts are refreshed at once.
const PARALLEL: usize = 4;
/// How long the gateway may take for one: longer than it gives an upstream.
const WAIT: Duration = Duration::from_secs(40);

/// Asks the running gateway.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 where there is no such account or a refresh failed.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    match &args.action {
        Action::List(all) => list(all, out).await,
        Action::Show(named) => act(named, Method::GET, "", shown, out).await,
        Action::Release(named) => act(named, Method::POST, "/release", released, out).await,
        Action::Pause(named) => act(named, Method::POST, "/pause", paused, out).await,
        Action::Resume(named) => act(named, Method::POST, "/resume", resumed, out).await,
        Action::Enable(it) => switch(it, "/enable", enabled, out).await,
        Action::Disable(it) => switch(it, "/disable", disabled, out).await,
        Action::Refresh(refresh) => match &refresh.name {
            Some(name) => refresh_one(name, &refresh.all, out).await,
            None => refresh_all(&refresh.all, out).await,
        },
    }
}

async fn act(
    named: &Named,
    method: Method,
    word: &str,
    told: fn(&Value) -> String,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let path = format!("/accounts/{}{word}", ask::encoded(&named.name));
    let value = ask::operation(&named.all.at, method, &path).await?;
    print(&named.all, &value, told, out);
    Ok(())
}

async fn switch(
    switched: &Switched,
    word: &str,
    told: fn(&Value) -> String,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let word = match &switched.revision {
        Some(revision) => format!("{word}?revision={}", ask::encoded(revision)),
        None => word.to_owned(),
    };
    act(&switched.named, Method::POST, &word, told, out).await
}

fn print(all: &All, value: &Value, told: fn(&Value) -> String, out: &mut dyn Write) {
    let text = if all.json {
        format!("{value:#}\n")
    } else {
        told(value)
    };
    let _ = out.write_all(text.as_bytes());
}

fn released(value: &Value) -> String {
    format!("released\n{}", status::describe_account(&value["account"]))
}

fn paused(value: &Value) -> String {
    let what = if value["changed"] == true {
        "paused"
    } else {
        "was paused already"
    };
    format!("{what}\n{}", status::describe_account(&value["account"]))
}

fn resumed(value: &Value) -> String {
    let what = if value["changed"] == true {
        "resumed"
    } else {
        "was not paused"
    };
    format!("{what}\n{}", status::describe_account(&value["account"]))
}

fn enabled(value: &Value) -> String {
    edited("enabled", value)
}

fn disabled(value: &Value) -> String {
    edited("disabled", value)
}

/// What became of an edit of the file.
fn edited(word: &str, value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let warnings = value["warnings"].as_array().into_iter().flatten();
    let warnings = warnings.filter_map(|warning| warning["message"].as_str());
    let warnings: String = warnings
        .flat_map(|said| ["warning: ", said, "\n"])
        .collect();
    if value["saved"] == true {
        return format!("{word}\n{warnings}\n{}", text("diff"));
    }
    if value["changed"] == false {
        return format!("was {word} already\n");
    }
    let of_patch = |name: &str| value["patch"][name].as_str().unwrap_or_default();
    format!(
        "{warnings}nothing is saved: {}\nto be committed with `{}`:\n\n{}",
        text("why"),
        of_patch("command"),
        of_patch("text")
    )
}

fn shown(value: &Value) -> String {
    let account = &value["account"];
    format!("{}{}", status::describe_account(account), quotas(account))
}

/// A line for each model's quota.
fn quotas(account: &Value) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for quota in account["quotas"].as_array().into_iter().flatten() {
        let model = quota["model"].as_str().unwrap_or_default();
        let left = left(quota["remaining"].as_f64());
        let reset = quota["reset"].as_str();
        let reset = reset.map_or_else(String::new, |at| format!(", full again at {at}"));
        let _ = writeln!(out, "    {model:<28} {left}{reset}");
    }
    out
}

/// A quota's remaining share as a bar and a number.
fn left(remaining: Option<f64>) -> String {
    let Some(share) = remaining else {
        return format!("{:10} unknown", "");
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 10, from 0 to 1"
    )]
    let full = (share.clamp(0.0, 1.0) * 10.0).round() as usize;
    let bar = format!("{}{}", "#".repeat(full), ".".repeat(10 - full));
    format!("{bar} {:3.0} % left", share * 100.0)
}

async fn list(all: &All, out: &mut dyn Write) -> Result<(), Failed> {
    let value = ask::operation(&all.at, Method::GET, "/accounts").await?;
    print(all, &value, listed, out);
    Ok(())
}

fn listed(value: &Value) -> String {
    let accounts = value["accounts"].as_array().into_iter().flatten();
    let lines: Vec<String> = accounts
        .map(|account| {
            let text = |name: &str| account[name].as_str().unwrap_or_default();
            let all = account["quotas"].as_array().into_iter().flatten();
            let known = all.filter_map(|quota| quota["remaining"].as_f64());
            let least = left(known.reduce(f64::min));
            let (name, upstream, state) = (text("name"), text("upstream"), text("state"));
            let line = format!("  {name:<24} {upstream:<16} {state:<18} {least}");
            format!("{}\n", line.trim_end())
        })
        .collect();
    lines.concat()
}

/// Whether the account could be refreshed, and what is to be said.
fn outcome(value: &Value) -> (bool, String) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let refreshed = &value["refreshed"];
    if refreshed.is_object() {
        let until = text(&refreshed["token_until"]);
        let until = until.map_or_else(String::new, |at| format!(" until {at}"));
        let told = format!(
            "token {}{until}, project {}, tier {}, {} models",
            text(&refreshed["token"]).unwrap_or_default(),
            text(&refreshed["project"]).unwrap_or_else(|| "none".to_owned()),
            text(&refreshed["tier"]).unwrap_or_else(|| "unknown".to_owned()),
            refreshed["models"],
        );
        return (true, told);
    }
    let error = &value["error"];
    if error.is_object() {
        let part = |name: &str| text(&error[name]).filter(|t| !t.is_empty());
        let parts = [part("message"), part("detail"), part("link")];
        let told: Vec<String> = parts.into_iter().flatten().collect();
        let class = part("class").unwrap_or_default();
        return (false, format!("{class}: {}", told.join("; ")));
    }
    let state = text(&value["account"]["state"]).unwrap_or_default();
    let step = text(&value["account"]["step"]).unwrap_or_default();
    (false, format!("not asked, since it is {state}: {step}"))
}

async fn refreshed(name: &str, all: &All) -> Result<Value, Failed> {
    let path = format!("/accounts/{}/refresh", ask::encoded(name));
    ask::operation_within(&all.at, Method::POST, &path, WAIT).await
}

async fn refresh_one(name: &str, all: &All, out: &mut dyn Write) -> Result<(), Failed> {
    let value = refreshed(name, all).await?;
    let (good, told) = outcome(&value);
    if all.json || good {
        print(
            all,
            &value,
            |value| format!("{}\n{}", outcome(value).1, shown(value)),
            out,
        );
    }
    if good {
        return Ok(());
    }
    Err(Failed {
        message: format!("`{name}` could not be refreshed: {told}"),
        code: MISTAKE,
    })
}

/// A few at a time; each account's line is printed when it is done, as one object a line with `--json`.
async fn refresh_all(all: &All, out: &mut dyn Write) -> Result<(), Failed> {
    let value = ask::operation(&all.at, Method::GET, "/accounts").await?;
    let accounts = value["accounts"].as_array().into_iter().flatten();
    let names: Vec<&str> = accounts
        .filter(|account| {
            let state = account["state"].as_str().unwrap_or_default();
            !matches!(state, "paused" | "disabled" | "needs_login")
        })
        .filter_map(|account| account["name"].as_str())
        .collect();
    let mut answers = stream::iter(&names)
        .map(|name| async move { (*name, refreshed(name, all).await) })
        .buffer_unordered(PARALLEL);
    let mut bad = 0;
    while let Some((name, answer)) = answers.next().await {
        let value = answer?;
        let (good, told) = outcome(&value);
        bad += usize::from(!good);
        let line = if all.json {
            format!("{value}\n")
        } else {
            format!(
                "  {name:<24} {}{told}\n",
                if good { "" } else { "failed: " }
            )
        };
        let _ = out.write_all(line.as_bytes());
    }
    drop(answers);
    if bad > 0 {
        return Err(Failed {
            message: format!("{bad} of {} accounts could not be refreshed", names.len()),
            code: MISTAKE,
        });
    }
    Ok(())
}
