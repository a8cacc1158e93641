//! The last that npm said, fit for a pull request's comment: bounded, and without secrets.

use std::path::Path;

use regex_lite::Regex;

/// Lines that are kept.
const LINES: usize = 8;

/// Characters of a line that are kept.
const WIDTH: usize = 240;

/// The last lines of what npm wrote to standard error; those that npm itself calls errors, if there are any.
pub(super) fn last_of(text: &str, secrets: &[String], folder: &Path) -> Vec<String> {
    let text = text.replace(&folder.display().to_string(), "TEMP");
    let text = hide(text, secrets);
    let all = || text.lines().filter(|line| !line.trim().is_empty());
    let errors: Vec<&str> = all().filter_map(error_of).filter(|line| is_telling(line)).collect();
    let lines = if errors.is_empty() { all().collect() } else { errors };
    let skipped = lines.len().saturating_sub(LINES);
    lines[skipped..].iter().map(|line| clean(line)).collect()
}

/// What stands behind `npm error` (`npm ERR!` before npm 10).
fn error_of(line: &str) -> Option<&str> {
    line.strip_prefix("npm error").or_else(|| line.strip_prefix("npm ERR!")).map(str::trim)
}

/// Not where its log is: that is gone by then.
fn is_telling(line: &str) -> bool {
    !line.is_empty() && !line.contains("complete log of this run") && !line.ends_with("-debug-0.log")
}

fn hide(text: String, secrets: &[String]) -> String {
    // Stars for a letter or two would make the message unreadable, and the secret easy to read off it.
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= 4).collect();
    // A secret that is part of another is looked for after it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let text = secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"));
    let user_info = Regex::new(r"://[^/\s@]+@").expect("bug: the pattern is one");
    user_info.replace_all(&text, "://***@").into_owned()
}

fn clean(line: &str) -> String {
    let shown = line.chars().filter(|c| !c.is_control()).take(WIDTH).collect::<String>();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        last_of(text, &["hunter2hunter2".to_owned(), "hunter2".to_owned()], Path::new("/tmp/x"))
    }

    #[test]
    fn errors_without_secrets_and_noise() {
        let text = "npm warn deprecated a@1\nnpm error code E401\nnpm error Bearer hunter2hunter2 hunter2\n\
                    npm error url https://me:pass@corp/a\x1b[0m\nnpm error\n\
                    npm error A complete log of this run can be found in: /tmp/x/home/.npm/_logs/2-debug-0.log\n";
        assert_eq!(said(text), ["code E401", "Bearer *** ***", "url https://***@corp/a[0m"]);
        assert_eq!(said("npm ERR! cannot read /tmp/x/project\n"), ["cannot read TEMP/project"]);
    }

    #[test]
    fn bounded() {
        let many: Vec<_> = (0..100).map(|n| format!("line {n} {}", "x".repeat(1000))).collect();
        let lines = said(&many.join("\n"));
        assert_eq!(lines.len(), LINES);
        assert!(lines[LINES - 1].starts_with("line 99"));
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
    }
}
