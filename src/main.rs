//! The `agp` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    agp::cli::main()
}
