//! netrc files: `machine HOST login NAME password SECRET`, as curl, git and Nix read them.
//!
//! The entry `default` is not used: it would be sent to every host that a lockfile names.

use super::access::Access;
use super::credentials::{Credential, Grant};

/// An entry as far as it is read.
#[derive(Default)]
struct Machine {
    host: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

/// Takes the entries of a netrc file's text; of two for a host the first one counts. `file` is for messages.
pub fn apply(text: &str, file: &str, access: &mut Access) {
    let mut machine = Machine::default();
    let mut in_macro = false;
    for line in text.lines() {
        // A macro ends at an empty line.
        in_macro &= !line.trim().is_empty();
        if in_macro || line.trim_start().starts_with('#') {
            continue;
        }
        let mut words = words(line).into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "machine" => {
                    std::mem::take(&mut machine).finish(file, access);
                    machine.host = words.next();
                }
                // Ended here, or the login of `default` would become that of the machine above it.
                "default" => std::mem::take(&mut machine).finish(file, access),
                "login" => machine.login = words.next(),
                "password" => machine.password = words.next(),
                // With its value, which may be called `login`.
                "account" => drop(words.next()),
                "macdef" => {
                    in_macro = true;
                    break;
                }
                _ => {}
            }
        }
    }
    machine.finish(file, access);
}

impl Machine {
    fn finish(self, file: &str, access: &mut Access) {
        if let Self { host: Some(host), login, password: Some(password) } = self {
            let credential = Credential::pair(login.unwrap_or_default().as_bytes(), password.as_bytes());
            access.netrc(&host, Grant::of(credential, format!("`machine {host}` in {file}")));
        }
    }
}

/// Words with white space between, or in double quotes, in which a backslash protects what follows.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
            continue;
        };
        let mut word = String::new();
        let mut characters = quoted.chars();
        loop {
            match characters.next() {
                Some('\\') => word.extend(characters.next()),
                Some('"') | None => break,
                Some(other) => word.push(other),
            }
        }
        words.push(word);
        rest = characters.as_str().trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::Purpose;

    #[test]
    fn entries_are_for_their_machine_alone() {
        let text = "# a comment machine evil login a password b\nmachine One login me password \"p w\\\"\"\n\
                    machine two\n  login you\n  account x\n  password pw macdef init\nmachine three password no\n\n\
                    machine four password token\nmachine one login later password later\ndefault login d password d\n";
        let mut access = Access::default();
        apply(text, "~/.netrc", &mut access);
        let sent = |host: &str| {
            let chosen = access
                .choose(&Url::parse(&format!("https://{host}/a")).unwrap(), None, Purpose::Package)
                .unwrap();
            chosen.header.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        for (host, expected) in [
            ("one", Some("Basic bWU6cCB3Ig==")),
            ("two", Some("Basic eW91OnB3")),
            ("three", None),
            ("four", Some("Basic OnRva2Vu")),
            ("evil", None),
            ("elsewhere", None),
        ] {
            assert_eq!(sent(host).as_deref(), expected, "{host}");
        }
    }
}
