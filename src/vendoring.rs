//! What registries and the npm client do for sources: vouch for a tarball, and make a vendored lockfile anew.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::stream::{self, StreamExt as _};
use tokio::{runtime::Handle, sync::OnceCell};
use url::Url;

use crate::{
    integrity::{Algorithm, ContentId},
    npm_package::{self, Key, PackageError, PackageName, Published, Release, Vouch, published_at, signature},
    registry::Client,
    relock::{self, RelockRequest},
    repair::{self, Thoroughness},
    source::{Npm, NpmFailure, Question, Relock, Word},
};

/// The host of the registry that is asked unless a user's configuration says otherwise.
const PUBLIC_HOST: &str = "registry.npmjs.org";

/// Packuments that are read at one time: they may be megabytes each.
const AT_ONCE: usize = 32;

/// Registries, and the npm client.
pub struct Vendoring<'a> {
    /// Asks registries; without it nothing is asked.
    pub client: Option<&'a Client>,
    /// Where questions are asked.
    pub runtime: &'a Handle,
    /// The client that resolves.
    pub npm: relock::Npm,
    /// Whether a release without a good signature is refused.
    pub require_signatures: bool,
}

impl Npm for Vendoring<'_> {
    fn publishes(&self, url: &Url) -> bool {
        published_at(url).is_some()
    }

    fn words(&self, questions: &[Question<'_>]) -> Vec<Result<Word, NpmFailure>> {
        let keys = Keys::default();
        let words = stream::iter(questions).map(|question| self.word(question, &keys));
        self.runtime.block_on(words.buffered(AT_ONCE).collect())
    }

    fn stated(&self, urls: &[&Url]) -> Vec<Result<Option<ContentId>, NpmFailure>> {
        let keys = Keys::default();
        let stated = stream::iter(urls).map(|url| self.state(url, &keys));
        self.runtime.block_on(stated.buffered(AT_ONCE).collect())
    }

    fn relock(&self, relock: &Relock<'_>) -> Result<Vec<u8>, NpmFailure> {
        let Relock { package_json, shrinkwrap, existing } = *relock;
        let existing = self.completed(existing);
        let request = RelockRequest { package_json, shrinkwrap, existing: Some(&existing), omit_dev: false };
        relock::relock(&self.npm, &request)
            .map_err(|error| NpmFailure { hint: error.hint().map(str::to_owned), error: Arc::new(error) })
    }
}

type Told = Result<Vec<Key>, NpmFailure>;

/// What each registry tells of its keys, by the URL at which it does so: each is asked once, whoever wants to know.
#[derive(Default)]
struct Keys(Mutex<HashMap<Url, Arc<OnceCell<Told>>>>);

impl Keys {
    async fn of(&self, client: &Client, name: &PackageName) -> Told {
        let cell = {
            let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(asked.entry(npm_package::keys_url(client, name)).or_default())
        };
        let ask = async || npm_package::keys(client, name).await.map_err(failure);
        cell.get_or_init(ask).await.clone()
    }
}

fn failure(error: PackageError) -> NpmFailure {
    NpmFailure { hint: error.hint(), error: Arc::new(error) }
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
    async fn state(&self, url: &Url, keys: &Keys) -> Result<Option<ContentId>, NpmFailure> {
        let Some((client, published)) = self.registry_of(url) else { return Ok(None) };
        let packument = npm_package::fetch(client, &published.name).await.map_err(failure)?;
        let release = packument.release(&published.version).map_err(failure)?;
        let stated = release.dist.integrity.id();
        if stated.algorithm() != Algorithm::Sha512 || !matches!(release.vouches_for(url, &stated), Vouch::Yes)
        {
            return Ok(None);
        }
        // A release that is not signed as it has to be is refused where its bytes are judged.
        let keys = keys.of(client, &release.name).await?;
        Ok(matches!(self.signed(&release, &keys), Word::Vouched(_)).then_some(stated))
    }

    async fn word(&self, &Question { url, content }: &Question<'_>, keys: &Keys) -> Result<Word, NpmFailure> {
        let Some((client, published)) = self.registry_of(url) else { return Ok(Word::None) };
        let packument = match npm_package::fetch(client, &published.name).await {
            Err(PackageError::Unknown { .. }) => return Ok(Word::None),
            packument => packument.map_err(failure)?,
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
            Vouch::Yes => Ok(self.signed(&release, &keys.of(client, &release.name).await?)),
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
    url.host_str() == Some(PUBLIC_HOST)
        || (url.origin() == base.origin() && url.path().starts_with(base.path()))
}
