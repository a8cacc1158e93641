//! How registries name their tarballs: `.../name/-/name-1.0.0.tgz`, with the scope before the name if it has one.
//!
//! Every registry that speaks npm's protocol does so, so that a URL tells package and release whatever its host is.

use percent_encoding::percent_decode_str;

/// Package and version as the path of a URL spells them, percent-encoded or not; neither is checked against npm's rules.
#[must_use]
pub fn named(path: &str) -> Option<(String, String)> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (package, file) = path.rsplit_once("/-/")?;
    let (rest, base) = package.rsplit_once('/')?;
    let scope = rest.rsplit('/').next().filter(|part| part.starts_with('@'));
    let name = scope.map_or_else(|| base.to_owned(), |scope| format!("{scope}/{base}"));
    // Some registries repeat the scope in the file's name.
    let file = scope.and_then(|scope| file.strip_prefix(scope)?.strip_prefix('/')).unwrap_or(file);
    // Gitea and Forgejo have a folder for each version.
    let (folder, file) = file.split_once('/').map_or((None, file), |(folder, file)| (Some(folder), file));
    let version = file.strip_suffix(".tgz")?.strip_prefix(base)?.strip_prefix('-')?;
    let is_named = !base.is_empty() && !version.is_empty() && folder.is_none_or(|folder| folder == version);
    is_named.then(|| (name, version.to_owned()))
}

/// The same of a whole URL.
#[must_use]
pub fn named_by(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let path = &rest[rest.find('/')?..];
    let path = path.split(['?', '#']).next()?;
    matches!(scheme, "http" | "https").then(|| named(path))?
}

/// Whether the known parts of a URL leave it open that it names a tarball so.
#[must_use]
pub fn may_be_named<'a>(mut parts: impl Iterator<Item = &'a str> + Clone) -> bool {
    parts.clone().any(|part| part.contains("/-/")) && parts.any(|part| part.contains(".tgz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_registries_name_package_and_version() {
        for (url, name, version) in [
            ("https://r.example/ms/-/ms-2.1.3.tgz", "ms", "2.1.3"),
            ("https://r.example/@a/b/-/b-1.0.0-rc.1.tgz", "@a/b", "1.0.0-rc.1"),
            ("https://r.example/npm/%40a%2fb/-/b-1.0.0.tgz?x=1", "@a/b", "1.0.0"),
            ("http://r.example/@a/b/-/@a/b-1.0.0.tgz#f", "@a/b", "1.0.0"),
            ("https://g.example/api/packages/o/npm/%40a%2Fb/-/1.0.0/b-1.0.0.tgz", "@a/b", "1.0.0"),
            ("https://g.example/api/packages/o/npm/ms/-/2.1.3/ms-2.1.3.tgz", "ms", "2.1.3"),
        ] {
            assert_eq!(named_by(url), Some((name.to_owned(), version.to_owned())), "{url}");
        }
    }

    #[test]
    fn other_urls_name_nothing() {
        for url in [
            "https://git.example/a/b/-/archive/v1/b-v1.tar.gz",
            "https://r.example/ms/-/other-2.1.3.tgz",
            "https://r.example/ms/-/ms-.tgz",
            "https://r.example/ms/-/2.1.4/ms-2.1.3.tgz",
            "https://git.example/a/b/-/archive/v1/b-v1.tgz",
            "ftp://r.example/ms/-/ms-2.1.3.tgz",
            "https://r.example",
            "ms",
        ] {
            assert_eq!(named_by(url), None, "{url}");
        }
    }
}
