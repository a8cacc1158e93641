//! What registries and the npm client do for sources: vouch for a tarball, and make a vendored lockfile anew.

use std::{borrow::Cow, io, sync::Arc};

use url::Url;

use crate::{
    integrity::{Algorithm, ContentId},
    npm_package::{self, PackageError, PackageName, Published, Release, Vouch, published_at, signature},
    registry::Client,
    relock::{self, RelockRequest},
    repair::{self, Thoroughness},
    source::{Npm, NpmFailure, Relock, Word},
};

/// The host of the registry that is asked unless a user's configuration says otherwise.
const PUBLIC_HOST: &str = "registry.npmjs.org";

/// Registries, and the npm client.
pub struct Vendoring<'a> {
    /// Asks registries; without it nothing is asked.
    pub client: Option<&'a Client>,
    /// The client that resolves.
    pub npm: relock::Npm,
    /// Whether a release without a good signature is refused.
    pub require_signatures: bool,
}

impl Npm for Vendoring<'_> {
    fn publishes(&self, url: &Url) -> bool {
        published_at(url).is_some()
    }

    fn word(&self, url: &Url, content: &[ContentId]) -> Result<Word, NpmFailure> {
        match self.registry_of(url) {
            Some((client, published)) => wait(self.ask(client, url, &published, content)),
            None => Ok(Word::None),
        }
    }

    fn stated(&self, url: &Url) -> Result<Option<ContentId>, NpmFailure> {
        match self.registry_of(url) {
            Some((client, published)) => wait(self.state(client, url, &published)),
            None => Ok(None),
        }
    }

    fn relock(&self, relock: &Relock<'_>) -> Result<Vec<u8>, NpmFailure> {
        let Relock { package_json, shrinkwrap, existing } = *relock;
        let existing = self.completed(existing);
        let request = RelockRequest { package_json, shrinkwrap, existing: Some(&existing), omit_dev: false };
        relock::relock(&self.npm, &request)
            .map_err(|error| NpmFailure { hint: error.hint().map(str::to_owned), error: Arc::new(error) })
    }
}

/// Runs a question to its end.
fn wait<T>(question: impl Future<Output = Result<T, PackageError>>) -> Result<T, NpmFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error: io::Error| NpmFailure { error: Arc::new(error), hint: None })?;
    runtime.block_on(question).map_err(|error| NpmFailure { hint: error.hint(), error: Arc::new(error) })
}

impl Vendoring<'_> {
    /// A lockfile with what npm left out of it (`omit-lockfile-registry-resolved`) and would never add to an entry that it
    /// keeps. One that cannot be completed may lose such entries when npm goes on with it; what it keeps is held to what an
    /// install needs then.
    fn completed<'a>(&self, lockfile: &'a [u8]) -> Cow<'a, [u8]> {
        let registry = self.client.map(|client| (client, self.runtime));
        let completed = repair::repair(&[lockfile], registry, Thoroughness::default()).pop();
        completed.and_then(Result::ok).map_or(Cow::Borrowed(lockfile), |repaired| Cow::Owned(repaired.bytes))
    }

    /// Who is to be asked about a URL, and about what.
    fn registry_of(&self, url: &Url) -> Option<(&Client, Published)> {
        let (client, published) = (self.client?, published_at(url)?);
        is_asked_about(client, url, &published.name).then_some((client, published))
    }

    /// What the registry states of a tarball, where it vouches for it as it has to.
    async fn state(
        &self,
        client: &Client,
        url: &Url,
        published: &Published,
    ) -> Result<Option<ContentId>, PackageError> {
        let packument = npm_package::fetch(client, &published.name).await?;
        let release = packument.release(&published.version)?;
        let stated = release.dist.integrity.id();
        if stated.algorithm() != Algorithm::Sha512 || !matches!(release.vouches_for(url, &stated), Vouch::Yes)
        {
            return Ok(None);
        }
        // A release that is not signed as it has to be is refused where its bytes are judged.
        Ok(matches!(self.signed(client, &release).await?, Word::Vouched(_)).then_some(stated))
    }

    async fn ask(
        &self,
        client: &Client,
        url: &Url,
        published: &Published,
        content: &[ContentId],
    ) -> Result<Word, PackageError> {
        let packument = match npm_package::fetch(client, &published.name).await {
            Err(PackageError::Unknown { .. }) => return Ok(Word::None),
            packument => packument?,
        };
        let release = match packument.release(&published.version) {
            Err(PackageError::NoRelease { .. }) => return Ok(Word::None),
            release => release?,
        };
        let stated = release.dist.integrity.id();
        let Some(got) = content.iter().find(|id| id.algorithm() == stated.algorithm()) else {
            return Ok(Word::None);
        };
        match release.vouches_for(url, got) {
            Vouch::Yes => self.signed(client, &release).await,
            Vouch::OtherRelease => Ok(Word::None),
            Vouch::OtherBytes { expected } => Ok(Word::Other(expected.sri())),
        }
    }

    async fn signed(&self, client: &Client, release: &Release) -> Result<Word, PackageError> {
        let keys = npm_package::keys(client, &release.name).await?;
        let verdict = signature::verify(release, &keys);
        Ok(if verdict.forbids(self.require_signatures) {
            Word::Unsigned(format!("{}@{}: {verdict}", release.name, release.version))
        } else {
            Word::Vouched(verdict.code())
        })
    }
}

/// Whether the registry that is asked about a package is the one that this tarball came from: another one may have
/// another package of that name.
fn is_asked_about(client: &Client, url: &Url, name: &PackageName) -> bool {
    let base = client.options().access.registry_url(name.scope(), "");
    url.host_str() == Some(PUBLIC_HOST)
        || (url.origin() == base.origin() && url.path().starts_with(base.path()))
}
