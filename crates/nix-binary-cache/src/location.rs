//! Where a cache is: a URL that may be written down anywhere, because nothing secret can be in it.
//!
//! ```text
//! file:///dir
//! s3://bucket/prefix?endpoint=https://host&region=eu-west-1&profile=ci&credentials=instance
//! gs://bucket/prefix?endpoint=...&credentials=instance
//! az://container/prefix?account=name&endpoint=...&credentials=instance
//! https://host/path                               GET, HEAD and PUT, as Nix's own HTTP caches
//! ```

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use error_advice::Advise;
use percent_encoding::percent_decode_str;
use url::Url;

/// The place of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheLocation {
    kind: Kind,
    /// As it was given.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Folder(PathBuf),
    Bucket(Bucket),
    Http(Url),
}

/// Whose clouds these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cloud {
    S3,
    Google,
    Azure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bucket {
    pub(crate) cloud: Cloud,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) endpoint: Option<Url>,
    pub(crate) region: Option<String>,
    /// Of the AWS profile, or the Azure account.
    pub(crate) profile: Option<String>,
    pub(crate) instance: bool,
}

/// Why a text is not a location. What was given is not repeated: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// No URL at all.
    #[error("not a URL: expected file:///dir, s3://bucket/prefix, gs://, az:// or https://")]
    NoUrl,
    /// Another kind of place.
    #[error("`{0}:` is not a kind of cache: expected file, s3, gs, az or https")]
    Scheme(String),
    /// A user name or a password.
    #[error("the URL has a user name or a password in it")]
    Credentials,
    /// A parameter that means nothing, and may be a signature or a token.
    #[error("the URL has the parameter `{0}`, which means nothing here")]
    Parameter(String),
    /// A parameter that does not say what it may say.
    #[error("the URL's parameter `{0}` has to be {1}")]
    Value(&'static str, &'static str),
    /// There is no bucket, host or absolute folder.
    #[error("the URL does not say {0}")]
    Nowhere(&'static str),
}

impl Advise for LocationError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Credentials | Self::Parameter(_) => Some(
                "credentials come from the environment, profile files or netrc, never from a URL; s3:// knows endpoint, \
                 region, profile and credentials=instance"
                    .into(),
            ),
            _ => None,
        }
    }
}

impl CacheLocation {
    /// Whether it says where credentials are sent to. What comes with a repository must not, or a stranger's change would
    /// have the session tokens of all who run it.
    #[must_use]
    pub fn directs_credentials(&self) -> bool {
        matches!(&self.kind, Kind::Bucket(bucket) if bucket.endpoint.is_some())
    }

    #[cfg(feature = "client")]
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }
}

impl fmt::Display for CacheLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for CacheLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let url = Url::parse(text).map_err(|_| LocationError::NoUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LocationError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(LocationError::Parameter("#".to_owned()));
        }
        let kind = match url.scheme() {
            "file" => folder(&url)?,
            "s3" => Kind::Bucket(bucket(&url, Cloud::S3)?),
            "gs" => Kind::Bucket(bucket(&url, Cloud::Google)?),
            "az" => Kind::Bucket(bucket(&url, Cloud::Azure)?),
            "http" | "https" => http(url)?,
            other => return Err(LocationError::Scheme(other.to_owned())),
        };
        Ok(Self { kind, text: text.to_owned() })
    }
}

fn folder(url: &Url) -> Result<Kind, LocationError> {
    refuse_parameters(url, &[])?;
    url.to_file_path().map(Kind::Folder).map_err(|()| LocationError::Nowhere("an absolute folder"))
}

fn http(url: Url) -> Result<Kind, LocationError> {
    refuse_parameters(&url, &[])?;
    Ok(Kind::Http(url))
}

/// A parameter's name is safe to repeat only if it looks like one.
fn refuse_parameters(url: &Url, known: &[&str]) -> Result<(), LocationError> {
    let plain =
        |name: &str| name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let Some((name, _)) = url.query_pairs().find(|(name, _)| !known.contains(&&**name)) else {
        return Ok(());
    };
    // `?TOKEN` is a parameter without a value: what may be the secret itself is not repeated.
    let shown =
        if plain(&name) && url.query().is_some_and(|query| query.contains('=')) { &*name } else { "?" };
    Err(LocationError::Parameter(shown.to_owned()))
}

fn bucket(url: &Url, cloud: Cloud) -> Result<Bucket, LocationError> {
    let mine = match cloud {
        Cloud::S3 => &["endpoint", "region", "profile", "scheme", "credentials"][..],
        Cloud::Google => &["endpoint", "credentials"],
        Cloud::Azure => &["endpoint", "account", "credentials"],
    };
    refuse_parameters(url, mine)?;
    let value = |name: &str| {
        let pair = url.query_pairs().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    let name =
        url.host_str().filter(|host| !host.is_empty()).ok_or(LocationError::Nowhere("which bucket"))?;
    let prefix = percent_decode_str(url.path().trim_matches('/'));
    let prefix = prefix.decode_utf8().map_err(|_| LocationError::NoUrl)?;
    if prefix.split('/').any(|part| part == ".." || part == ".") {
        return Err(LocationError::NoUrl);
    }
    let endpoint = value("endpoint").map(|text| endpoint(&text, value("scheme").as_deref())).transpose()?;
    let instance = match value("credentials").as_deref() {
        None => false,
        Some("instance") => true,
        Some(_) => return Err(LocationError::Value("credentials", "`instance`")),
    };
    Ok(Bucket {
        cloud,
        name: name.to_owned(),
        prefix: prefix.into_owned(),
        endpoint,
        region: value("region"),
        profile: value("profile").or_else(|| value("account")),
        instance,
    })
}

/// Nix writes an endpoint as a host, with the scheme beside it.
pub(crate) fn endpoint(text: &str, scheme: Option<&str>) -> Result<Url, LocationError> {
    let wrong = LocationError::Value("endpoint", "the http or https URL of a server, or its host");
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("{}://{text}", scheme.unwrap_or("https"))
    };
    let url = Url::parse(&full).map_err(|_| wrong.clone())?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.has_host();
    if plain && matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        text.parse::<CacheLocation>().map_or_else(|error| error.to_string(), |location| location.to_string())
    }

    #[test]
    fn all_kinds_of_places_are_read() {
        let s3 =
            "s3://cache/a/b?endpoint=http://127.0.0.1:9000&region=eu-west-1&profile=ci&credentials=instance";
        let Kind::Bucket(bucket) = s3.parse::<CacheLocation>().unwrap().kind else { panic!() };
        assert_eq!((bucket.name.as_str(), bucket.prefix.as_str()), ("cache", "a/b"));
        assert_eq!(bucket.endpoint.unwrap().as_str(), "http://127.0.0.1:9000/");
        assert_eq!((bucket.region.as_deref(), bucket.profile.as_deref()), (Some("eu-west-1"), Some("ci")));
        assert!(bucket.instance);
        // As `nix copy --to` has it.
        let Kind::Bucket(nix) =
            "s3://c?endpoint=host:9000&scheme=http".parse::<CacheLocation>().unwrap().kind
        else {
            panic!()
        };
        assert_eq!(nix.endpoint.unwrap().as_str(), "http://host:9000/");
        for text in [
            "file:///tmp/cache",
            "gs://b/p",
            "az://c/p?account=acme",
            "https://cache.example/x",
            "http://127.0.0.1:1/",
        ] {
            assert_eq!(said(text), text);
        }
    }

    #[test]
    fn nothing_secret_is_taken_or_repeated() {
        for text in [
            "s3://hunter2:hunter2@bucket/x",
            "https://u:hunter2@cache.example/",
            "https://cache.example/?X-Amz-Signature=hunter2",
            "https://cache.example/?hunter2",
            "az://c/p?sig=hunter2",
            "s3://b?endpoint=https://u:hunter2@h",
            "s3://b?credentials=hunter2",
            "https://cache.example/#hunter2",
            "hunter2",
        ] {
            let error = text.parse::<CacheLocation>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        assert_eq!(said("ftp://h/"), "`ftp:` is not a kind of cache: expected file, s3, gs, az or https");
        assert_eq!(said("s3:///x"), "the URL does not say which bucket");
        assert!(said("s3://b?regoin=x").contains("`regoin`"));
    }

    #[test]
    fn a_location_that_says_where_credentials_go_is_known_as_one() {
        let directs = |text: &str| text.parse::<CacheLocation>().unwrap().directs_credentials();
        assert!(
            directs("s3://b?endpoint=https://h") && !directs("s3://b?region=x") && !directs("https://h/")
        );
    }
}
