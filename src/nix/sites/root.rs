//! The folder of the unpacked sources in which a derivation works.

use super::locate::attribute;
use crate::nix::eval::Eval;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Kind, Value};

/// What stands for the only folder there is, whatever its name.
pub(super) const ANY: &str = "*";

/// `sourceRoot`, or what a plain `setSourceRoot` makes it: stdenv runs the latter in any case. `direct` arguments are those
/// of the derivation that fetches; others do not hand `setSourceRoot` on to it.
pub(super) fn root(ev: &mut Eval, args: &Value, direct: bool, at: Location) -> Value {
    if direct {
        let command = attribute(ev, args, "setSourceRoot", at);
        if let Some(folder) = command.known_text().and_then(|text| plain(&text)) {
            return Value { kind: Value::text(&folder).kind, ..command };
        }
    }
    attribute(ev, args, "sourceRoot", at)
}

/// Whether `setSourceRoot` is given and does something else than to name a folder.
pub(super) fn is_strange(value: &Value) -> bool {
    match &value.kind {
        Kind::Null => false,
        Kind::Str(text) if text.pieces.is_empty() => false,
        _ => value.known_text().is_none_or(|text| plain(&text).is_none()),
    }
}

/// The folder of `sourceRoot=source/ui` and of `sourceRoot=$(echo */ui)`; `None` for any other command.
fn plain(command: &str) -> Option<String> {
    let command = command.trim().trim_end_matches(';').trim_end();
    let value = command.strip_prefix("sourceRoot=")?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let echoed = value.strip_prefix("$(echo ").and_then(|value| value.strip_suffix(')'));
    let folder = match echoed {
        Some(echoed) => echoed.trim().strip_prefix("*/")?,
        None => value,
    };
    let folder = folder.trim_end_matches('/');
    let is_name = |part: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || "._+-@".contains(c);
        !matches!(part, "" | "." | "..") && part.chars().all(fine)
    };
    let any = if echoed.is_some() { format!("{ANY}/") } else { String::new() };
    folder.split('/').all(is_name).then(|| any + folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_commands_name_a_folder() {
        for (command, folder) in [
            ("sourceRoot=$(echo */ui)", "*/ui"),
            ("sourceRoot=\"$(echo */web/ui/)\";\n", "*/web/ui"),
            ("sourceRoot=source/ui", "source/ui"),
        ] {
            assert_eq!(plain(command).as_deref(), Some(folder), "{command}");
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
