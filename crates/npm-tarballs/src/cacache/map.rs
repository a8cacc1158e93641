//! From URL to integrity: what a cache holds, read back from its index.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The integrity of each URL that a cache holds, gathered from one index file after the other.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CacheMap(pub BTreeMap<String, String>);

/// Why a line is none of an index.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// No tab between checksum and entry.
    #[error("line {line}: no tab after the checksum")]
    NoTab {
        /// From 1.
        line: usize,
    },
    /// The entry is not one.
    #[error("line {line}: not an entry of npm's cache")]
    Entry {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Entry {
    integrity: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    url: String,
}

impl CacheMap {
    /// Adds the entries of an index file, all of its lines; the last one for a URL counts.
    ///
    /// # Errors
    /// A line that is not an entry.
    pub fn add_index_file(&mut self, text: &str) -> Result<(), MapError> {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let line_number = index + 1;
            let (_, json) = line.split_once('\t').ok_or(MapError::NoTab { line: line_number })?;
            let entry: Entry =
                serde_json::from_str(json).map_err(|source| MapError::Entry { line: line_number, source })?;
            self.0.insert(entry.metadata.url, entry.integrity);
        }
        Ok(())
    }

    /// The map as compact JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(&self.0).expect("bug: strings always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cacache::{IndexEntry, PACKUMENT_ACCEPTS};
    use crate::integrity::ContentId;

    fn line(url: &str, accept: Option<&'static str>) -> String {
        let content = ContentId::sha512_of(url.as_bytes());
        IndexEntry { url: url.to_owned(), integrity: content.sri(), content, accept }.line(1)
    }

    #[test]
    fn every_line_of_every_file_counts() {
        let mut map = CacheMap::default();
        map.add_index_file(&line("https://host/a.tgz", None)).unwrap();
        let packument = PACKUMENT_ACCEPTS.map(|accept| line("https://host/@s%2fa", Some(accept))).join("\n");
        map.add_index_file(&format!("\n{packument}\n")).unwrap();
        let keys: Vec<_> = map.0.keys().map(String::as_str).collect();
        assert_eq!(keys, ["https://host/@s%2fa", "https://host/a.tgz"]);
        assert!(map.json().starts_with(r#"{"https://host/@s%2fa":"sha512-"#));
    }

    #[test]
    fn what_is_no_index_is_refused_with_its_line() {
        let mut map = CacheMap::default();
        let text = format!("{}\nno tab", line("https://host/a", None));
        assert_eq!(map.add_index_file(&text).unwrap_err().to_string(), "line 2: no tab after the checksum");
        assert!(map.add_index_file("sum\t{}").is_err());
    }
}
