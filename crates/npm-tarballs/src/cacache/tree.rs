//! The tree's shape: which paths exist, before any content does.

use std::sync::Arc;

use camino::Utf8Path;

use super::IndexEntry;
use crate::integrity::{Algorithm, ContentId, hex, unhex};

/// The tree that `npmDepsHash` is the hash of.
#[derive(Debug)]
pub struct CacheTree {
    fetcher_version: u32,
    contents: Vec<ContentId>,
    buckets: Vec<Bucket>,
    lockfile: Arc<[u8]>,
}

#[derive(Debug)]
struct Bucket {
    key: [u8; 32],
    lines: Vec<IndexEntry>,
}

/// What stands at a path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// A folder with these names in it, in the order of their bytes.
    Directory(Vec<String>),
    /// A small file whose bytes are known beforehand.
    Bytes(Vec<u8>),
    /// The lockfile.
    Lockfile(&'a Arc<[u8]>),
    /// A tarball or packument.
    Content(ContentId),
    /// An index file: its lines, to be joined by newlines.
    Index(&'a [IndexEntry]),
}

impl CacheTree {
    /// The tree that holds these entries' contents, their index lines and the lockfile.
    ///
    /// Entries with the same URL share an index file, in the order given.
    #[must_use]
    pub fn new(fetcher_version: u32, entries: Vec<IndexEntry>, lockfile: Arc<[u8]>) -> Self {
        let mut contents: Vec<_> = entries.iter().map(|entry| entry.content).collect();
        contents.sort_unstable();
        // Two URLs with the same integrity share a file.
        contents.dedup();
        // A stable sort: the two lines of a packument stay in the order in which nixpkgs writes them.
        let mut keyed: Vec<_> = entries.into_iter().map(|entry| (entry.bucket(), entry)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let mut buckets: Vec<Bucket> = Vec::with_capacity(keyed.len());
        for (key, entry) in keyed {
            match buckets.last_mut() {
                Some(last) if last.key == key => last.lines.push(entry),
                _ => buckets.push(Bucket { key, lines: vec![entry] }),
            }
        }
        Self { fetcher_version, contents, buckets, lockfile }
    }

    /// All contents, in the order in which a NAR of the tree holds them.
    #[must_use]
    pub fn contents(&self) -> &[ContentId] {
        &self.contents
    }

    /// What stands at `path`, relative to the tree's root; `None` if nothing does.
    #[must_use]
    pub fn node(&self, path: &Utf8Path) -> Option<Node<'_>> {
        let names: Vec<&str> = path.components().map(|name| name.as_str()).collect();
        match names.as_slice() {
            [] => Some(Node::Directory(self.top())),
            [".fetcher-version"] => self.version_file(),
            ["package-lock.json"] => Some(Node::Lockfile(&self.lockfile)),
            ["_cacache"] => Some(directory(["content-v2", "index-v5"])),
            ["_cacache", "content-v2"] => Some(Node::Directory(self.algorithms())),
            ["_cacache", "content-v2", algorithm, below @ ..] => self.content_node(algorithm, below),
            ["_cacache", "index-v5", below @ ..] => self.index_node(below),
            _ => None,
        }
    }

    fn top(&self) -> Vec<String> {
        let version = (self.fetcher_version >= 2).then_some(".fetcher-version");
        version.into_iter().chain(["_cacache", "package-lock.json"]).map(str::to_owned).collect()
    }

    fn version_file(&self) -> Option<Node<'_>> {
        (self.fetcher_version >= 2).then(|| Node::Bytes(self.fetcher_version.to_string().into_bytes()))
    }

    fn algorithms(&self) -> Vec<String> {
        let mut names: Vec<_> = self.contents.iter().map(|id| id.algorithm().name().to_owned()).collect();
        names.dedup();
        names
    }

    fn content_node(&self, algorithm: &str, below: &[&str]) -> Option<Node<'_>> {
        let algorithm =
            [Algorithm::Sha1, Algorithm::Sha512].into_iter().find(|known| known.name() == algorithm)?;
        let start = self.contents.partition_point(|id| id.algorithm() < algorithm);
        let end = self.contents.partition_point(|id| id.algorithm() <= algorithm);
        match find(&self.contents[start..end], ContentId::digest, below)? {
            Lookup::Names(names) => Some(Node::Directory(names)),
            Lookup::Item(id) => Some(Node::Content(*id)),
        }
    }

    fn index_node(&self, below: &[&str]) -> Option<Node<'_>> {
        // The folder exists also when it is empty.
        if below.is_empty() && self.buckets.is_empty() {
            return Some(Node::Directory(Vec::new()));
        }
        match find(&self.buckets, |bucket| &bucket.key, below)? {
            Lookup::Names(names) => Some(Node::Directory(names)),
            Lookup::Item(bucket) => Some(Node::Index(&bucket.lines)),
        }
    }
}

fn directory<const N: usize>(names: [&str; N]) -> Node<'static> {
    Node::Directory(names.map(str::to_owned).to_vec())
}

enum Lookup<'a, T> {
    Names(Vec<String>),
    Item(&'a T),
}

/// Looks up `ab/cd/ef...` among `items`, which are sorted by digest; a shorter path names a folder.
fn find<'a, T>(items: &'a [T], digest: impl Fn(&T) -> &[u8], below: &[&str]) -> Option<Lookup<'a, T>> {
    let prefix = unhex(&below.concat())?;
    let start = items.partition_point(|item| digest(item) < prefix.as_slice());
    let mut matching = items[start..].iter().take_while(|item| digest(item).starts_with(&prefix));
    let mut names: Vec<String> = match below.len() {
        depth @ 0..=1 => matching.map(|item| hex(&digest(item)[depth..=depth])).collect(),
        2 => matching.map(|item| hex(&digest(item)[2..])).collect(),
        3 => return matching.find(|item| digest(item) == prefix).map(Lookup::Item),
        _ => return None,
    };
    // Sorted by digest, so those in one folder stand side by side.
    names.dedup();
    (!names.is_empty()).then_some(Lookup::Names(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(url: &str, content: ContentId) -> IndexEntry {
        IndexEntry { url: url.to_owned(), integrity: content.sri(), content, accept: None }
    }

    /// All files below `path`, depth first.
    fn walk(tree: &CacheTree, path: &Utf8Path, files: &mut Vec<String>) {
        match tree.node(path).unwrap_or_else(|| panic!("{path} is listed but absent")) {
            Node::Directory(names) => {
                assert!(names.is_sorted(), "{path} lists {names:?}");
                for name in &names {
                    walk(tree, &path.join(name), files);
                }
            }
            _ => files.push(path.to_string()),
        }
    }

    #[test]
    fn every_entry_has_its_content_and_its_index_file() {
        let ids: Vec<_> = (0..600_u16).map(|n| ContentId::sha512_of(&n.to_le_bytes())).collect();
        let entries =
            ids.iter().enumerate().map(|(n, id)| entry(&format!("https://host/{n}"), *id)).collect();
        let tree = CacheTree::new(2, entries, Arc::from(*b"{}"));
        let mut files = Vec::new();
        walk(&tree, Utf8Path::new(""), &mut files);
        assert_eq!(files.len(), 600 + 600 + 2);
        let contents: Vec<_> = tree.contents().iter().map(ContentId::hex).collect();
        let listed: Vec<_> =
            files[1..=600].iter().map(|path| path.split('/').skip(3).collect::<String>()).collect();
        assert_eq!(contents, listed, "contents() is the order of the NAR");
    }

    #[test]
    fn sha1_and_sha512_have_a_folder_each() {
        let contents = [
            ContentId::new(Algorithm::Sha1, &[0xff; 20]),
            ContentId::new(Algorithm::Sha512, &[0x01; 64]),
            ContentId::new(Algorithm::Sha1, &[0x02; 20]),
        ];
        let entries = contents.iter().flatten().map(|id| entry(&format!("https://host/{id}"), *id)).collect();
        let tree = CacheTree::new(1, entries, Arc::from(*b"{}"));
        let listed = |path: &str| match tree.node(Utf8Path::new(path)) {
            Some(Node::Directory(names)) => names,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(listed("_cacache/content-v2"), ["sha1", "sha512"]);
        assert_eq!(listed("_cacache/content-v2/sha1"), ["02", "ff"]);
        assert_eq!(listed("_cacache/content-v2/sha512"), ["01"]);
        assert_eq!(listed("_cacache/content-v2/sha512/01/01"), ["01".repeat(62)]);
        let deeper = format!("_cacache/content-v2/sha512/01/01/{}/00", "01".repeat(62));
        assert_eq!(tree.node(Utf8Path::new(&deeper)), None);
        assert_eq!(tree.node(Utf8Path::new("_cacache/content-v2/sha512/0/1/0/1")), None);
    }

    #[test]
    fn an_empty_cache_has_its_folders() {
        let tree = CacheTree::new(1, Vec::new(), Arc::from(*b"{}"));
        assert_eq!(tree.node(Utf8Path::new("_cacache/content-v2")), Some(Node::Directory(vec![])));
        assert_eq!(tree.node(Utf8Path::new("_cacache/index-v5")), Some(Node::Directory(vec![])));
        assert_eq!(tree.node(Utf8Path::new(".fetcher-version")), None);
        assert_eq!(tree.node(Utf8Path::new("_cacache/content-v2/sha512")), None);
    }

    #[test]
    fn entries_of_one_url_share_a_file_in_order() {
        let id = ContentId::sha512_of(b"");
        let first = IndexEntry { accept: Some("one"), ..entry("https://host/p", id) };
        let second = IndexEntry { accept: Some("two"), ..first.clone() };
        let tree = CacheTree::new(2, vec![first.clone(), second.clone()], Arc::from(*b"{}"));
        let key = hex(&first.bucket());
        let path = format!("_cacache/index-v5/{}/{}/{}", &key[..2], &key[2..4], &key[4..]);
        assert_eq!(tree.node(Utf8Path::new(&path)), Some(Node::Index(&[first, second])));
    }
}
