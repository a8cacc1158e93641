//! Asks a registry about a package: `releases REGISTRY NAME [VERSION]` prints a release, the newest one, and its tarball.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

use npm_registry::npmrc::Npmrc;
use npm_registry::packages::{PackageName, Selector, fetch};
use npm_registry::{Client, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (registry, name) =
        arguments.next().zip(arguments.next()).ok_or("releases REGISTRY NAME [VERSION]")?;
    let wanted = arguments.next().unwrap_or_else(|| "latest".to_owned());
    // A program reads the user's `.npmrc` here; what it refers to is looked up by the caller.
    let (mut npmrc, mut options) = (Npmrc::default(), Options::default());
    npmrc.layer(&format!("registry={registry}"), &|_| None);
    npmrc.apply(&mut options, None, Path::new("."))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let packument = runtime.block_on(fetch(&Client::new(options), &PackageName::parse(&name)?))?;
    let release = packument.select(&Selector::parse(&wanted))?;
    writeln!(io::stdout(), "{} {} {}", release.name, release.version, release.dist.tarball)?;
    Ok(())
}
