//! From SPDX identifiers to the names of nixpkgs' `lib.licenses`.

/// Identifiers that npm packages use, with nixpkgs' names.
const NAMES: &[(&str, &str)] = &[
    ("0BSD", "bsd0"),
    ("AGPL-3.0", "agpl3Only"),
    ("AGPL-3.0-only", "agpl3Only"),
    ("AGPL-3.0-or-later", "agpl3Plus"),
    ("Apache-2.0", "asl20"),
    ("Artistic-2.0", "artistic2"),
    ("BSD-2-Clause", "bsd2"),
    ("BSD-3-Clause", "bsd3"),
    ("BSL-1.0", "boost"),
    ("BUSL-1.1", "bsl11"),
    ("BlueOak-1.0.0", "blueOak100"),
    ("CC-BY-4.0", "cc-by-40"),
    ("CC0-1.0", "cc0"),
    ("EPL-2.0", "epl20"),
    ("GPL-2.0", "gpl2Only"),
    ("GPL-2.0-only", "gpl2Only"),
    ("GPL-2.0-or-later", "gpl2Plus"),
    ("GPL-3.0", "gpl3Only"),
    ("GPL-3.0-only", "gpl3Only"),
    ("GPL-3.0-or-later", "gpl3Plus"),
    ("ISC", "isc"),
    ("LGPL-2.1-only", "lgpl21Only"),
    ("LGPL-2.1-or-later", "lgpl21Plus"),
    ("LGPL-3.0-only", "lgpl3Only"),
    ("LGPL-3.0-or-later", "lgpl3Plus"),
    ("MIT", "mit"),
    ("MIT-0", "mit0"),
    ("MPL-2.0", "mpl20"),
    ("Python-2.0", "psfl"),
    ("Unlicense", "unlicense"),
    ("WTFPL", "wtfpl"),
    ("Zlib", "zlib"),
];

/// nixpkgs' names for an SPDX expression of identifiers joined by OR or by AND; none if one of them is not known, or the
/// expression is of another shape.
pub(super) fn names(spdx: &str) -> Vec<&'static str> {
    let spdx = spdx.trim();
    let inner = spdx.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(spdx);
    // A mix of both leaves a part that is no identifier, and then no licence is claimed.
    let by_or: Vec<_> = inner.split(" OR ").collect();
    let parts = if by_or.len() > 1 { by_or } else { inner.split(" AND ").collect() };
    let name = |part: &&str| NAMES.iter().find(|(id, _)| *id == part.trim()).map(|(_, name)| *name);
    parts.iter().map(name).collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn only_what_is_known() {
        assert_eq!(names("MIT"), ["mit"]);
        assert_eq!(names("(MIT OR Apache-2.0)"), ["mit", "asl20"]);
        assert_eq!(names("ISC AND BSD-3-Clause"), ["isc", "bsd3"]);
        for other in ["", "UNLICENSED", "SEE LICENSE IN LICENSE", "MIT OR Strange", "MIT AND (ISC OR MIT)"] {
            assert!(names(other).is_empty(), "{other}");
        }
    }
}
