//! Optional dependencies that the registry does not have.
//!
//! npm leaves them out of the lockfile. Since version 11 its `npm ci` then calls the lockfile out of sync, because it
//! looks for them again, does not find them, and misses them in the lockfile: a package that names a platform's binary which was
//! never published could not be installed at all. What it accepts, as older versions do:
//!
//! * of the package itself: an entry that says nothing but `"optional": true` in the place of the missing one;
//! * of its dependencies: an entry that does not name the missing one, because npm takes their dependencies from the
//!   lockfile.
//!
//! Neither makes anything be fetched. A lockfile in which nothing is missing stays as npm wrote it, byte for byte.

use std::fmt::Write as _;

use indexmap::IndexMap;
use npm_lockfile::search;
use serde_json::value::RawValue;

/// An object whose values keep their text, in their order.
type Raw = IndexMap<String, Box<RawValue>>;

/// The field in question.
const OPTIONAL: &str = "optionalDependencies";

/// The lockfile with what npm would miss accounted for. A text that is not a lockfile is given back as it is.
pub(super) fn account(lockfile: Vec<u8>) -> Vec<u8> {
    let accounted = std::str::from_utf8(&lockfile).ok().and_then(rewritten);
    accounted.map_or(lockfile, String::into_bytes)
}

/// `None` if nothing is missing.
fn rewritten(text: &str) -> Option<String> {
    let mut document: Raw = serde_json::from_str(text).ok()?;
    let mut packages: Raw = serde_json::from_str(document.get("packages")?.get()).ok()?;
    let indent = indent_of(text);
    let missing = missing(&packages);
    if missing.is_empty() {
        return None;
    }
    for (place, names) in missing {
        if place.is_empty() {
            for name in names {
                stand_in(&mut packages, &name, &indent);
            }
        } else {
            let entry = without(packages.get(&place)?, &names, &indent)?;
            packages.insert(place, entry);
        }
    }
    document.insert("packages".to_owned(), raw(object(&packages, &indent, 1))?);
    Some(object(&document, &indent, 0) + "\n")
}

/// What one level of the text is indented by.
fn indent_of(text: &str) -> String {
    let second = text.lines().nth(1).unwrap_or("  ");
    second[..second.len() - second.trim_start().len()].to_owned()
}

/// Places with the names of optional dependencies that are installed nowhere where they would be found.
fn missing(packages: &Raw) -> Vec<(String, Vec<String>)> {
    let of = |(place, entry): (&String, &RawValue)| {
        let is_found = |name: &str| search(place, name, |place| packages.get(place)).is_some();
        let names = optional(entry)?.into_keys().filter(|name| !is_found(name));
        let names: Vec<_> = names.collect();
        (!names.is_empty()).then(|| (place.clone(), names))
    };
    packages.iter().map(|(place, entry)| (place, &**entry)).filter_map(of).collect()
}

fn optional(entry: &RawValue) -> Option<Raw> {
    let entry: Raw = serde_json::from_str(entry.get()).ok()?;
    serde_json::from_str(entry.get(OPTIONAL)?.get()).ok()
}

fn stand_in(packages: &mut Raw, name: &str, indent: &str) {
    let place = format!("node_modules/{name}");
    let text = format!("{{\n{0}\"optional\": true\n{1}}}", indent.repeat(3), indent.repeat(2));
    let Some(entry) = raw(text) else { return };
    let at = packages.keys().position(|key| *key > place).unwrap_or(packages.len());
    packages.shift_insert(at, place, entry);
}

fn without(entry: &RawValue, names: &[String], indent: &str) -> Option<Box<RawValue>> {
    let mut fields: Raw = serde_json::from_str(entry.get()).ok()?;
    let mut optional: Raw = serde_json::from_str(fields.get(OPTIONAL)?.get()).ok()?;
    optional.retain(|name, _| !names.contains(name));
    if optional.is_empty() {
        fields.shift_remove(OPTIONAL);
    } else {
        fields.insert(OPTIONAL.to_owned(), raw(object(&optional, indent, 3))?);
    }
    raw(object(&fields, indent, 2))
}

/// An object as npm writes it, at a depth.
fn object(fields: &Raw, indent: &str, depth: usize) -> String {
    let mut text = "{".to_owned();
    for (number, (name, value)) in fields.iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let name = serde_json::Value::from(name.as_str());
        let _ = write!(text, "{comma}\n{}{name}: {}", indent.repeat(depth + 1), value.get());
    }
    let _ = write!(text, "\n{}}}", indent.repeat(depth));
    text
}

fn raw(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounted(text: &str) -> String {
        String::from_utf8(account(text.as_bytes().to_vec())).unwrap()
    }

    const LOCKFILE: &str = r#"{
  "name": "a",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "version": "1.0.0",
      "optionalDependencies": {
        "gone": "1",
        "here": "1"
      }
    },
    "node_modules/b": {
      "version": "1.0.0",
      "optionalDependencies": {
        "b-darwin": "1.0.0",
        "here": "1"
      },
      "engines": { "node": ">=1" }
    },
    "node_modules/here": {
      "version": "1.0.0",
      "optionalDependencies": {
        "here-win32": "1.0.0"
      }
    }
  }
}
"#;

    #[test]
    fn what_is_missing_is_accounted_for_and_nothing_else_moves() {
        let expected = LOCKFILE
            .replace("        \"b-darwin\": \"1.0.0\",\n", "")
            .replace(
                "\"version\": \"1.0.0\",\n      \"optionalDependencies\": {\n        \"here-win32\": \"1.0.0\"\n      }\n",
                "\"version\": \"1.0.0\"\n",
            )
            .replace(
                "    \"node_modules/here\"",
                "    \"node_modules/gone\": {\n      \"optional\": true\n    },\n    \"node_modules/here\"",
            );
        assert_eq!(accounted(LOCKFILE), expected);
        assert_eq!(accounted(&expected), expected, "a second time changes nothing");
        let tabs = LOCKFILE.replace("  ", "\t");
        assert_eq!(accounted(&tabs), expected.replace("  ", "\t"));
    }

    #[test]
    fn a_complete_lockfile_stays_as_it_is() {
        let odd = "{\"packages\":{\"\":{\"optionalDependencies\":{\"b\":\"1\"}},  \"node_modules/b\":{}}}";
        assert_eq!(accounted(odd), odd);
        assert_eq!(accounted("no lockfile"), "no lockfile");
    }
}
