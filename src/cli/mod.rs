//! The command line: one small file per command.

mod config;
mod crds;
mod follow;
mod policies;
mod run;
mod uninstall;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use config::{Configured, Refusal};
use follow::Followed;

/// Exit code for wrong usage or configuration.
const USAGE: u8 = 2;
/// Exit code for a cluster or input that cannot be read.
const UNREADABLE: u8 = 3;
/// Exit code of an operator that is to be started anew, because API servers serve something else than when it began.
const ANEW: u8 = 4;
/// The same for people.
const EXIT_CODES: &str = "Exit codes: 0 fine, 2 wrong usage or configuration, 3 cluster or input cannot be read, 4 to be started anew after an upgrade of the cluster.";

/// Sensitive data only on clouds that are trusted for it.
#[derive(Debug, Parser)]
#[command(name = "rempart", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator
    #[command(after_help = config::file_help())]
    Run(Box<run::Arguments>),
    /// Print the custom resource definitions
    Crds,
    /// Print every admission policy and binding that the operator writes, for review or for Git
    Policies(policies::Arguments),
    /// Take away what guards a cluster, when the operator is removed already
    Uninstall(uninstall::Arguments),
}

/// Why a command ended without success: a sentence for people, and the exit code.
struct Failure {
    code: u8,
    message: String,
}

/// All commands with their options, for the reference.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Parses the arguments, runs the command and gives its exit code: 0 fine, 2 wrong usage, 3 cluster or input cannot be read, 4 to be started anew.
pub fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    let Configured { arguments, settings, file } = match config::configured(&line, |path| std::fs::read_to_string(path)) {
        Ok(configured) => configured,
        Err(Refusal::Parser(error)) => error.exit(),
        Err(Refusal::Wrong(why)) => return fail(&Failure { code: USAGE, message: why }),
    };
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(&arguments, settings, file.map(|(path, read)| Followed { line, path, read: Ok(read) })),
        Command::Crds => crds::run(),
        Command::Policies(arguments) => policies::run(&arguments),
        Command::Uninstall(arguments) => uninstall::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    eprintln!("rempart: {}", failure.message);
    ExitCode::from(failure.code)
}

/// Writes YAML documents to standard output. A reader that stops reading, such as `head`, is no failure.
fn print_yaml<T: serde::Serialize>(documents: &[T]) -> Result<(), Failure> {
    use std::io::Write;

    let mut text = String::new();
    for document in documents {
        let yaml = serde_saphyr::to_string(document).map_err(|error| Failure { code: UNREADABLE, message: error.to_string() })?;
        text.push_str("---\n");
        text.push_str(&yaml);
    }
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure { code: UNREADABLE, message: error.to_string() }),
        _ => Ok(()),
    }
}
