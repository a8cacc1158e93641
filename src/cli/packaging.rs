//! `completions` and `man`: what packages of this program ship besides it.

use std::path::Path;
use std::{fs, io};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use npm_nixhash::report::Message;

use super::args::Cli;
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};

/// The name that completions are for.
const NAME: &str = "npm-nixhash";

/// Prints a completion script.
pub(super) fn completions(shell: Shell, terminal: &Terminal) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    terminal.data(&String::from_utf8_lossy(&script));
    Exit::Fine
}

/// Prints the program's manual page, or writes it and those of its commands to a folder.
pub(super) fn man(folder: Option<&Path>, environment: &Environment, terminal: &Terminal) -> Outcome {
    let command = Cli::command().disable_help_subcommand(true);
    let Some(folder) = folder else {
        terminal.data(&page(command).map_err(|error| Fatal::new(&error))?);
        return Ok(Exit::Fine);
    };
    let folder = environment.absolute(folder);
    fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(command, &folder)).map_err(
        |error| {
            let message = Message::plain(format!("cannot write manual pages to {}", folder.display()));
            Fatal(message.caused_by(&error))
        },
    )?;
    Ok(Exit::Fine)
}

/// A page in roff.
fn page(command: Command) -> io::Result<String> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
