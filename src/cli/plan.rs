//! `agp plan`: what a file would change in the running gateway, or against another file.

use std::io::Write;
use std::path::{Path, PathBuf};

use http::Method;
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::cli::{FAILED, Failed, ask};
use crate::config::diagnostic::Severity;
use crate::config::plan::{self, Facts, MarkKey, Plan, Risk};
use crate::config::source::Files;
use crate::config::{self, render};

/// Arguments of `agp plan`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp plan new.toml --against agp.toml --fail-on high")]
pub struct Args {
    /// The file that would be applied (default: the one that the gateway was started with)
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What it is compared with: `running`, a file, or the address of a gateway elsewhere (as `--url`)
    #[arg(long, value_name = "running|FILE|URL", default_value = "running")]
    pub against: String,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Exit with code 3 where something is of this risk or of a higher one
    #[arg(long, value_enum, value_name = "RISK", default_value_t = FailOn::None)]
    pub fail_on: FailOn,
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
    /// For a comment on a pull request
    Markdown,
}

/// From which risk on the exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Somebody is refused, or secrets go elsewhere
    High,
    /// Some requests fare worse, or somebody may do more
    Medium,
    /// Any change
    Low,
    /// Never
    None,
}

impl FailOn {
    fn risk(self) -> Option<Risk> {
        match self {
            Self::High => Some(Risk::High),
            Self::Medium => Some(Risk::Medium),
            Self::Low => Some(Risk::Low),
            Self::None => None,
        }
    }
}

/// What the gateway answers.
#[derive(Deserialize)]
struct Answer {
    generation: u64,
    plan: Plan,
}

/// The plan for scripts.
#[derive(Serialize)]
struct Printed<'a> {
    before: &'a str,
    after: &'a str,
    risk: Option<Risk>,
    summary: String,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// Prints the plan.
///
/// # Errors
/// Code 1 where a file can't be used, code 3 where the risk is as high as `--fail-on` says, code 4 where no gateway runs on
/// this state folder.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let key = MarkKey::random()?;
    let (plan, before, after) = match args.against.as_str() {
        "running" => against_running(args, &key).await?,
        url if url.contains("://") => {
            let mut elsewhere = args.clone();
            elsewhere.at.url = Some(url.to_owned());
            against_running(&elsewhere, &key).await?
        }
        other => {
            let after = match &args.file {
                Some(file) => file.clone(),
                None => args.at.serve.places()?.root,
            };
            let before = Path::new(other);
            let (from, to) = (facts(before, &key)?, facts(&after, &key)?);
            let plan = plan::plan(&from, &to, Timestamp::now());
            (plan, other.to_owned(), after.display().to_string())
        }
    };
    let text = match args.format {
        Format::Human => plan::human(&plan, &before, &after),
        Format::Markdown => plan::markdown(&plan, &before, &after),
        Format::Json => {
            let printed = Printed {
                before: &before,
                after: &after,
                risk: plan.risk(),
                summary: plan.summary(),
                plan: &plan,
            };
            let text = serde_json::to_string_pretty(&printed).map_err(|e| e.to_string())?;
            format!("{text}\n")
        }
    };
    let _ = out.write_all(text.as_bytes());
    match (args.fail_on.risk(), plan.risk()) {
        (Some(limit), Some(risk)) if risk >= limit => Err(Failed {
            message: format!(
                "the plan has changes of {} risk (`--fail-on {}`)",
                risk.as_str(),
                limit.as_str()
            ),
            code: FAILED,
        }),
        _ => Ok(()),
    }
}

async fn against_running(args: &Args, key: &MarkKey) -> Result<(Plan, String, String), Failed> {
    let mut at = args.at.clone();
    let file = match (&args.file, at.serve.places()) {
        (Some(file), Ok(_)) => file.clone(),
        (None, Ok(places)) => places.root,
        // A file that is given may itself be the only one there is: then the gateway is its gateway.
        (Some(file), Err(_)) if at.serve.config.is_none() => {
            at.serve.config = Some(file.clone());
            file.clone()
        }
        (_, Err(error)) => return Err(error.into()),
    };
    let body = serde_json::to_vec(&facts(&file, key)?).map_err(|e| e.to_string())?;
    let value = ask::told(&at, Method::POST, "/plan", body.into(), ask::WAIT).await?;
    let answer: Answer = serde_json::from_value(value)
        .map_err(|e| format!("the gateway's answer can't be read: {e}"))?;
    let whose = at.url.as_deref().unwrap_or("running");
    Ok((
        answer.plan,
        format!("{whose} (generation {})", answer.generation),
        file.display().to_string(),
    ))
}

/// What a file says. The environment is left out: it is the gateway's that counts, and the gateway holds to it.
fn facts(root: &Path, key: &MarkKey) -> Result<Facts, String> {
    let files = Files::read(root);
    let loaded = config::load(&files, std::iter::empty());
    let Some(config) = loaded.config else {
        let errors = (loaded.diagnostics.iter())
            .filter(|d| d.code.severity() == Severity::Error)
            .map(|d| render::line(&files, d));
        let errors: Vec<String> = errors.collect();
        return Err(format!(
            "`{}` can't be planned with, it has errors:\n{}",
            root.display(),
            errors.join("\n")
        ));
    };
    let folder = root.parent().unwrap_or(Path::new(""));
    Ok(Facts::of(&config, folder, key))
}
