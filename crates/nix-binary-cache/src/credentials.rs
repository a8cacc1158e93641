//! What opens a bucket, from where the users of each cloud have it: the environment, then the profile files. The metadata
//! service of an instance is asked only where the location says so: elsewhere that address is somebody else's.
//!
//! The environment is looked up through a function, name by name, so that the embedding program decides what is seen.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use error_advice::Advise;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ObjectStore, RetryConfig};
use url::Url;

use crate::location::{Bucket, Cloud, endpoint};

/// What is around: where credentials may be, and how requests go out.
pub struct Surroundings<'a> {
    /// Looks up a variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The user's folder.
    pub home: Option<PathBuf>,
    /// The `authorization` header for an HTTP cache, such as netrc has it.
    pub authorization: &'a dyn Fn(&Url) -> Option<String>,
    /// Makes requests: proxies and certificates are its business. Redirects it must not follow.
    pub http: reqwest::Client,
}

/// Why there is nothing to open a bucket with. Names of variables, files and profiles; never what they hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Nothing was found anywhere.
    #[error("no credentials for {0}")]
    None(&'static str),
    /// One half of a pair is missing.
    #[error("{0} is set, but {1} is not")]
    Half(String, String),
    /// A profile that was asked for is not there.
    #[error("the profile `{0}` is in none of the AWS profile files")]
    NoProfile(String),
    /// A profile that another program would have to be run for.
    #[error("the profile `{0}` gets its credentials by `{1}`, which only AWS's own tools can do")]
    Indirect(String, String),
    /// A profile's or an environment's endpoint is not a URL.
    #[error("the endpoint in {0} is not an http or https URL")]
    Endpoint(&'static str),
    /// A cloud's library refuses what was found.
    #[error("the credentials for {0} cannot be used")]
    Unusable(&'static str),
    /// Azure names its buckets within accounts.
    #[error("it is not known in which Azure account the container is")]
    NoAccount,
}

impl Advise for CredentialsError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::None("S3") => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with ?profile= or AWS_PROFILE; on an instance \
                 with a role, say ?credentials=instance"
            }
            Self::None("Google Cloud Storage") => {
                "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS; on an instance with a \
                 service account, say ?credentials=instance"
            }
            Self::None(_) => {
                "set AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID with AZURE_TENANT_ID and a secret or \
                 federated token; on an instance with an identity, say ?credentials=instance"
            }
            Self::Half(..) => "set both, or neither",
            Self::NoProfile(_) => "see `aws configure list-profiles`",
            Self::Indirect(..) => {
                "put them into the environment: eval \"$(aws configure export-credentials --format env)\""
            }
            Self::Endpoint(_) => "write it with its scheme, such as https://host",
            Self::Unusable(_) => "try them with the cloud's own tool",
            Self::NoAccount => "say ?account=NAME, or set AZURE_STORAGE_ACCOUNT",
        };
        Some(hint.into())
    }
}

/// Hands out the one HTTP client.
#[derive(Debug, Clone)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &object_store::ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The store of a bucket.
pub(crate) fn open(
    bucket: &Bucket,
    around: &Surroundings<'_>,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>, CredentialsError> {
    match bucket.cloud {
        Cloud::S3 => s3(bucket, around, retry),
        Cloud::Google => google(bucket, around, retry),
        Cloud::Azure => azure(bucket, around, retry),
    }
}

impl Surroundings<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.is_empty())
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    fn connector(&self) -> Connector {
        Connector(self.http.clone())
    }
}

fn s3(
    bucket: &Bucket,
    around: &Surroundings<'_>,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>, CredentialsError> {
    let profile = Profile::read(bucket.profile.as_deref(), around);
    let region = bucket.region.clone().or_else(|| around.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
    let region = region.or_else(|| profile.get("region").map(str::to_owned));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        // The default of Nix's own `s3://` stores.
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
        .with_retry(retry)
        .with_http_connector(around.connector());
    if let Some(url) = s3_endpoint(bucket, &profile, around)? {
        builder =
            builder.with_endpoint(url.as_str().trim_end_matches('/')).with_allow_http(url.scheme() == "http");
    }
    builder = s3_credentials(builder, bucket, &profile, around)?;
    // The library's own words may quote what it was given.
    Ok(Arc::new(builder.build().map_err(|_| CredentialsError::Unusable("S3"))?))
}

fn s3_endpoint(
    bucket: &Bucket,
    profile: &Profile,
    around: &Surroundings<'_>,
) -> Result<Option<Url>, CredentialsError> {
    if bucket.endpoint.is_some() {
        return Ok(bucket.endpoint.clone());
    }
    let read = |text: &str, whence| endpoint(text, None).map_err(|_| CredentialsError::Endpoint(whence));
    match (around.first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]), profile.get("endpoint_url")) {
        (Some(text), _) => read(&text, "AWS_ENDPOINT_URL").map(Some),
        (None, Some(text)) => read(text, "the AWS profile").map(Some),
        (None, None) => Ok(None),
    }
}

/// In the order of AWS's own tools; a profile that is named in the location counts for more than the environment.
fn s3_credentials(
    builder: AmazonS3Builder,
    bucket: &Bucket,
    profile: &Profile,
    around: &Surroundings<'_>,
) -> Result<AmazonS3Builder, CredentialsError> {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    // Without keys the library asks the metadata service.
    if bucket.instance {
        return Ok(builder);
    }
    if bucket.profile.is_none() {
        match (around.text(ID), around.text(SECRET)) {
            (Some(id), Some(secret)) => {
                let token = around.text("AWS_SESSION_TOKEN");
                return Ok(with_keys(builder, &id, &secret, token.as_deref()));
            }
            (Some(_), None) => return Err(CredentialsError::Half(ID.to_owned(), SECRET.to_owned())),
            (None, Some(_)) => return Err(CredentialsError::Half(SECRET.to_owned(), ID.to_owned())),
            (None, None) => {}
        }
        if let (Some(file), Some(role)) =
            (around.text("AWS_WEB_IDENTITY_TOKEN_FILE"), around.text("AWS_ROLE_ARN"))
        {
            let session =
                around.text("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "nix-binary-cache".to_owned());
            return Ok(builder
                .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, file)
                .with_config(AmazonS3ConfigKey::RoleArn, role)
                .with_config(AmazonS3ConfigKey::RoleSessionName, session));
        }
    }
    if let Some((id, secret, token)) = profile.keys()? {
        return Ok(with_keys(builder, id, secret, token));
    }
    container_credentials(builder, around).ok_or(CredentialsError::None("S3"))
}

/// Where a container is told to ask for its credentials.
fn container_credentials(builder: AmazonS3Builder, around: &Surroundings<'_>) -> Option<AmazonS3Builder> {
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ];
    let set: Vec<_> =
        container.into_iter().filter_map(|(name, key)| Some((key, around.text(name)?))).collect();
    // The last one alone says nothing of where to ask.
    let enough = around.text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some() || set.len() == 2;
    enough.then(|| set.into_iter().fold(builder, |builder, (key, value)| builder.with_config(key, value)))
}

fn with_keys(builder: AmazonS3Builder, id: &str, secret: &str, token: Option<&str>) -> AmazonS3Builder {
    let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    match token {
        Some(token) => builder.with_token(token),
        None => builder,
    }
}

/// The identifier, the secret and the session's token of an account.
type Keys<'a> = (&'a str, &'a str, Option<&'a str>);

/// A profile of `~/.aws/credentials` and `~/.aws/config`.
struct Profile {
    name: String,
    asked_for: bool,
    there: bool,
    settings: BTreeMap<String, String>,
}

impl Profile {
    fn read(named: Option<&str>, around: &Surroundings<'_>) -> Self {
        let asked =
            named.map(str::to_owned).or_else(|| around.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
        let asked_for = asked.is_some();
        let name = asked.unwrap_or_else(|| "default".to_owned());
        let file = |variable: &str, usual: &str| {
            let path = around.text(variable).map(PathBuf::from);
            let path = path.or_else(|| Some(around.home.as_ref()?.join(".aws").join(usual)))?;
            fs::read_to_string(path).ok()
        };
        let (mut settings, mut there) = (BTreeMap::new(), false);
        let texts = [
            (file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), name.clone()),
            (
                file("AWS_CONFIG_FILE", "config"),
                // In `config`, and there alone, all sections but this one begin with `profile`.
                if name == "default" { name.clone() } else { format!("profile {name}") },
            ),
        ];
        for (text, section) in texts {
            let Some(found) = text.as_deref().and_then(|text| section_of(text, &section)) else { continue };
            there = true;
            for (key, value) in found {
                // Of both files `credentials` wins, as with AWS's own tools.
                settings.entry(key).or_insert(value);
            }
        }
        Self { name, asked_for, there, settings }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    fn keys(&self) -> Result<Option<Keys<'_>>, CredentialsError> {
        const ID: &str = "aws_access_key_id";
        const SECRET: &str = "aws_secret_access_key";
        if !self.there && self.asked_for {
            return Err(CredentialsError::NoProfile(self.name.clone()));
        }
        match (self.get(ID), self.get(SECRET)) {
            (Some(id), Some(secret)) => return Ok(Some((id, secret, self.get("aws_session_token")))),
            (Some(_), None) => return Err(CredentialsError::Half(ID.to_owned(), SECRET.to_owned())),
            (None, Some(_)) => return Err(CredentialsError::Half(SECRET.to_owned(), ID.to_owned())),
            (None, None) => {}
        }
        let by = ["credential_process", "sso_session", "sso_start_url", "role_arn"];
        match by.into_iter().find(|key| self.get(key).is_some()) {
            Some(by) => Err(CredentialsError::Indirect(self.name.clone(), by.to_owned())),
            None => Ok(None),
        }
    }
}

/// The settings of a section of an INI file; nested ones, which are indented, are passed over.
fn section_of(text: &str, wanted: &str) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) || line.starts_with([' ', '\t']) {
            continue;
        }
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.split_whitespace().eq(wanted.split_whitespace());
            if inside {
                found.get_or_insert_default();
            }
        } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
            let section = found.get_or_insert_default();
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

fn google(
    bucket: &Bucket,
    around: &Surroundings<'_>,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>, CredentialsError> {
    const CLOUD: &str = "Google Cloud Storage";
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(retry)
        .with_http_connector(around.connector());
    if let Some(url) = &bucket.endpoint {
        builder = builder.with_base_url(url.as_str().trim_end_matches('/'));
    }
    let usual = around.home.as_deref().map(|home| {
        let folder =
            around.text("CLOUDSDK_CONFIG").map_or_else(|| home.join(".config/gcloud"), PathBuf::from);
        folder.join("application_default_credentials.json")
    });
    let file = around.text("GOOGLE_APPLICATION_CREDENTIALS");
    let file = file.or_else(|| usual.filter(|path| path.is_file()).and_then(|path| utf8(&path)));
    match (file, bucket.instance) {
        (Some(file), false) => builder = builder.with_application_credentials(file),
        (None, false) => return Err(CredentialsError::None(CLOUD)),
        (_, true) => {}
    }
    Ok(Arc::new(builder.build().map_err(|_| CredentialsError::Unusable(CLOUD))?))
}

fn utf8(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}

fn azure(
    bucket: &Bucket,
    around: &Surroundings<'_>,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>, CredentialsError> {
    const CLOUD: &str = "Azure";
    let account = around.first(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]);
    let account = bucket.profile.clone().or(account).ok_or(CredentialsError::NoAccount)?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&bucket.name)
        .with_retry(retry)
        .with_http_connector(around.connector());
    if let Some(url) = &bucket.endpoint {
        builder = builder
            .with_endpoint(url.as_str().trim_end_matches('/').to_owned())
            .with_allow_http(url.scheme() == "http");
    }
    let known: [(&[&str], AzureConfigKey); 6] = [
        (&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY"], AzureConfigKey::AccessKey),
        (&["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"], AzureConfigKey::SasKey),
        (&["AZURE_CLIENT_ID"], AzureConfigKey::ClientId),
        (&["AZURE_CLIENT_SECRET"], AzureConfigKey::ClientSecret),
        (&["AZURE_TENANT_ID"], AzureConfigKey::AuthorityId),
        (&["AZURE_FEDERATED_TOKEN_FILE"], AzureConfigKey::FederatedTokenFile),
    ];
    let set: Vec<_> =
        known.into_iter().filter_map(|(names, key)| Some((key, around.first(names)?))).collect();
    let has = |wanted: &[AzureConfigKey]| wanted.iter().all(|key| set.iter().any(|(known, _)| known == key));
    let client = [AzureConfigKey::ClientId, AzureConfigKey::AuthorityId];
    let enough = has(&[AzureConfigKey::AccessKey])
        || has(&[AzureConfigKey::SasKey])
        || (has(&client)
            && (has(&[AzureConfigKey::ClientSecret]) || has(&[AzureConfigKey::FederatedTokenFile])));
    if !bucket.instance {
        if !enough {
            return Err(CredentialsError::None(CLOUD));
        }
        builder = set.into_iter().fold(builder, |builder, (key, value)| builder.with_config(key, value));
    }
    Ok(Arc::new(builder.build().map_err(|_| CredentialsError::Unusable(CLOUD))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{CacheLocation, Kind};

    fn opened(location: &str, variables: &[(&str, &str)], home: &Path) -> Result<String, CredentialsError> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let around = Surroundings {
            variable: &variable,
            home: Some(home.to_owned()),
            authorization: &|_| None,
            http: crate::tests::client(),
        };
        let location: CacheLocation = location.parse().unwrap();
        let Kind::Bucket(bucket) = location.kind() else { panic!("no bucket") };
        open(bucket, &around, RetryConfig::default()).map(|store| format!("{store}"))
    }

    #[test]
    fn the_environment_counts_before_the_default_profile_and_a_named_profile_before_it() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let none = CredentialsError::None("S3");
        assert_eq!(opened("s3://b", &[], home.path()), Err(none));
        let half = CredentialsError::Half("AWS_ACCESS_KEY_ID".to_owned(), "AWS_SECRET_ACCESS_KEY".to_owned());
        assert_eq!(opened("s3://b", &[("AWS_ACCESS_KEY_ID", "x")], home.path()), Err(half));
        assert!(
            opened("s3://b", &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")], home.path())
                .is_ok()
        );
        assert!(opened("s3://b?credentials=instance", &[], home.path()).is_ok());
        let config = "[default]\nregion = eu-west-1\n[profile ci]\naws_access_key_id=a\naws_secret_access_key = b\ns3 =\n  x = y\n\
                      [profile sso]\nsso_session = s\n";
        fs::write(home.path().join(".aws/config"), config).unwrap();
        assert!(opened("s3://b?profile=ci", &[], home.path()).is_ok());
        assert!(opened("s3://b", &[("AWS_PROFILE", "ci")], home.path()).is_ok());
        let gone = CredentialsError::NoProfile("gone".to_owned());
        assert_eq!(
            opened(
                "s3://b?profile=gone",
                &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")],
                home.path()
            ),
            Err(gone)
        );
        let sso = CredentialsError::Indirect("sso".to_owned(), "sso_session".to_owned());
        assert_eq!(opened("s3://b?profile=sso", &[], home.path()), Err(sso));
    }

    #[test]
    fn the_other_clouds_have_their_own_places() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(opened("gs://b", &[], home.path()), Err(CredentialsError::None("Google Cloud Storage")));
        assert!(opened("gs://b?credentials=instance", &[], home.path()).is_ok());
        assert_eq!(opened("az://c", &[], home.path()), Err(CredentialsError::NoAccount));
        assert_eq!(opened("az://c?account=acme", &[], home.path()), Err(CredentialsError::None("Azure")));
        assert!(
            opened("az://c?account=acme", &[("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")], home.path()).is_ok()
        );
        let unusable = CredentialsError::Unusable("Azure");
        assert_eq!(
            opened("az://c?account=acme", &[("AZURE_STORAGE_ACCOUNT_KEY", "%")], home.path()),
            Err(unusable)
        );
    }
}
