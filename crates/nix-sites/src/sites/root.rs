//! The folder of the unpacked sources in which a derivation works.

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Kind, Value};

use super::attributes::{alternatives, attribute};

/// A folder of what is unpacked.
pub(super) struct Root {
    /// `sourceRoot`, with the chain of the argument.
    pub value: Value,
    /// The folder is below the only one that is unpacked, whatever that is called.
    pub below_only: bool,
}

/// `sourceRoot`, or what a plain `setSourceRoot` makes it: stdenv runs the latter in any case. `direct` arguments are those
/// of the derivation that fetches; others do not hand `setSourceRoot` on to it.
pub(super) fn root(ev: &mut Eval, args: &Value, direct: bool, at: Location) -> Vec<Root> {
    if direct {
        let command = attribute(ev, args, "setSourceRoot", at);
        if let Some(Plain { folder, below_only }) = command.known_text().and_then(|text| plain(&text)) {
            return vec![Root { value: Value { kind: Value::text(&folder).kind, ..command }, below_only }];
        }
    }
    let written = alternatives(attribute(ev, args, "sourceRoot", at));
    written.into_iter().map(|value| Root { value, below_only: false }).collect()
}

/// Whether `setSourceRoot` is given and does something other than to name a folder.
pub(super) fn is_strange(value: &Value) -> bool {
    match &value.kind {
        Kind::Null => false,
        Kind::Str(text) if text.pieces.is_empty() => false,
        _ => value.known_text().is_none_or(|text| plain(&text).is_none()),
    }
}

/// What a command that only names a folder says.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    folder: String,
    below_only: bool,
}

/// The folder of `sourceRoot=source/ui` and of `sourceRoot=$(echo */ui)`; `None` for any other command.
fn plain(command: &str) -> Option<Plain> {
    let command = command.trim().trim_end_matches(';').trim_end();
    let value = command.strip_prefix("sourceRoot=")?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let echoed = value.strip_prefix("$(echo ").and_then(|value| value.strip_suffix(')'));
    let folder = match echoed {
        Some(echoed) => echoed.trim().strip_prefix("*/")?,
        None => value,
    };
    let folder = folder.trim_end_matches('/');
    // Anything else is for a shell to expand, or leads out of what is named before it.
    let is_name = |part: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || "._+-@".contains(c);
        !matches!(part, "" | "." | "..") && part.chars().all(fine)
    };
    let plain = Plain { folder: folder.to_owned(), below_only: echoed.is_some() };
    folder.split('/').all(is_name).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_commands_name_a_folder() {
        for (command, folder, below_only) in [
            ("sourceRoot=$(echo */ui)", "ui", true),
            ("sourceRoot=\"$(echo */web/ui/)\";\n", "web/ui", true),
            ("sourceRoot=source/ui", "source/ui", false),
        ] {
            assert_eq!(plain(command), Some(Plain { folder: folder.to_owned(), below_only }), "{command}");
        }
        for command in [
            "sourceRoot=*/ui",
            "sourceRoot=$(echo */*/ui)",
            "sourceRoot=$(ls -d */ui)",
            "sourceRoot=$(echo */ui); cp x y",
            "sourceRoot=source/../ui",
            "sourceRoot=$HOME/ui",
            "sourceRoot=",
            "export sourceRoot=source",
        ] {
            assert_eq!(plain(command), None, "{command}");
        }
    }
}
