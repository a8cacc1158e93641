//! Packages for one kind of machine each, which a program names as optional dependencies.
//!
//! npm installs the one whose `os`, `cpu` and `libc` are those of the machine. Nix wants to know a hash for each system.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use futures::stream::{self, StreamExt as _};
use npm_lockfile::completeness::{GLIBC, System, admits};
use npm_registry::Client;
use npm_registry::packages::signature::{self, SignatureVerdict};
use npm_registry::packages::{self, Key, PackageError, PackageName, Packument, Release, Selector};
use npm_tarballs::integrity::Algorithm;
use serde_json::{Map, Value};
use url::Url;

use super::{Fit, Manifest, PackageRequest, PackagingError, label, obtain, sha512};

/// Systems that nixpkgs' flake offers and Node.js has names for.
const SYSTEMS: [&str; 9] = [
    "x86_64-linux",
    "aarch64-linux",
    "x86_64-darwin",
    "aarch64-darwin",
    "armv7l-linux",
    "i686-linux",
    "powerpc64le-linux",
    "riscv64-linux",
    "x86_64-freebsd",
];

/// More optional dependencies than any program has; each is a question to the registry.
const MOST: usize = 200;

/// Questions at one time.
const AT_ONCE: usize = 16;

/// Which machines a package is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Limits {
    os: Vec<String>,
    cpu: Vec<String>,
    libc: Vec<String>,
}

impl Limits {
    fn of(name: &str, fields: &Map<String, Value>) -> Self {
        let words = |field: &str| match fields.get(field) {
            Some(Value::String(word)) => vec![word.clone()],
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let mut libc = words("libc");
        // Many packages for musl say so by their names alone (@rollup/rollup-linux-x64-musl before 4.20): `libc` is younger
        // than they are. Their neighbours for glibc are then for any libc, by what they say.
        if libc.is_empty()
            && name
                .rsplit('/')
                .next()
                .unwrap_or(name)
                .split('-')
                .any(|word| word.starts_with("musl") || word.ends_with("musl"))
        {
            libc.push("musl".to_owned());
        }
        Self { os: words("os"), cpu: words("cpu"), libc }
    }

    pub(super) fn is_everywhere(&self) -> bool {
        self.os.is_empty() && self.cpu.is_empty()
    }

    /// Whether npm would install it on a system of nixpkgs.
    fn allow(&self, system: &str) -> bool {
        System::named(system).is_some_and(|system| {
            system.is_admitted(&self.os, &self.cpu) && (!system.is_linux() || admits(&self.libc, GLIBC))
        })
    }
}

/// An optional dependency: what it says of itself.
#[derive(Debug, Clone)]
pub(super) struct PlatformCandidate {
    /// The name under which it is installed.
    pub(super) folder: PackageName,
    /// Its version.
    pub(super) version: String,
    /// The machines that it is for.
    pub(super) limits: Limits,
    /// Whether it has dependencies of its own.
    pub(super) depends: bool,
}

impl PlatformCandidate {
    /// Reads a manifest, or the entry of a lockfile. `None` without a name and a version.
    pub(super) fn of(folder: &str, fields: &Map<String, Value>) -> Option<Self> {
        let has =
            |field: &str| fields.get(field).and_then(Value::as_object).is_some_and(|names| !names.is_empty());
        Some(Self {
            folder: PackageName::parse(folder).ok()?,
            version: fields.get("version")?.as_str()?.to_owned(),
            limits: Limits::of(folder, fields),
            depends: has("dependencies") || has("optionalDependencies"),
        })
    }
}

/// The system that several packages are for, and their names.
type Several = (&'static str, Vec<String>);

/// The one of each system, by its place; in the order of [`SYSTEMS`].
pub(super) fn by_system(candidates: &[PlatformCandidate]) -> Result<Vec<(&'static str, usize)>, Several> {
    let mut chosen = Vec::new();
    for system in SYSTEMS {
        let fitting: Vec<usize> =
            (0..candidates.len()).filter(|&i| candidates[i].limits.allow(system)).collect();
        match fitting.as_slice() {
            [] => {}
            [one] => chosen.push((system, *one)),
            several => {
                let names = several.iter().map(|&i| candidates[i].folder.to_string()).collect();
                return Err((system, names));
            }
        }
    }
    Ok(chosen)
}

/// The package of a system.
#[derive(Debug, Clone)]
pub struct Platform {
    /// As nixpkgs calls it.
    pub system: &'static str,
    /// The name under which the program looks for it.
    pub folder: PackageName,
    /// The package.
    pub name: PackageName,
    /// Its version.
    pub version: String,
    /// The tarball's address to write down.
    pub url: Url,
    /// The sha512 of its tarball, as SRI.
    pub hash: String,
    /// What its signatures say.
    pub signature: SignatureVerdict,
}

/// What the registry tells of the packages of all systems.
pub(super) struct PlatformPackages {
    pub(super) fit: Fit,
    pub(super) platforms: Vec<Platform>,
    /// Optional dependencies that the registry does not have.
    pub(super) missing: Vec<String>,
}

/// Finds the packages of all systems. `own` is what the registry told of the program itself.
pub(super) async fn find(
    request: &PackageRequest<'_>,
    client: &Client,
    release: &Release,
    own: Packument,
    manifest: &Manifest,
) -> Result<PlatformPackages, PackagingError> {
    if manifest.optional.len() > MOST {
        return Err(PackagingError::TooManyOptional {
            package: label(release),
            number: manifest.optional.len(),
        });
    }
    let wanted = manifest.optional.iter().filter_map(|(folder, spec)| OptionalDependency::of(folder, spec));
    let wanted: Vec<OptionalDependency> = wanted.collect();
    let packuments = packuments(client, own, release, &wanted).await?;
    let (mut candidates, mut releases, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for OptionalDependency { folder, name, selector } in wanted {
        let found =
            packuments.get(&name).and_then(Option::as_ref).map(|packument| packument.select(&selector));
        let release = match found {
            // npm goes on without an optional dependency that it cannot find.
            None | Some(Err(PackageError::NoRelease { .. } | PackageError::Selector { .. })) => {
                missing.push(folder.to_string());
                continue;
            }
            Some(release) => release?,
        };
        let Some(candidate) = PlatformCandidate::of(folder.as_str(), &release.manifest) else { continue };
        candidates.push(candidate);
        releases.push(release);
    }
    let fit = Fit::of(manifest, &release.version, &candidates);
    let (mut platforms, mut keys) = (Vec::new(), RegistryKeys::new(client));
    if matches!(fit, Fit::Platforms { .. }) {
        for (system, at) in by_system(&candidates).unwrap_or_default() {
            let folder = &candidates[at].folder;
            platforms.push(platform(request, system, folder, &releases[at], &mut keys).await?);
        }
    }
    Ok(PlatformPackages { fit, platforms, missing })
}

/// What a program wants of an optional dependency.
struct OptionalDependency {
    folder: PackageName,
    name: PackageName,
    selector: Selector,
}

impl OptionalDependency {
    /// Reads `"folder": "range"` and `"folder": "npm:name@range"`; `None` for what no registry has.
    fn of(folder: &str, spec: &str) -> Option<Self> {
        let (name, range) = PackageName::of_dependency(folder, spec)?;
        Some(Self { folder: PackageName::parse(folder).ok()?, name, selector: Selector::parse(range) })
    }
}

/// What the registry tells of each name, asked once; none where it has no such package.
async fn packuments(
    client: &Client,
    own: Packument,
    release: &Release,
    wanted: &[OptionalDependency],
) -> Result<BTreeMap<PackageName, Option<Packument>>, PackagingError> {
    let mut names: Vec<&PackageName> =
        wanted.iter().map(|wanted| &wanted.name).filter(|name| **name != release.name).collect();
    names.sort();
    names.dedup();
    let ask = async |name: &PackageName| match packages::fetch(client, name).await {
        Err(PackageError::Unknown { .. }) => Ok((name.clone(), None)),
        packument => Ok((name.clone(), Some(packument?))),
    };
    let mut answers = stream::iter(names).map(ask).buffered(AT_ONCE);
    let mut all = BTreeMap::from([(release.name.clone(), Some(own))]);
    while let Some(answer) = answers.next().await {
        let (name, packument) = answer.map_err(PackagingError::Package)?;
        all.insert(name, packument);
    }
    Ok(all)
}

/// The keys of registries, each asked once.
struct RegistryKeys<'a> {
    client: &'a Client,
    by_url: HashMap<Url, Vec<Key>>,
}

impl<'a> RegistryKeys<'a> {
    fn new(client: &'a Client) -> Self {
        Self { client, by_url: HashMap::new() }
    }

    async fn of(&mut self, package: &PackageName) -> Result<&[Key], PackageError> {
        Ok(match self.by_url.entry(packages::keys_url(self.client, package)) {
            Entry::Occupied(told) => told.into_mut(),
            Entry::Vacant(place) => place.insert(packages::keys(self.client, package).await?),
        })
    }
}

async fn platform(
    request: &PackageRequest<'_>,
    system: &'static str,
    folder: &PackageName,
    release: &Release,
    keys: &mut RegistryKeys<'_>,
) -> Result<Platform, PackagingError> {
    let signature = signature::verify(release, keys.of(&release.name).await?);
    if signature.forbids(request.require_signature) {
        return Err(PackagingError::Signature { package: label(release), verdict: signature });
    }
    let stated = release.dist.integrity.id();
    // Most state one, and then none of these tarballs is downloaded: this machine needs at most one of them.
    let hash = if stated.algorithm() == Algorithm::Sha512 {
        stated.sri()
    } else {
        sha512(&obtain(request, release).await?).map_err(PackagingError::Tarball)?
    };
    Ok(Platform {
        system,
        folder: folder.clone(),
        name: release.name.clone(),
        version: release.version.clone(),
        url: release.public_url(&keys.client.options().access),
        hash,
        signature,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read_as_npm_reads_them() {
        let allows = |name: &str, fields: &Value| -> Vec<&str> {
            let limits = Limits::of(name, fields.as_object().unwrap());
            SYSTEMS.into_iter().filter(|system| limits.allow(system)).collect()
        };
        for (name, fields, systems) in [
            ("a", json!({ "os": ["linux"], "cpu": ["x64"] }), &["x86_64-linux"][..]),
            ("a", json!({ "os": "darwin", "cpu": ["arm64", "x64"] }), &["x86_64-darwin", "aarch64-darwin"]),
            (
                "a",
                json!({ "os": ["!linux", "!win32"], "cpu": ["x64"] }),
                &["x86_64-darwin", "x86_64-freebsd"],
            ),
            ("a", json!({ "os": ["linux"], "cpu": ["arm64"], "libc": ["musl"] }), &[]),
            ("a", json!({ "os": ["linux"], "cpu": ["arm64"], "libc": ["glibc"] }), &["aarch64-linux"]),
            ("@s/a-linux-arm64-musl", json!({ "os": ["linux"], "cpu": ["arm64"] }), &[]),
            ("@s/a-linuxmusl-arm64", json!({ "os": ["linux"], "cpu": ["arm64"] }), &[]),
            ("a", json!({ "os": ["win32"] }), &[]),
            ("a", json!({ "os": ["any"], "cpu": ["riscv64"] }), &["riscv64-linux"]),
        ] {
            assert_eq!(allows(name, &fields), systems, "{name} {fields}");
        }
    }

    #[test]
    fn names_that_stand_for_others() {
        let read = |folder: &str, spec: &str| {
            OptionalDependency::of(folder, spec).map(|wanted| (wanted.name.to_string(), wanted.selector))
        };
        let exact = |version: &str| Selector::Exact(version.to_owned());
        assert_eq!(read("@s/a", "1.0.0"), Some(("@s/a".to_owned(), exact("1.0.0"))));
        assert_eq!(
            read("@s/a-linux-x64", "npm:@s/a@1.0.0-linux-x64"),
            Some(("@s/a".to_owned(), exact("1.0.0-linux-x64")))
        );
        assert_eq!(read("a", "npm:b"), Some(("b".to_owned(), Selector::parse(""))));
        for elsewhere in ["file:../a", "github:a/b", "a/b", "https://example.org/a.tgz"] {
            assert_eq!(read("a", elsewhere), None, "{elsewhere}");
        }
    }
}
