//! The `rempart` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    rempart::cli::main()
}
