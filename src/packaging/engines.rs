//! From `engines.node` to an attribute of nixpkgs.

use nodejs_semver::{Range, Version};

/// Major versions that nixpkgs has, the one to prefer first: the oldest that is still maintained for long.
const MAJORS: [u64; 4] = [22, 24, 26, 20];

/// The `nodejs_*` whose releases are in this range; `None` if none is, or the range cannot be read.
pub(super) fn nodejs(range: &str) -> Option<String> {
    let range = Range::parse(range).ok()?;
    // The last of a line: a range such as >=22.12 means all but its beginning.
    let last = |major: u64| Version::from((major, 99, 99));
    let major = MAJORS.into_iter().find(|major| last(*major).satisfies(&range))?;
    Some(format!("nodejs_{major}"))
}

#[cfg(test)]
mod tests {
    use super::nodejs;

    #[test]
    fn the_oldest_that_is_still_maintained() {
        for (range, expected) in [
            (">=18.0.0", Some("nodejs_22")),
            (">=22.13.0", Some("nodejs_22")),
            (">=24.0.0", Some("nodejs_24")),
            ("^20.19.0 || >=22.12.0", Some("nodejs_22")),
            ("20.x", Some("nodejs_20")),
            ("*", Some("nodejs_22")),
            ("^16", None),
            ("a modern one", None),
        ] {
            assert_eq!(nodejs(range).as_deref(), expected, "{range}");
        }
    }
}
