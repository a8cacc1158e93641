//! Repacked archives: the hash of a whole cache that holds one, as nixpkgs' fetcher printed it.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gnu_archive::repack::{Repacked, repack};
use npm_tarballs::integrity::ContentId;
use sha2::{Digest, Sha256};

const LIMIT: u64 = 1 << 24;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/fixtures/tarball/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
}

fn repacked(name: &str) -> Repacked {
    repack(&fixture(name)[..], LIMIT).expect("an archive")
}

/// A folder of files, for the hash of a whole cache.
enum Node {
    File(Vec<u8>),
    Folder(BTreeMap<String, Node>),
}

impl Node {
    fn put(&mut self, path: &str, content: &[u8]) {
        let Node::Folder(children) = self else { panic!("a file is in the way") };
        match path.split_once('/') {
            Some((first, rest)) => {
                let folder = children.entry(first.into()).or_insert(Node::Folder(BTreeMap::new()));
                folder.put(rest, content);
            }
            None => drop(children.insert(path.into(), Node::File(content.to_vec()))),
        }
    }

    fn nar(&self, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, text: &[u8]| {
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text);
            out.resize(out.len().next_multiple_of(8), 0);
        };
        let words = |out: &mut Vec<u8>, words: &[&str]| {
            for word in words {
                text(out, word.as_bytes());
            }
        };
        match self {
            Node::File(content) => {
                words(out, &["(", "type", "regular", "contents"]);
                text(out, content);
            }
            Node::Folder(children) => {
                words(out, &["(", "type", "directory"]);
                for (name, node) in children {
                    words(out, &["entry", "(", "name", name, "node"]);
                    node.nar(out);
                    words(out, &[")"]);
                }
            }
        }
        words(out, &[")"]);
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn fanned(hash: &str) -> String {
    format!("{}/{}/{}", &hash[..2], &hash[2..4], &hash[4..])
}

/// The hash of a cache that holds one repacked archive; `line` is the index line's checksum.
fn npm_deps_hash(lockfile: &str, url: &str, line: &str, repacked: &Repacked) -> String {
    let key = format!("make-fetch-happen:request-cache:{url}");
    let (id, size) = (ContentId::sha512_of(&repacked.bytes), repacked.bytes.len());
    let integrity = id.sri();
    let json = format!(
        r#"{{"key":"{key}","integrity":"{integrity}","time":0,"size":{size},"metadata":{{"url":"{url}","options":{{"compress":true}}}}}}"#
    );
    let mut tree = Node::Folder(BTreeMap::new());
    tree.put(&format!("_cacache/content-v2/sha512/{}", fanned(&id.hex())), &repacked.bytes);
    let index = fanned(&hex(&Sha256::digest(key.as_bytes())));
    tree.put(&format!("_cacache/index-v5/{index}"), format!("{line}\t{json}").as_bytes());
    tree.put("package-lock.json", &fixture(lockfile));
    let mut nar = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0".to_vec();
    tree.nar(&mut nar);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(&nar)))
}

/// The whole way, from a hosted archive to the hash that nixpkgs' fetcher printed.
#[test]
fn the_hash_of_a_cache_with_one_git_dependency() {
    for (name, commit, line, expected) in [
        (
            "long",
            "46518ed42b1373bf201f3468798ebfa6a81662da",
            "fde01a31cc9e6d31e5a341b54a3a231df7824f08",
            "sha256-p1phu6svKkvmsngiEWM4Wzf/ymJosj+DBLXvDX9gHkE=",
        ),
        (
            "scripted",
            "ae426fa0c2ba47eea165116b466148e90dec1cca",
            "741145235fea47a8d63f546ab9d0bbbbde9ec9cd",
            "sha256-oel7NDZpeT7H5sI0ETbMrJK5E2zbvFiFhQE2PE2QUlE=",
        ),
    ] {
        let url = format!("https://codeload.github.com/acme/{name}/tar.gz/{commit}");
        let repacked = repacked(&format!("{name}.tar.gz"));
        assert_eq!(npm_deps_hash(&format!("git-{name}-v3.json"), &url, line, &repacked), expected, "{name}");
    }
}
