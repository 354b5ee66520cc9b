//! The command line: parse, call, print, nothing else.
//!
//! Exit codes: 0 fine, 1 the user's mistake, 2 usage, 3 a gate asked for failed, 4 the gateway can't be reached.

pub mod account;
pub mod ask;
pub mod config;
pub mod demo;
pub mod diff;
pub mod explain;
pub mod fmt;
pub mod hash_password;
pub mod healthcheck;
pub mod history;
#[cfg(feature = "import")]
pub mod import;
pub mod init;
pub mod key;
pub mod login;
pub mod logs;
pub mod pick;
pub mod plan;
pub mod prompt;
pub mod reload;
pub mod rollback;
pub mod rotate;
pub mod running;
mod saving;
pub mod schema;
pub mod seal;
pub mod sealing;
pub mod serve;
pub mod signin;
pub mod simulate;
pub mod state;
pub mod status;
pub mod unseal;
pub mod validate;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::base::dump;
use crate::base::task::Tasks;
use crate::config::render::Style;

/// Exit code for the user's mistake.
pub const MISTAKE: u8 = 1;
/// Exit code where a gate that was asked for failed.
pub const FAILED: u8 = 3;
/// Exit code where the gateway can't be reached.
pub const UNREACHABLE: u8 = 4;

/// A config-as-code LLM gateway: one file declares accounts, keys, models and routing
#[derive(Debug, Parser)]
#[command(
    name = "agp",
    version,
    after_help = "Without a command: `agp serve`.\n\nExample:\n  agp --config agp.toml"
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What stands before the command's name.
    #[command(flatten)]
    pub before: Before,
}

/// Options of `agp serve`, which is the default, and of every command that takes them: before the command's name.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Before {
    /// The configuration file; without it `$AGP_CONFIG`, else `./agp.toml`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What `state.path` and `secrets.identity` are relative to; by default the folder of the configuration file
    #[arg(long, value_name = "DIR", env = "AGP_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the gateway that agp.toml describes (the default)
    Serve(serve::Args),
    /// Serve a simulated upstream with ready-made accounts, to try everything without an account
    Demo(demo::Args),
    /// Run the simulated upstream alone
    Simulate(simulate::Args),
    /// Write an agp.toml to begin with
    Init(init::Args),
    /// Check configuration files
    Validate(validate::Args),
    /// Make an agp.toml of another gateway's configuration
    #[cfg(feature = "import")]
    Import(import::Args),
    /// Put configuration files into canonical order and spacing
    Fmt(fmt::Args),
    /// Show every value in force and where it came from
    Config(config::Args),
    /// Print the JSON Schema of agp.toml, for editors
    Schema(schema::Args),
    /// Make client keys, and see what they use
    Key(key::Args),
    /// Hash a password for `admin.password_hash`
    HashPassword(hash_password::Args),
    /// Seal a secret so that it may be committed
    Seal(seal::Args),
    /// Print the secret in a sealed value
    Unseal(unseal::Args),
    /// Seal everything for the present recipients, or for a new identity
    Rotate(rotate::Args),
    /// Sign in to an upstream and print the account's table
    Login(signin::Args),
    /// Show what the running gateway does
    Status(status::Args),
    /// Tell what a changed file would do before it does it
    Plan(plan::Args),
    /// Have the running gateway read its files now, and tell what came of it
    Reload(reload::Args),
    /// List the generations of the files: when, who, what
    History(history::Args),
    /// Show what differs between two generations
    Diff(diff::Args),
    /// Go back to the files of an earlier generation
    Rollback(rollback::Args),
    /// Release, pause, resume or refresh an account of the running gateway
    Account(account::Args),
    /// Show which accounts a model's requests would go to
    Pick(pick::Args),
    /// List the requests of the log, newest first
    Logs(logs::Args),
    /// Tell what became of a request: every account's verdict and every try
    Explain(explain::Args),
    /// Back up, put back, check or compact what the gateway keeps
    State(state::Args),
    /// Ask a running gateway whether it answers, for containers
    Healthcheck(healthcheck::Args),
}

impl Command {
    /// What it takes of `agp serve`'s options, which may also stand before its name.
    fn serve_args(&mut self) -> Option<&mut serve::Args> {
        match self {
            Self::Serve(args) => Some(args),
            Self::Login(args) => Some(&mut args.serve),
            Self::Seal(args) => Some(&mut args.serve),
            Self::Unseal(args) => Some(&mut args.serve),
            Self::Rotate(args) => Some(&mut args.serve),
            Self::Status(args) => Some(&mut args.at.serve),
            Self::Plan(args) => Some(&mut args.at.serve),
            Self::Reload(args) => Some(&mut args.at.serve),
            Self::History(args) => Some(&mut args.at.serve),
            Self::Diff(args) => Some(&mut args.at.serve),
            Self::Rollback(args) => Some(&mut args.at.serve),
            Self::Account(args) => Some(args.serve_args()),
            Self::Pick(args) => Some(&mut args.at.serve),
            Self::Explain(args) => Some(&mut args.at.serve),
            Self::Key(args) => args.serve_args(),
            Self::Logs(args) => Some(&mut args.at.serve),
            Self::State(args) => Some(&mut args.serve),
            Self::Healthcheck(args) => Some(&mut args.serve),
            Self::Demo(_)
            | Self::Simulate(_)
            | Self::Validate(_)
            | Self::Init(_)
            | Self::Fmt(_)
            | Self::Config(_)
            | Self::Schema(_)
            | Self::HashPassword(_) => None,
            #[cfg(feature = "import")]
            Self::Import(_) => None,
        }
    }
}

/// Reads the arguments. Options of `agp serve` may stand before or after the name of a command that takes them.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let Cli { command, before } = Cli::from_arg_matches(&matches)?;
    let Some(mut command) = command else {
        return Ok(Command::Serve(serve::Args {
            config: before.config,
            state_dir: before.state_dir,
        }));
    };
    let given = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    let (config, state_dir) = (given("config"), given("state_dir"));
    if let Some(args) = command.serve_args() {
        if config && args.config.is_none() {
            args.config = before.config;
        }
        // Both have it from the environment where neither was given one.
        if state_dir && args.state_dir == environment("AGP_STATE_DIR") {
            args.state_dir = before.state_dir;
        }
    } else if config || state_dir {
        let name = matches.subcommand_name().unwrap_or_default();
        return Err(Cli::command().error(
            ErrorKind::ArgumentConflict,
            format!("`agp {name}` reads no running configuration: leave `--config` and `--state-dir` out, see `agp {name} --help`"),
        ));
    }
    Ok(command)
}

fn environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let command = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    // Before anything reads a secret.
    for refused in dump::forbid() {
        let _ = writeln!(err, "warning: {refused}");
    }
    let code = match command {
        Command::Validate(args) => {
            let env = crate::runtime::controller::environment().collect();
            let style = style(out.is_terminal());
            validate::run(&args, &env, style, &mut out, &mut err)
        }
        #[cfg(feature = "import")]
        Command::Import(args) => {
            let env = crate::runtime::controller::environment().collect();
            import::run(&args, &env, &mut out, &mut err)
        }
        Command::Init(args) => init::run(&args, &mut out, &mut err),
        Command::Fmt(args) => {
            let env = crate::runtime::controller::environment().collect();
            fmt::run(&args, &env, &mut out, &mut err)
        }
        Command::Config(args) => {
            let env = crate::runtime::controller::environment().collect();
            let style = style(err.is_terminal());
            config::run(&args, &env, style, &mut out, &mut err)
        }
        Command::Schema(args) => schema::run(&args, &mut out),
        Command::Key(key::Args {
            command: key::Command::New { name, admin },
        }) => key::run(&name, admin, &mut out, &mut err),
        Command::HashPassword(args) => {
            let input = std::io::stdin();
            let terminal = input.is_terminal();
            hash_password::run(&args, &mut input.lock(), terminal, &mut out, &mut err)
        }
        other => Ok(block_on(other, &mut out, &mut err)),
    };
    // Nobody may be reading what is printed: the code still tells.
    let _ = out.flush();
    ExitCode::from(code.unwrap_or(MISTAKE))
}

/// Colours are for terminals.
fn style(terminal: bool) -> Style {
    if terminal {
        Style::Colour
    } else {
        Style::Plain
    }
}

/// Runs what needs the network on a runtime.
fn block_on(command: Command, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(err, "error: the runtime can't be started: {error}");
            return MISTAKE;
        }
    };
    let done = runtime.block_on(run(command, out));
    // What is left behind (a blocked read of standard input) must not hold the exit up.
    runtime.shutdown_background();
    match done {
        Ok(()) => 0,
        Err(failed) => {
            let _ = writeln!(err, "error: {}", failed.message);
            failed.code
        }
    }
}

/// A command's failure: what to print and the exit code.
#[derive(Debug)]
pub struct Failed {
    /// A sentence for people.
    pub message: String,
    /// See the module's list.
    pub code: u8,
}

impl From<String> for Failed {
    fn from(message: String) -> Self {
        Self {
            message,
            code: MISTAKE,
        }
    }
}

async fn run(command: Command, out: &mut dyn Write) -> Result<(), Failed> {
    let tasks = Tasks::new();
    match command {
        Command::Serve(args) => Box::pin(serve::run(args, &tasks)).await?,
        Command::Demo(args) => Box::pin(demo::run(args, &tasks, out)).await?,
        Command::Simulate(args) => simulate::run(args, &tasks).await?,
        Command::Login(args) => Box::pin(signin::run(&args, out)).await?,
        Command::Seal(args) => seal::run(&args, out, &mut std::io::stderr()).await?,
        Command::Unseal(args) => unseal::run(&args, out)?,
        Command::Rotate(args) => rotate::run(&args, out).await?,
        Command::State(args) => state::run(&args, out).await?,
        Command::Status(args) => status::run(&args, out).await?,
        Command::Plan(args) => plan::run(&args, out).await?,
        Command::Reload(args) => reload::run(&args, out).await?,
        Command::History(args) => history::run(&args, out).await?,
        Command::Diff(args) => diff::run(&args, out).await?,
        Command::Rollback(args) => rollback::run(&args, out).await?,
        Command::Account(args) => account::run(&args, out).await?,
        Command::Pick(args) => pick::run(&args, out).await?,
        Command::Logs(args) => logs::run(&args, out).await?,
        Command::Explain(args) => explain::run(&args, out).await?,
        Command::Healthcheck(args) => healthcheck::run(&args).await?,
        Command::Key(args) => {
            if let key::Command::Usage(args) = &args.command {
                key::run_usage(args, out).await?;
            }
        }
        // Those that need no network have run before.
        Command::Validate(_)
        | Command::Init(_)
        | Command::Fmt(_)
        | Command::Config(_)
        | Command::Schema(_)
        | Command::HashPassword(_) => {}
        #[cfg(feature = "import")]
        Command::Import(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_configuration_may_be_named_before_or_after_the_command() {
        for line in [
            "agp --config a.toml",
            "agp --config a.toml serve",
            "agp status --config a.toml",
            "agp --config a.toml status",
            "agp --config b.toml status --config a.toml",
            "agp --config a.toml account pause main",
            "agp account pause main --config a.toml",
            "agp --config a.toml state check",
            "agp state check --config a.toml",
            "agp state --config a.toml check",
        ] {
            let mut command = parsed(line).unwrap();
            let config = command.serve_args().unwrap().config.take();
            assert_eq!(config.as_deref(), Some(Path::new("a.toml")), "{line}");
        }
        for line in [
            "agp --config a.toml demo",
            "agp --state-dir . key new",
            "agp frobnicate",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
