//! Sources that are not available, and archives that are made to do harm.

use std::fmt::Write as _;
use std::io::Write as _;

use super::archives::{Item, zip};
use super::{call, derivation, npm_hash, package, tar_gz, transcript};
use crate::support::project::Project;

const URL: &str = r#"url = "https://example.org/r.tar.gz"; hash = "";"#;

/// What `update` says of these bytes as a source; nothing may have changed.
fn refused(bytes: Vec<u8>) -> String {
    let project = Project::new();
    project.registry.serve("/r.tar.gz", bytes);
    let text = derivation(&call("pkgs.fetchzip", URL), "");
    project.write("tool.nix", &text);
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert_eq!(project.read("tool.nix"), text);
    said
}

#[test]
fn a_source_that_is_not_there_does_not_hide_the_others() {
    let project = Project::new();
    let (items, lock) = package(&project);
    project.registry.serve("/there.tar.gz", tar_gz("r/", &items));
    let text =
        |name: &str| derivation(&call("pkgs.fetchzip", &URL.replace("r.tar", &format!("{name}.tar"))), "");
    project.write("a.nix", text("gone"));
    project.write("b.nix", text("there"));
    let said = transcript(&project, &["update"]);
    let wanted = "error: a.nix:2:1: gone.tar.gz/package-lock.json: the source is not available
  caused by: cannot fetch https://example.org/gone.tar.gz from [REGISTRY]/gone.tar.gz
  caused by: the server answered 404 Not Found
  hint: check version, rev and tag: the server has no such file, or hides it from those without access; no credential for [HOST] is configured: set `access-tokens = [HOST]=TOKEN` in nix.conf, or `machine [HOST]` in ~/.netrc
";
    assert!(said.starts_with("exit 2\n") && said.ends_with(wanted), "{said}");
    project.write("b.nix", text("there"));
    let said = transcript(&project, &["check"]);
    assert!(said.contains(&format!(" -> {}  b.nix:", npm_hash(&project, &lock))), "{said}");
    assert!(said.contains("1 stale, 1 failed\n"), "{said}");
}

#[test]
fn what_is_no_archive_is_said_so() {
    let page = refused(b"<!DOCTYPE html><html>Sign in".to_vec());
    let wanted = "error: tool.nix:2:1: r.tar.gz/package-lock.json: the source at https://example.org/r.tar.gz cannot be used
  caused by: it is not an archive: it looks like a web page
";
    assert!(page.ends_with(wanted), "{page}");
    assert!(refused(b"\xfd7zXZ\0....".to_vec()).contains("caused by: xz archives are not supported\n"));
    assert!(refused(Vec::new()).contains("it is empty"));
}

#[test]
fn a_file_that_is_cut_off_is_noticed() {
    let (items, _) = package(&Project::new());
    for whole in [tar_gz("r/", &items), zip("r/", &items)] {
        for cut in [whole.len() / 4, whole.len() / 2, whole.len() - 1] {
            let said = refused(whole[..cut].to_vec());
            assert!(said.contains("damaged or cut off") || said.contains("cannot be read"), "{cut}\n{said}");
        }
    }
}

#[test]
fn no_name_leads_out_of_the_archive() {
    for (path, why) in [("../evil", "has `..` in its path"), ("/etc/evil", "has an absolute path")] {
        assert!(refused(raw_tar(path)).contains(why), "{path}");
        assert!(refused(raw_zip(path)).contains(why), "{path}");
    }
    assert!(refused(raw_zip("r\\..\\evil")).contains("has a backslash in its name"));
    // A link out of the tree is only text; nothing is written or read through it.
    let items = [Item::link("package-lock.json", "/etc/passwd"), Item::link("up", "../..")];
    let said = refused(tar_gz("r/", &items));
    assert!(said.contains("the source has no lockfile"), "{said}");
    let through = [Item::link("out", "/tmp"), Item::file("out/evil", "x")];
    assert!(refused(tar_gz("r/", &through)).contains("lies below something that is not a directory"));
}

fn raw_tar(path: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(header.as_bytes()).unwrap();
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

fn raw_zip(path: &str) -> Vec<u8> {
    // The name of an ordinary entry, overwritten where it stands: once in its own header, once in the directory.
    let mut plain = String::new();
    write!(plain, "{:x<1$}", "", path.len()).unwrap();
    let mut bytes = zip("", &[Item::file(&plain, "x")]);
    while let Some(at) = bytes.windows(plain.len()).position(|window| window == plain.as_bytes()) {
        bytes[at..at + path.len()].copy_from_slice(path.as_bytes());
    }
    bytes
}
