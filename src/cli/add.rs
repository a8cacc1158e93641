//! `add`: a published command line program becomes a lockfile and an expression.

mod say;

use std::cell::RefCell;
use std::fs;
use std::path::{Component, Path, PathBuf};

use error_advice::advice_on;
use nix_sites::insert::{AttrPath, InsertError, InsertionPoint};
use npm_nixhash::create::{Creation, create_all};
use npm_nixhash::packaging::expression::{self, ByPkgs, NixpkgsNames};
use npm_nixhash::packaging::{self, Package, PackageRequest, PackagingError, Shape};
use npm_nixhash::replace::FileReplacement;
use npm_nixhash::report::Message;
use npm_nixhash::report::messages::MessageKind;
use npm_registry::packages::{PackageName, Selector};

use super::args::AddArgs;
use super::config::Config;
use super::env::Environment;
use super::npm::npm;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::supply::Sources;
use super::survey::paths;

pub(super) fn run(args: &AddArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let (name, selector) = wanted(&args.package)?;
    let plan = AddPlan::of(args, &name, environment)?;
    let sources = Sources::new(&args.sources, &Config::around(&environment.here)?, environment, terminal)?;
    let request = PackageRequest {
        name,
        selector,
        shape: shape(args),
        require_signature: args.require_signatures,
        supply: &sources.supply,
        settings: &sources.settings,
        npm: &npm(environment, sources.registry()),
    };
    let packaged = packaging::package(&request);
    sources.finish(terminal);
    let package = match packaged {
        Ok(package) => package,
        Err(error) => return Ok(refuse(&error, terminal)),
    };
    let root = repository_files::around(&environment.here);
    let paths = paths(environment, &root);
    let work = plan.carry_out(&package)?;
    if !args.dry_run {
        create_all(&work.creations, &work.replacements).map_err(|error| Fatal::new(&error))?;
    }
    say::warn(&package, &work, &paths, args.dry_run, terminal);
    terminal.data(&if args.json {
        say::json_form(&package, &work, &paths, args.dry_run)
    } else {
        say::plain(&package, &work, &root, &paths, args.dry_run)
    });
    Ok(Exit::Fine)
}

/// `NAME[@VERSION]`.
fn wanted(text: &str) -> Result<(PackageName, Selector), Fatal> {
    // The first character of `@scope/name` is one, too.
    let split = text.rfind('@').filter(|at| *at > 0);
    let (name, version) = split.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    let name = PackageName::parse(name).map_err(|error| Fatal::new(&error))?;
    Ok((name, Selector::parse(version)))
}

/// How the package is to be written down.
fn shape(args: &AddArgs) -> Shape {
    match (args.bundled, args.platforms) {
        (true, _) => Shape::Bundled,
        (false, true) => Shape::Platforms,
        (false, false) => Shape::Lockfile,
    }
}

/// Where everything goes; made before anything is fetched.
struct AddPlan {
    /// Where a lockfile goes, if there will be one.
    lockfile: PathBuf,
    /// The lockfile as the expression names it.
    reference: String,
    target: Option<ExpressionFile>,
}

/// The file that takes the expression.
struct ExpressionFile {
    path: PathBuf,
    text: String,
    slot: InsertionPoint,
}

/// What is to be written.
struct Additions {
    expression: String,
    creations: Vec<Creation>,
    replacements: Vec<FileReplacement>,
}

impl AddPlan {
    fn of(args: &AddArgs, name: &PackageName, environment: &Environment) -> Result<Self, Fatal> {
        let target = match (&args.into, &args.attr) {
            (Some(file), Some(attr)) => {
                Some(ExpressionFile::find(&environment.absolute(file), attr, builders(shape(args)))?)
            }
            _ => None,
        };
        let beside = target.as_ref().and_then(|target| target.path.parent()).unwrap_or(&environment.here);
        let folder =
            args.dir.as_ref().map_or_else(|| beside.join("npm"), |folder| environment.absolute(folder));
        let lockfile = folder.join(name.word()).join("package-lock.json");
        let keeps_lockfile = shape(args) == Shape::Lockfile;
        // Refused before anything is downloaded. A link that leads nowhere is there, too.
        if keeps_lockfile && lockfile.symlink_metadata().is_ok() {
            let message = Message::plain(format!("{} exists already", lockfile.display()));
            let hint = "`update` keeps it right; remove it, and what uses it, to start over";
            return Err(Fatal(message.hinting(Some(hint))));
        }
        let reference = relative(beside, &lockfile);
        if keeps_lockfile {
            expression::check_path(&reference).map_err(|error| Fatal::new(&error))?;
        }
        Ok(Self { lockfile, reference, target })
    }

    fn carry_out(self, package: &Package) -> Result<Additions, Fatal> {
        let bytes = package.locked().and_then(|locked| locked.lockfile.clone());
        let creations =
            bytes.into_iter().map(|bytes| Creation { path: self.lockfile.clone(), bytes }).collect();
        let Some(target) = self.target else {
            let expression = expression::render(package, &self.reference, &ByPkgs);
            return Ok(Additions { expression, creations, replacements: Vec::new() });
        };
        let names = InScope { slot: &target.slot, missing: RefCell::default() };
        let expression = expression::render(package, &self.reference, &names);
        if let Some(missing) = names.missing.borrow().first() {
            return Err(target.out_of_scope(missing));
        }
        let new = target.slot.insert(&target.text, &expression).map_err(|error| target.fatal(&error))?;
        let replacement = FileReplacement { path: target.path, old: target.text.into(), new: new.into() };
        Ok(Additions { expression, creations, replacements: vec![replacement] })
    }
}

impl ExpressionFile {
    /// Finds the place; one of the builders has to be in scope there, or `pkgs`.
    fn find(path: &Path, attr: &str, builders: &[&str]) -> Result<Self, Fatal> {
        let attr = AttrPath::parse(attr).map_err(|error| Fatal::new(&error))?;
        let text = fs::read_to_string(path).map_err(|error| Fatal::reading(path, &error))?;
        let refuse = |error: InsertError| {
            let message = Message { message: format!("{}: {error}", path.display()), ..Message::plain("") };
            Fatal(message.hinting(advice_on(&error)))
        };
        let slot = InsertionPoint::find(&text, &attr).map_err(refuse)?;
        let target = Self { path: path.to_owned(), text, slot };
        let any = builders.iter().chain(&["pkgs"]).any(|name| target.slot.binds(name));
        if any { Ok(target) } else { Err(target.out_of_scope(builders[0])) }
    }

    fn fatal(&self, error: &InsertError) -> Fatal {
        Fatal(Message::plain(format!("{}: {error}", self.path.display())))
    }

    fn out_of_scope(&self, name: &str) -> Fatal {
        let path = self.path.display();
        let message =
            Message::plain(format!("{path}: neither `pkgs` nor `{name}` can be used at that place"));
        Fatal(message.hinting(Some("run it without --into, and put the expression where it belongs")))
    }
}

/// What makes the derivation of a shape.
fn builders(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Lockfile => &["buildNpmPackage"],
        Shape::Bundled => &["stdenvNoCC", "stdenv"],
        Shape::Platforms => &["stdenv"],
    }
}

/// Names as they can be used at a place.
struct InScope<'a> {
    slot: &'a InsertionPoint,
    missing: RefCell<Vec<String>>,
}

impl InScope<'_> {
    fn of(&self, name: &str, rest: &str) -> String {
        if self.slot.names(name) {
            return format!("{name}{rest}");
        }
        if self.slot.names("pkgs") {
            return format!("pkgs.{name}{rest}");
        }
        if !self.slot.binds(name) {
            self.missing.borrow_mut().push(name.to_owned());
        }
        format!("{name}{rest}")
    }
}

impl NixpkgsNames for InScope<'_> {
    fn package(&self, name: &str) -> String {
        self.of(name, "")
    }

    fn lib(&self, name: &str) -> String {
        self.of("lib", &format!(".{name}"))
    }
}

/// A path as seen from a folder, with a `.` or `..` first; both are absolute.
fn relative(from: &Path, to: &Path) -> String {
    let parts = |path: &Path| {
        let mut parts = Vec::new();
        for component in path.components() {
            match component {
                Component::ParentDir => drop(parts.pop()),
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                _ => {}
            }
        }
        parts
    };
    let (from, to) = (parts(from), parts(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = vec!["..".to_owned(); from.len() - common];
    let start = if up.is_empty() { vec![".".to_owned()] } else { up };
    [start, to[common..].to_vec()].concat().join("/")
}

fn refuse(error: &PackagingError, terminal: &Terminal) -> Exit {
    terminal.message(MessageKind::Error, &Message::of(error));
    if let PackagingError::Dependencies(failure) = error {
        for obstacle in &failure.obstacles {
            terminal.message(MessageKind::Error, &Message::of(obstacle));
        }
    }
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_between_places() {
        let seen = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(seen("/r", "/r/npm/a/l.json"), "./npm/a/l.json");
        assert_eq!(seen("/r/nix", "/r/npm/l.json"), "../npm/l.json");
        assert_eq!(seen("/r/nix", "/r/nix/../x/./l.json"), "../x/l.json");
    }

    #[test]
    fn names_and_versions() {
        let read = |text: &str| wanted(text).map(|(name, selector)| (name.to_string(), selector));
        let latest = Selector::Tag("latest".to_owned());
        assert_eq!(read("@a/b").unwrap(), ("@a/b".to_owned(), latest.clone()));
        assert_eq!(read("@a/b@1.0.0").unwrap(), ("@a/b".to_owned(), Selector::Exact("1.0.0".to_owned())));
        assert_eq!(read("b@").unwrap(), ("b".to_owned(), latest));
        assert_eq!(read("b@^1").unwrap(), ("b".to_owned(), Selector::Range("^1".to_owned())));
        assert!(read("../b").is_err() && read("").is_err());
    }
}
