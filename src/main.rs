//! The command line: parse, run, render, exit status. All of it lives in [`cli`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
