//! THE SHELL: the only place that prints, reads the environment, and knows exit codes. One file per command.

mod add;
mod args;
mod cache;
mod check;
mod config;
mod drop_in;
mod env;
mod explain;
#[cfg(feature = "fleet")]
mod fleet;
#[cfg(not(feature = "fleet"))]
#[path = "fleet_absent.rs"]
mod fleet;
mod hash;
mod init;
mod list;
mod log;
mod merge_driver;
mod nix_store;
mod npm;
mod output;
mod packaging;
mod progress;
mod publish;
mod repair;
mod resolve;
mod signals;
mod source_tokens;
mod supply;
mod survey;
mod update;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser as _;
use env::Environment;
use npm_nixhash::report::messages::MessageKind;
use output::{Exit, Fatal, Terminal};

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if drop_in::is_called(arguments.first()) {
        return drop_in::main(&arguments);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(said) => return output::help_or_usage(&said),
    };
    let mut environment = Environment::read();
    if let Some(directory) = &cli.directory {
        environment.here = environment.absolute(directory);
    }
    cli.color.write_global();
    let terminal = Terminal::new(cli.quiet, cli.verbose, &environment);
    let outcome = log::begin(&environment, cli.quiet, cli.verbose).and_then(|()| match &cli.command {
        Command::Update(args) => update::run(args, &environment, &terminal),
        Command::Check(args) => check::run(args, &environment, &terminal),
        Command::List(args) => list::run(args, &environment, &terminal),
        Command::Explain(args) => explain::run(args, &environment, &terminal),
        Command::Repair(args) => repair::run(args, &environment, &terminal),
        Command::MergeDriver(args) => merge_driver::run(args, &environment, &terminal),
        Command::Add(args) => add::run(args, &environment, &terminal),
        Command::Hash(args) => hash::run(args, &environment, &terminal),
        Command::Cache(args) => cache::run(args, &environment, &terminal),
        Command::Init(args) => init::run(args, &environment, &terminal),
        Command::Completions { shell } => Ok(packaging::completions(*shell, &terminal)),
        Command::Man { dir } => packaging::man(dir.as_deref(), &environment, &terminal),
    });
    let exit = outcome.unwrap_or_else(|Fatal(message)| {
        terminal.message(MessageKind::Error, &message);
        Exit::Failed
    });
    terminal.end(exit).into()
}
