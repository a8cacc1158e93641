//! Values that must not be seen.

use std::fmt;

use url::Url;

/// A token or password. `Debug` shows `***`; there is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The hidden text, for the request header only.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL for messages: user info is replaced by `***`, query values too (they may be signatures), and the fragment goes.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    if !url.username().is_empty() {
        let _ = url.set_username("***");
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "***");
        let url = Url::parse("https://me:hunter2@host/a.tgz?sig=hunter2#hunter2").unwrap();
        assert_eq!(redacted(&url), "https://***:***@host/a.tgz?***");
        assert_eq!(redacted(&Url::parse("https://host/a.tgz").unwrap()), "https://host/a.tgz");
    }
}
