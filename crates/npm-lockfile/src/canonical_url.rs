//! URLs as the URL standard writes them, which is how npm's cache names what it holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::{ParseError, Position, Url};

/// A URL in the writing of the URL standard's serializer. Cheap to clone; ordered as text.
///
/// A lockfile names thousands, of which few are ever taken apart: only [`CanonicalUrl::to_url`] does that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalUrl(Arc<str>);

impl CanonicalUrl {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme, without its colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// The same URL, taken apart.
    #[must_use]
    pub fn to_url(&self) -> Url {
        Url::parse(&self.0).expect("bug: what the URL standard writes, it also reads")
    }
}

impl AsRef<str> for CanonicalUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&Url> for CanonicalUrl {
    fn from(url: &Url) -> Self {
        Self(url.as_str().into())
    }
}

impl FromStr for CanonicalUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Url::parse(text).map(|url| Self::from(&url))
    }
}

impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the URLs of one lockfile.
///
/// Parsing each by itself would take a third of the time of reading a lockfile, and nearly all stand below the same few
/// registries: of a URL that begins as the one before did, only the path is looked at.
#[derive(Default)]
pub(super) struct UrlReader {
    /// Scheme and host of the last URL that was parsed, if the standard leaves them as they were written.
    origin: Option<String>,
}

impl UrlReader {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// The text is none.
    pub(super) fn read(&mut self, text: &str) -> Result<CanonicalUrl, ParseError> {
        let path = self.origin.as_deref().and_then(|origin| text.strip_prefix(origin));
        if path.is_some_and(is_plain_path) {
            return Ok(CanonicalUrl(text.into()));
        }
        let url = Url::parse(text)?;
        // Paths of other schemes are written by other rules.
        if matches!(url.scheme(), "http" | "https") {
            let origin = &url[..Position::BeforePath];
            self.origin = text.starts_with(origin).then(|| origin.to_owned());
        }
        Ok(CanonicalUrl::from(&url))
    }
}

/// Whether this is a path that the standard leaves as it is: of characters that it does not encode, and without
/// segments that begin with a dot, as those do that it resolves (`.` and `..`).
fn is_plain_path(path: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+' | b'~');
    path.starts_with('/') && !path.contains("/.") && path.bytes().all(|byte| byte == b'/' || plain(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, ParseError> {
        Url::parse(text).map(String::from)
    }

    #[test]
    fn urls_below_one_host_are_written_as_the_standard_does() {
        let mut urls = UrlReader::default();
        for text in [
            "https://host/a/-/a-1.0.0.tgz",
            "https://host/@scope/a/-/a-1.0.0+build.tgz",
            "https://host",
            "https://host/a/../b",
            "https://host/a/.",
            "https://host/.a",
            "https://host/a b",
            "https://host/a%2fb",
            "https://host/%2e%2E/b",
            "https://host/a\\b",
            "https://host/\u{e9}",
            "https://host/a?query#fragment",
            "https://host//a//b/",
            "https://host.example/a",
            "https://host@example/a",
            "https://host:8080/a",
            "https://host:443/a",
            "HTTPS://HOST/a",
            "http://127.1/a",
            "http://user:word@host/a",
            "file:../a.tgz",
            "git+ssh://git@host/a/b.git#c",
            " https://host/a\n",
            "https://host/a\n",
        ] {
            let expected = canonical(text).unwrap();
            // Twice, because reading one changes how the next is read.
            for _ in 0..2 {
                let read = urls.read(text).unwrap();
                assert_eq!((read.as_str(), read.to_url().as_str()), (&*expected, &*expected), "{text:?}");
                assert_eq!((read.scheme(), read.as_ref()), (read.to_url().scheme(), &*expected));
            }
        }
        assert!(urls.read("../a").is_err());
    }

    #[test]
    fn the_usual_paths_are_not_parsed_again() {
        for path in ["/a/-/a-1.0.0.tgz", "/@scope/a_b/-/a_b-1.0.0-rc.1+build~1.tgz", "/"] {
            assert!(is_plain_path(path), "{path}");
        }
        for path in ["", "a", "/a b", "/a%20b", "/..", "/a/.b", "/a?b", "/\u{e9}"] {
            assert!(!is_plain_path(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_read_before(texts in prop::collection::vec("([a-z+]{1,4}:|https?://(a|b\\.c|1\\.2)(:8?0)?)?[/.a@?#%2eE\\\\ ~+\u{e9}:-]{0,8}", 1..8)) {
            let mut urls = UrlReader::default();
            for text in texts {
                let read = urls.read(&text);
                if let Ok(read) = &read {
                    prop_assert_eq!(&CanonicalUrl::from(&read.to_url()), read, "{:?} is read again", text);
                }
                prop_assert_eq!(read.map(|url| url.to_string()), canonical(&text), "{:?}", text);
            }
        }
    }
}
