//! What registries and the npm client do for sources: vouch for a tarball, and regenerate a vendored lockfile.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt as _};
use npm_registry::packages::{
    self, Key, PackageError, PackageName, Packument, Release, TarballName, Vouch, published_at, signature,
};
use npm_registry::{Access, Client};
use npm_tarballs::integrity::{Algorithm, ContentId};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use url::Url;

use crate::relock::{self, RelockRequest};
use crate::repair::{self, Thoroughness};
use crate::source::{NpmFailure, NpmServices, Relock, TarballQuestion, Word};

/// Packuments that are read at one time: they may be megabytes each.
const AT_ONCE: usize = 32;

/// Bytes of packuments that are kept for later questions of the run; what exceeds them is asked for again.
const KEPT: usize = 256 << 20;

/// Registries, and the npm client.
pub struct Vendoring<'a> {
    /// Asks registries; without it nothing is asked.
    pub client: Option<&'a Client>,
    /// Where questions are asked.
    pub runtime: &'a Handle,
    /// The client that resolves.
    pub npm: relock::NpmClient,
    /// Whether a release without a good signature is refused.
    pub require_signatures: bool,
    /// What registries said already.
    pub said: RegistryAnswers,
}

impl NpmServices for Vendoring<'_> {
    fn publishes(&self, url: &Url) -> bool {
        published_at(url).is_some()
    }

    fn words(&self, questions: &[TarballQuestion<'_>]) -> Vec<Result<Word, NpmFailure>> {
        let words = stream::iter(questions).map(|question| self.word(question));
        self.runtime.block_on(words.buffered(AT_ONCE).collect())
    }

    fn stated(&self, urls: &[&Url]) -> Vec<Result<Option<ContentId>, NpmFailure>> {
        let stated = stream::iter(urls).map(|url| self.state(url));
        self.runtime.block_on(stated.buffered(AT_ONCE).collect())
    }

    fn relock(&self, relock: &Relock<'_>) -> Result<Vec<u8>, NpmFailure> {
        let Relock { package_json, shrinkwrap, existing } = *relock;
        let existing = self.completed(existing);
        let request = RelockRequest { package_json, shrinkwrap, existing: Some(&existing), omit_dev: false };
        relock::relock(&self.npm, &request).map_err(|error| NpmFailure { error: Arc::new(error) })
    }
}

/// An answer that all who ask share.
type SharedAnswers<K, V> = Mutex<HashMap<K, Arc<OnceCell<Result<V, Refusal>>>>>;

/// What registries said in a run: each is asked once about its keys, and once about a package, however many want to know.
#[derive(Default)]
pub struct RegistryAnswers {
    /// Keys, by the URL at which a registry tells them.
    keys: SharedAnswers<Url, Arc<[Key]>>,
    packuments: SharedAnswers<PackageName, Arc<Packument>>,
    /// Bytes of the packuments that are kept.
    kept: AtomicUsize,
}

/// Why there is no answer.
#[derive(Clone)]
enum Refusal {
    /// The registry has no such package.
    Unknown(NpmFailure),
    Other(NpmFailure),
}

impl From<Refusal> for NpmFailure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(failure) | Refusal::Other(failure) => failure,
        }
    }
}

impl From<PackageError> for Refusal {
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::Unknown { .. } => Self::Unknown(failure(error)),
            other => Self::Other(failure(other)),
        }
    }
}

impl RegistryAnswers {
    async fn keys(&self, client: &Client, name: &PackageName) -> Result<Arc<[Key]>, NpmFailure> {
        let cell = cell(&self.keys, packages::keys_url(client, name));
        let ask = async || Ok(packages::keys(client, name).await?.into());
        Ok(cell.get_or_init(ask).await.clone()?)
    }

    async fn packument(&self, client: &Client, name: &PackageName) -> Result<Arc<Packument>, Refusal> {
        let cell = cell(&self.packuments, name.clone());
        let ask = async || {
            let packument = packages::fetch(client, name).await?;
            if self.kept.fetch_add(packument.size(), Ordering::Relaxed) > KEPT {
                self.packuments.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            }
            Ok(Arc::new(packument))
        };
        cell.get_or_init(ask).await.clone()
    }
}

/// The place of an answer.
fn cell<K: Eq + Hash, V>(answers: &SharedAnswers<K, V>, key: K) -> Arc<OnceCell<Result<V, Refusal>>> {
    Arc::clone(answers.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
}

fn failure(error: PackageError) -> NpmFailure {
    NpmFailure { error: Arc::new(error) }
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
    fn registry_of(&self, url: &Url) -> Option<(&Client, TarballName)> {
        let (client, published) = (self.client?, published_at(url)?);
        is_asked_about(client, url, &published.name).then_some((client, published))
    }

    /// What the registry states of a tarball, where it vouches for it as it has to.
    async fn state(&self, url: &Url) -> Result<Option<ContentId>, NpmFailure> {
        let Some((client, published)) = self.registry_of(url) else { return Ok(None) };
        let packument = self.said.packument(client, &published.name).await?;
        let release = packument.release(&published.version).map_err(failure)?;
        let stated = release.dist.integrity.id();
        if stated.algorithm() != Algorithm::Sha512 || !matches!(release.vouches_for(url, &stated), Vouch::Yes)
        {
            return Ok(None);
        }
        // A release that is not signed as it has to be is refused where its bytes are judged.
        let keys = self.said.keys(client, &release.name).await?;
        Ok(matches!(self.signed(&release, &keys), Word::Vouched(_)).then_some(stated))
    }

    async fn word(
        &self,
        &TarballQuestion { url, content }: &TarballQuestion<'_>,
    ) -> Result<Word, NpmFailure> {
        let Some((client, published)) = self.registry_of(url) else { return Ok(Word::None) };
        let packument = match self.said.packument(client, &published.name).await {
            Err(Refusal::Unknown(_)) => return Ok(Word::None),
            packument => packument?,
        };
        let release = match packument.release(&published.version) {
            Err(PackageError::NoRelease { .. }) => return Ok(Word::None),
            release => release.map_err(failure)?,
        };
        let stated = release.dist.integrity.id();
        let Some(got) = content.iter().find(|id| id.algorithm() == stated.algorithm()) else {
            return Ok(Word::None);
        };
        match release.vouches_for(url, got) {
            Vouch::Yes => Ok(self.signed(&release, &self.said.keys(client, &release.name).await?)),
            Vouch::OtherRelease => Ok(Word::None),
            Vouch::OtherBytes { expected } => Ok(Word::Other(expected.sri())),
        }
    }

    fn signed(&self, release: &Release, keys: &[Key]) -> Word {
        let verdict = signature::verify(release, keys);
        if verdict.forbids(self.require_signatures) {
            Word::Unsigned(format!("{}@{}: {verdict}", release.name, release.version))
        } else {
            Word::Vouched(verdict.code())
        }
    }
}

/// Whether the registry that is asked about a package is the one that this tarball came from: another one may have
/// another package of that name.
fn is_asked_about(client: &Client, url: &Url, name: &PackageName) -> bool {
    let base = client.options().access.registry_url(name.scope(), "");
    Access::is_public(url) || (url.origin() == base.origin() && url.path().starts_with(base.path()))
}
