//! Where Node finds a package: the places of a lockfile are folders of an installed tree.

/// What is found for a name that is asked for from a place (empty for the project itself): in the folder's own
/// `node_modules`, then in those of the folders around it. `at` looks a place up.
pub fn search<T>(from: &str, name: &str, at: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut folder = from;
    loop {
        let slash = if folder.is_empty() { "" } else { "/" };
        // There are none within `node_modules` itself.
        let found = (folder.rsplit('/').next() != Some("node_modules"))
            .then(|| at(&format!("{folder}{slash}node_modules/{name}")))
            .flatten();
        if found.is_some() || folder.is_empty() {
            return found;
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_as_node_finds_them() {
        let there = [
            "node_modules/a",
            "node_modules/@s/b/node_modules/c",
            "w/node_modules/d",
            "w/x/y",
            "my_node_modules/node_modules/e",
        ];
        let find = |from: &str, name: &str| {
            search(from, name, |place| there.contains(&place).then(|| place.to_owned()))
        };
        assert_eq!(find("node_modules/@s/b/node_modules/c", "a").as_deref(), Some("node_modules/a"));
        assert_eq!(find("node_modules/@s/b", "c").as_deref(), Some("node_modules/@s/b/node_modules/c"));
        assert_eq!(find("w/x/y", "d").as_deref(), Some("w/node_modules/d"), "of the workspace around it");
        assert_eq!(find("node_modules/a", "c"), None);
        assert!(find("my_node_modules", "e").is_some());
        assert_eq!(find("", "a").as_deref(), Some("node_modules/a"));
    }
}
