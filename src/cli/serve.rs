//! `agp serve`.

use std::path::{Path, PathBuf};

use crate::app::{self, App, log};
use crate::base::task::Tasks;
use crate::config::model::{Log, LogFormat};
use crate::runtime::controller::{self, Places, Read};

/// Arguments of `agp serve`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp serve --config agp.toml --state-dir .")]
#[group(skip)]
pub struct Args {
    /// The configuration file; without it `$AGP_CONFIG`, else `./agp.toml`
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What `state.path` and `secrets.identity` are relative to; by default the folder of the configuration file
    #[arg(long, value_name = "DIR", env = "AGP_STATE_DIR", global = true)]
    pub state_dir: Option<PathBuf>,
}

impl Args {
    /// The configuration file and the state folder.
    ///
    /// # Errors
    /// There is no file: names the places looked at.
    pub fn places(&self) -> Result<Places, String> {
        let variable = std::env::var_os("AGP_CONFIG")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from);
        let root = match (&self.config, &variable) {
            (Some(path), _) | (None, Some(path)) => path.clone(),
            (None, None) => PathBuf::from("agp.toml"),
        };
        if !root.exists() {
            return Err(match (&self.config, &variable) {
                (Some(path), _) => format!("there is no configuration file `{}` (given by --config)", path.display()),
                (None, Some(path)) => format!("there is no configuration file `{}` (given by AGP_CONFIG)", path.display()),
                (None, None) => "there is no configuration file: looked at --config (not given), AGP_CONFIG (not set) \
                                 and ./agp.toml\n\
                                 to begin, run `agp init`, or try `agp demo`, which needs no file"
                    .to_owned(),
            });
        }
        let folder = root
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let state_dir = self.state_dir.clone().unwrap_or_else(|| folder.to_owned());
        Ok(Places { root, state_dir })
    }
}

/// Reads the files.
///
/// # Errors
/// Everything that is wrong with them.
pub fn read(places: &Places) -> Result<Read, String> {
    controller::read(&places.root).map_err(|unreadable| {
        let errors = &unreadable.errors;
        let n = errors.len();
        let plural = if n == 1 { "" } else { "s" };
        format!(
            "{n} error{plural} in the configuration (`agp validate {}` shows the lines):\n{}",
            places.root.display(),
            errors.join("\n")
        )
    })
}

/// Serves until it is told to stop.
///
/// # Errors
/// A sentence for people.
pub async fn run(args: Args, tasks: &Tasks) -> Result<(), String> {
    let places = args.places()?;
    let (read, mended) = match read(&places) {
        Ok(read) => (read, None),
        Err(errors) => match app::mend(&places).await {
            Some(told) => {
                let read = self::read(&places).map_err(|errors| format!("{told}\n{errors}"))?;
                (read, Some(told))
            }
            None => return Err(errors),
        },
    };
    let log = log::start(&read.config.log)?;
    if let Some(told) = mended {
        tracing::warn!("{told}");
    }
    let app = Box::pin(App::start(read, places, tasks.clone(), Some(log))).await?;
    app.run().await
}

/// The log of the demo, which prints for people: errors only.
pub fn quiet() -> Log {
    Log {
        level: "error".to_owned(),
        format: LogFormat::Text,
    }
}
