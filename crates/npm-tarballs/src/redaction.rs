//! URLs as messages and the log may show them.

use std::fmt;

/// A URL for the log, of which only what [`redacted`] leaves is ever shown, and nothing is made of it where nobody logs.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.0))
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text of a URL without what may be secret: user info and query values become `***`, and the fragment goes.
///
/// It need not be a well-formed URL: what cannot be parsed is quoted in messages too.
#[must_use]
pub fn redacted(url: impl AsRef<str>) -> String {
    let text = url.as_ref().split('#').next().unwrap_or_default();
    let (text, query) = text.split_once('?').map_or((text, ""), |(text, _)| (text, "?***"));
    let is_slash = |c| matches!(c, '/' | '\\');
    // What stands before the first slash is a scheme if a colon ends it, and may be anything if not.
    let scheme = text.find(is_slash).filter(|&slash| slash == 0 || text[..slash].ends_with(':')).unwrap_or(0);
    let start = text.len() - text[scheme..].trim_start_matches(is_slash).len();
    let end = text[start..].find(is_slash).map_or(text.len(), |length| start + length);
    // `git` is whom every code host lets in by SSH.
    match text[start..end].rsplit_once('@') {
        None | Some(("" | "git", _)) => format!("{text}{query}"),
        Some((user_info, _)) => format!("{}***{}{query}", &text[..start], &text[start + user_info.len()..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_queries_and_fragments_do_not_show() {
        for (url, shown) in [
            ("https://host/a.tgz", "https://host/a.tgz"),
            ("https://host/@scope/a/-/a@1.tgz", "https://host/@scope/a/-/a@1.tgz"),
            ("https://me:hunter2@host/a.tgz?sig=hunter2#hunter2", "https://***@host/a.tgz?***"),
            ("https://hunter2@host:8080/a@b", "https://***@host:8080/a@b"),
            ("git+ssh://git@github.com/a/b.git#c", "git+ssh://git@github.com/a/b.git"),
            ("git+ssh://git:hunter2@github.com/a/b.git", "git+ssh://***@github.com/a/b.git"),
            ("https://host#me:hunter2@", "https://host"),
            ("file:../a", "file:../a"),
            ("@scope/a", "@scope/a"),
        ] {
            assert_eq!(redacted(url), shown);
            assert_eq!(format!("{0} {0:?}", Redacted(url)), format!("{shown} {shown}"));
        }
    }

    #[test]
    fn nor_do_they_where_no_url_can_be_read() {
        for (text, shown) in [
            ("https://me:p@ss@host:99999/a", "https://***@host:99999/a"),
            ("https:me:hunter2@host:99999/a", "***@host:99999/a"),
            ("https:\\\\me:hunter2@host:99999\\a", "https:\\\\***@host:99999\\a"),
            ("//me:hunter2@host/a?b", "//***@host/a?***"),
            ("me:hunter2@host", "***@host"),
            ("hunter2@", "***@"),
            ("@", "@"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
