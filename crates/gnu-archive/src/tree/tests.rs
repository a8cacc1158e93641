use super::{Misfit, Tree};

fn path(text: &str) -> Vec<&[u8]> {
    text.split('/').map(str::as_bytes).collect()
}

#[test]
fn a_directory_never_gives_way() {
    let mut tree = Tree::new();
    tree.file(&path("a/b"), 0o644, vec![]).unwrap();
    assert_eq!(tree.file(&path("a"), 0o644, vec![]), Err(Misfit::Replaces));
    assert_eq!(tree.directory(&path("a/b"), 0o755), Err(Misfit::Replaces));
    assert_eq!(tree.directory(&path("a/b/c"), 0o755), Err(Misfit::Through));
    assert_eq!(tree.symlink(&path("a/b/c"), b"x"), Err(Misfit::Through));
}

#[test]
fn hard_links_need_a_file() {
    let mut tree = Tree::new();
    tree.directory(&path("d"), 0o755).unwrap();
    assert_eq!(tree.hard_link(&path("x"), &path("d")), Err(Misfit::Target));
    assert_eq!(tree.hard_link(&path("x"), &path("y")), Err(Misfit::Target));
}

#[test]
fn a_file_keeps_its_other_name() {
    let mut tree = Tree::new();
    tree.file(&path("a"), 0o644, b"old".to_vec()).unwrap();
    tree.hard_link(&path("b"), &path("a")).unwrap();
    tree.hard_link(&path("b"), &path("b")).unwrap();
    assert_eq!(tree.symlink(&path("b/c"), b"x"), Err(Misfit::Through));
    tree.file(&path("a"), 0o644, b"new".to_vec()).unwrap();
    assert_eq!(tree.read(&[b"a"]), Some(&b"new"[..]));
    assert_eq!(tree.read(&[b"b"]), Some(&b"old"[..]));
}

#[test]
fn reading_follows_links_inside_the_tree_only() {
    let mut tree = Tree::new();
    tree.file(&path("d/e/real"), 0o644, b"here".to_vec()).unwrap();
    for (name, target) in [
        ("in", "d/./e//real"),
        ("round", "d/e/../up"),
        ("d/up", "../in"),
        ("out", "../x"),
        ("back", "../package/d/e/real"),
        ("abs", "/etc/passwd"),
        ("loop", "loop"),
        ("dir", "d"),
        ("below", "in/x"),
    ] {
        tree.symlink(&path(name), target.as_bytes()).unwrap();
    }
    assert_eq!(tree.read(&[b"in"]), Some(&b"here"[..]));
    assert_eq!(tree.read(&[b"round"]), Some(&b"here"[..]));
    for name in ["out", "back", "abs", "loop", "dir", "below", "missing"] {
        assert_eq!(tree.read(&[name.as_bytes()]), None, "{name}");
    }
}
