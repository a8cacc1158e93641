//! A published command line program as a Nix expression: what `add` makes.
//!
//! [`package`] asks the registry which release is meant, fetches its tarball and checks it, has npm resolve its
//! dependencies where the tarball brings no lockfile, and computes both hashes. Where there is nothing to install, the
//! tarball is all ([`Shape::Bundled`]), or a tarball for each system besides ([`Shape::Platforms`]).
//! [`expression::render`] writes it down.
//!
//! Everything that a package says of itself is untrusted: names are held to npm's grammar, texts become Nix strings by
//! [`nix_sites::insert::string`] alone, and nothing of the package is run.

mod engines;
mod error;
pub mod expression;
mod license;
mod manifest;
mod platforms;
mod shape;

use std::sync::Arc;

pub use error::PackagingError;
pub use manifest::{Manifest, Program};
use npm_deps::supply::{Supply, Want};
use npm_deps::{HashRequest, Settings};
use npm_lockfile::options::HashOptions;
use npm_lockfile::{CanonicalUrl, Lockfile};
use npm_registry::Client;
use npm_registry::packages::signature::SignatureVerdict;
use npm_registry::packages::{self, PackageName, Packument, Release, Selector};
use npm_tarballs::Tarball;
use npm_tarballs::integrity::ContentId;
use npm_tarballs::package::{self, Contents};
pub use platforms::Platform;
pub use shape::{Fit, Shape};
use url::Url;

use crate::relock::{self, NpmClient, RelockRequest};

/// What is to be packaged, and with what.
pub struct PackageRequest<'a> {
    /// The package.
    pub name: PackageName,
    /// The release.
    pub selector: Selector,
    /// How it is to be written down.
    pub shape: Shape,
    /// Whether a release without a good signature is refused.
    pub require_signature: bool,
    /// Where tarballs come from.
    pub supply: &'a Arc<Supply>,
    /// What hashes are computed under.
    pub settings: &'a Settings,
    /// The npm client.
    pub npm: &'a NpmClient,
}

/// A release, ready to be written down.
#[derive(Debug)]
pub struct Package {
    /// The release, as the registry has it.
    pub release: Release,
    /// The tarball's address to write down.
    pub url: Url,
    /// What its signatures say.
    pub signature: SignatureVerdict,
    /// The sha512 of its tarball, as SRI.
    pub source_hash: String,
    /// What its own manifest says.
    pub manifest: Manifest,
    /// What else is written down.
    pub form: Form,
    /// Which shape fits it, and why; that of `form` is the one that was ordered.
    pub fit: Fit,
    /// Optional dependencies that are left out.
    pub left_out: Vec<String>,
}

/// What is written down besides the tarball.
#[derive(Debug)]
pub enum Form {
    /// A lockfile and a hash.
    Lockfile(Box<LockedDependencies>),
    /// Nothing.
    Bundled,
    /// The packages of all systems.
    Platforms(Vec<Platform>),
}

/// Dependencies that are installed by a lockfile.
#[derive(Debug)]
pub struct LockedDependencies {
    /// Whether the tarball has a shrinkwrap, which npm prefers to any lockfile.
    pub has_shrinkwrap: bool,
    /// The lockfile to keep beside the expression; none where the tarball's own shrinkwrap will do.
    pub lockfile: Option<Vec<u8>>,
    /// The hash of its dependencies, as SRI.
    pub npm_deps_hash: String,
    /// The number of packages among them.
    pub dependencies: usize,
    /// What decided that hash besides the lockfile.
    pub options: HashOptions,
    /// Installed packages that have install scripts, by their place.
    pub install_scripts: Vec<String>,
    /// What the user should know of the dependencies.
    pub warnings: Vec<npm_deps::LockfileWarning>,
}

impl Package {
    /// What there is of a lockfile.
    #[must_use]
    pub fn locked(&self) -> Option<&LockedDependencies> {
        match &self.form {
            Form::Lockfile(locked) => Some(locked),
            Form::Bundled | Form::Platforms(_) => None,
        }
    }
}

impl LockedDependencies {
    /// Whether an install would run scripts that want a network, or tools that are not there.
    #[must_use]
    pub(crate) fn runs_scripts(&self, manifest: &Manifest) -> bool {
        let Manifest { gyp, install_scripts, pack_scripts, needs_build, .. } = manifest;
        let own = *gyp || !install_scripts.is_empty() || (!needs_build && !pack_scripts.is_empty());
        own || !self.install_scripts.is_empty()
    }
}

/// Packages a release.
///
/// # Errors
/// The first thing that stands in the way. Nothing was written.
pub fn package(request: &PackageRequest<'_>) -> Result<Package, PackagingError> {
    let client = request.supply.registry().ok_or(PackagingError::Offline)?;
    let runtime = request.supply.runtime();
    let FetchedPackage { release, packument, signature, tarball } =
        runtime.block_on(fetch(request, client))?;
    let source_hash = sha512(&tarball).map_err(PackagingError::Tarball)?;
    let contents = tarball.reader().and_then(package::look).map_err(PackagingError::Tarball)?;
    let manifest = Manifest::of(&release, &contents)?;
    let (form, fit, left_out) = match request.shape {
        Shape::Lockfile => {
            let (locked, fit) = locked(request, &release, &manifest, &contents)?;
            (Form::Lockfile(Box::new(locked)), fit, Vec::new())
        }
        Shape::Bundled => {
            let left_out = manifest.optional.keys().map(|name| name.escape_debug().to_string()).collect();
            let fit = Fit::flaw(&manifest).unwrap_or(Fit::Bundled);
            (Form::Bundled, fits(request, &release, fit)?, left_out)
        }
        Shape::Platforms => {
            let found = platforms::find(request, client, &release, packument, &manifest);
            let found = runtime.block_on(found)?;
            (Form::Platforms(found.platforms), fits(request, &release, found.fit)?, found.missing)
        }
    };
    let url = release.public_url(&client.options().access);
    Ok(Package { release, url, signature, source_hash, manifest, form, fit, left_out })
}

/// That the shape that was ordered fits.
fn fits(request: &PackageRequest<'_>, release: &Release, fit: Fit) -> Result<Fit, PackagingError> {
    if fit.shape() == request.shape {
        return Ok(fit);
    }
    Err(PackagingError::Shape { package: label(release), shape: request.shape, fit })
}

fn locked(
    request: &PackageRequest<'_>,
    release: &Release,
    manifest: &Manifest,
    contents: &Contents,
) -> Result<(LockedDependencies, Fit), PackagingError> {
    let lock = lock(request, manifest, contents)?;
    let parsed = Lockfile::parse(&lock.bytes).map_err(PackagingError::Lockfile)?;
    // nixpkgs' fetcher refuses to make an empty cache unless it is told to.
    let options = HashOptions { force_empty_cache: parsed.dependencies.is_empty(), ..HashOptions::default() };
    let install_scripts = manifest::install_scripts(&lock.bytes);
    let fit = Fit::of(manifest, &release.version, &shape::of_lockfile(manifest, &lock.bytes));
    let hash = HashRequest::new(lock.bytes.as_slice().into(), options);
    let computed = npm_deps::compute(&[hash], request.supply, request.settings)
        .pop()
        .expect("bug: one request has one result")
        .map_err(PackagingError::Dependencies)?;
    let locked = LockedDependencies {
        has_shrinkwrap: contents.shrinkwrap.is_some(),
        lockfile: lock.vendored.then_some(lock.bytes),
        npm_deps_hash: computed.hash.sri(),
        dependencies: computed.packages,
        options,
        install_scripts,
        warnings: computed.warnings,
    };
    Ok((locked, fit))
}

/// What comes from the registry.
struct FetchedPackage {
    release: Release,
    packument: Packument,
    signature: SignatureVerdict,
    tarball: Tarball,
}

async fn fetch(request: &PackageRequest<'_>, client: &Client) -> Result<FetchedPackage, PackagingError> {
    // Asked together, for nothing of one question depends on the answer to the other.
    let (packument, keys) =
        futures::join!(packages::fetch(client, &request.name), packages::keys(client, &request.name));
    let packument = packument?;
    let release = packument.select(&request.selector)?;
    let keys = keys?;
    let signature = packages::signature::verify(&release, &keys);
    if signature.forbids(request.require_signature) {
        return Err(PackagingError::Signature { package: label(&release), verdict: signature });
    }
    let tarball = obtain(request, &release).await?;
    Ok(FetchedPackage { release, packument, signature, tarball })
}

/// A release's tarball, verified.
async fn obtain(request: &PackageRequest<'_>, release: &Release) -> Result<Tarball, PackagingError> {
    let want = Want {
        package: label(release),
        scope: release.name.scope().map(str::to_owned),
        url: CanonicalUrl::from(&release.dist.tarball),
        id: release.dist.integrity.id(),
        early: true,
    };
    request.supply.obtain(&want).await.map_err(PackagingError::Fetch)
}

/// Name and version.
fn label(release: &Release) -> String {
    format!("{}@{}", release.name, release.version)
}

/// The sha512 of a tarball; that it is the one that the registry tells was checked when it was fetched.
fn sha512(tarball: &Tarball) -> std::io::Result<String> {
    use npm_tarballs::integrity::{Algorithm, Hasher};
    let id: ContentId = tarball.id();
    if id.algorithm() == Algorithm::Sha512 {
        return Ok(id.sri());
    }
    let mut hasher = Hasher::new(Algorithm::Sha512);
    let mut reader = tarball.reader()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match std::io::Read::read(&mut reader, &mut buffer)? {
            0 => return Ok(hasher.finish().sri()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// The lockfile that decides the hash.
struct Lock {
    bytes: Vec<u8>,
    vendored: bool,
}

fn lock(
    request: &PackageRequest<'_>,
    manifest: &Manifest,
    contents: &Contents,
) -> Result<Lock, PackagingError> {
    if let Some(shrinkwrap) = contents.shrinkwrap.as_deref().filter(|bytes| is_complete(bytes)) {
        return Ok(Lock { bytes: shrinkwrap.to_vec(), vendored: false });
    }
    let relocked = RelockRequest {
        package_json: contents.manifest.as_deref().unwrap_or_default(),
        shrinkwrap: contents.shrinkwrap.as_deref(),
        existing: None,
        omit_dev: manifest.drops_dev(),
    };
    let bytes =
        relock::relock(request.npm, &relocked).map_err(|source| match manifest.bundled.as_slice() {
            [] => PackagingError::Relock(source),
            names => PackagingError::Bundled { names: names.to_vec(), source },
        })?;
    Ok(Lock { bytes, vendored: true })
}

/// Whether an offline install can do with a lockfile as it is.
fn is_complete(lockfile: &[u8]) -> bool {
    Lockfile::parse(lockfile).is_ok_and(|parsed| parsed.skipped.is_empty() && parsed.problems.is_empty())
}
