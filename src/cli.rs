//! The command line: parse, call, print, nothing else.
//!
//! Exit codes: 0 fine, 1 the user's mistake, 2 usage, 3 a gate asked for failed, 4 the gateway can't be reached.

pub mod account;
pub mod ask;
pub mod demo;
pub mod explain;
pub mod hash_password;
pub mod healthcheck;
pub mod key;
pub mod login;
pub mod logs;
pub mod pick;
pub mod running;
pub mod serve;
pub mod signin;
pub mod simulate;
pub mod state;
pub mod status;
pub mod validate;

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    args_conflicts_with_subcommands = true,
    after_help = "Without a command: `agp serve`.\n\nExample:\n  agp --config agp.toml"
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
    /// `agp serve` is the default.
    #[command(flatten)]
    pub serve: serve::Args,
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
    /// Check configuration files
    Validate(validate::Args),
    /// Make client keys
    Key(key::Args),
    /// Hash a password for `admin.password_hash`
    HashPassword(hash_password::Args),
    /// Sign in to an upstream and print the account's table
    Login(signin::Args),
    /// Show what the running gateway does
    Status(status::Args),
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

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    let code = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Validate(args) => {
            let env = crate::runtime::controller::environment().collect();
            let style = if out.is_terminal() {
                Style::Colour
            } else {
                Style::Plain
            };
            validate::run(&args, &env, style, &mut out, &mut err)
        }
        Command::Key(args) => key::run(&args, &mut out, &mut err),
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
        Command::State(args) => state::run(&args, out).await?,
        Command::Status(args) => status::run(&args, out).await?,
        Command::Account(args) => account::run(&args, out).await?,
        Command::Pick(args) => pick::run(&args, out).await?,
        Command::Logs(args) => logs::run(&args, out).await?,
        Command::Explain(args) => explain::run(&args, out).await?,
        Command::Healthcheck(args) => healthcheck::run(&args).await?,
        Command::Validate(_) | Command::Key(_) | Command::HashPassword(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
