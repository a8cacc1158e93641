//! Called as `prefetch-npm-deps`, the program behaves as nixpkgs' tool of that name: same command line, same
//! environment, same standard output. A symbolic link is enough:
//!
//! ```sh
//! ln -s npm-nixhash prefetch-npm-deps
//! ```
//!
//! What differs: it checks what it downloads, and it says on standard error why it fails (exit code 1).

mod fixup;
mod map_cache;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use npm_deps::Outputs;
use npm_lockfile::options::HashOptions;
use npm_nixhash::report::Message;
use npm_nixhash::report::messages::MessageKind;

use super::env::Environment;
use super::hash::{self, Flags};
use super::log;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::supply::Sources;

/// The name of nixpkgs' tool.
const NAME: &str = "prefetch-npm-deps";
/// What nixpkgs' wrappers call the program that they wrap.
const WRAPPED: &str = ".prefetch-npm-deps-wrapped";

/// Whether the program was called under the name of nixpkgs' tool.
pub(super) fn is_called(program: Option<&OsString>) -> bool {
    let path = program.map(Path::new);
    let named = |name: Option<&OsStr>, wanted: &str| name.is_some_and(|name| name == wanted);
    path.is_some_and(|path| named(path.file_stem(), NAME) || named(path.file_name(), WRAPPED))
}

/// Runs as that tool.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let environment = Environment::read();
    let terminal = Terminal::new(false, 0, &environment);
    let outcome = log::begin(&environment, false, 0).and_then(|()| run(arguments, &environment, &terminal));
    let outcome = outcome.unwrap_or_else(|Fatal(message)| {
        terminal.message(MessageKind::Error, &message);
        Exit::Failed
    });
    match outcome {
        Exit::Fine => ExitCode::SUCCESS,
        // As a Rust program's `main` that returns an error ends, and so nixpkgs' tool.
        Exit::Drift | Exit::Failed => ExitCode::FAILURE,
    }
}

fn run(arguments: &[OsString], environment: &Environment, terminal: &Terminal) -> Outcome {
    let (program, arguments) = arguments
        .split_first()
        .map_or((OsStr::new(NAME), arguments), |(program, rest)| (program.as_os_str(), rest));
    match arguments {
        [] => Ok(usage(program, terminal)),
        [option, rest @ ..] if option == "--fixup-lockfile" => fixup::run(rest, environment, terminal),
        [option, rest @ ..] if option == "--map-cache" => map_cache::run(rest, environment),
        [lockfile, rest @ ..] => {
            let out = rest.first().map(|out| environment.absolute(Path::new(out)));
            prefetch(&environment.absolute(Path::new(lockfile)), out.as_deref(), environment, terminal)
        }
    }
}

fn usage(program: &OsStr, terminal: &Terminal) -> Exit {
    terminal.data(&format!(
        "usage: {} <path/to/package-lock.json>\n\nPrefetches npm dependencies for usage by fetchNpmDeps.\n",
        program.to_string_lossy()
    ));
    Exit::Failed
}

/// Prints the hash, or writes the tree to `out` and prints nothing.
fn prefetch(lockfile: &Path, out: Option<&Path>, environment: &Environment, terminal: &Terminal) -> Outcome {
    let outputs =
        Outputs { tree: out.map(Path::to_owned), in_place: environment.in_nix_build(), ..Outputs::default() };
    outputs.check().map_err(|error| Fatal(Message::of(&error)))?;
    let options: HashOptions = hash::options(Flags::default(), environment)?;
    let sources = Sources::for_drop_in(environment, terminal)?;
    let request = hash::request(lockfile, options, outputs)?;
    let Some(computed) = hash::compute(lockfile, &request, &sources, terminal) else {
        return Ok(Exit::Failed);
    };
    if out.is_none() {
        terminal.data(&format!("{}\n", computed.hash.sri()));
    }
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_whatever_the_folder_and_the_extension() {
        for name in ["prefetch-npm-deps", "/nix/store/x/bin/prefetch-npm-deps", "./prefetch-npm-deps.exe"] {
            assert!(is_called(Some(&name.into())), "{name}");
        }
        assert!(is_called(Some(&"/bin/.prefetch-npm-deps-wrapped".into())));
        for name in ["npm-nixhash", "prefetch-npm-deps/npm-nixhash", "prefetch-npm-deps2", ""] {
            assert!(!is_called(Some(&name.into())), "{name}");
        }
        assert!(!is_called(None));
    }
}
