//! The arguments of a fetcher, each of which has to be understood or known to be harmless.

use std::cell::RefCell;
use std::collections::BTreeSet;

use nix_sites::{AttributeValue, HASHES, RemoteSource};

use super::origin::Unsupported;

/// Arguments that change neither what is fetched nor what is hashed.
const HARMLESS: &[&str] = &[
    "name",
    "pname",
    "version",
    "meta",
    "passthru",
    "extension",
    "varPrefix",
    "preferLocalBuild",
    "allowSubstitutes",
    "showURLs",
];

/// Arguments that change the tree after the download.
const SCRIPTS: &[&str] = &["postFetch", "extraPostFetch", "postCheckout"];

/// Whether that touches the lockfile was decided before (fixture `post-fetch-without-lockfile`).
const FOLLOWED: &str = "postFetch";

/// Arguments that change what the server is asked for.
const REQUESTS: &[&str] = &["curlOpts", "curlOptsList", "netrcPhase"];

/// The arguments of one call, and which of them were looked at.
pub(super) struct Arguments<'a> {
    source: &'a RemoteSource,
    seen: RefCell<BTreeSet<&'static str>>,
    more: RefCell<Option<String>>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(source: &'a RemoteSource) -> Self {
        Self { source, seen: RefCell::default(), more: RefCell::default() }
    }

    pub(super) fn value(&self, name: &'static str) -> Option<&'a AttributeValue> {
        self.seen.borrow_mut().insert(name);
        self.source.attribute(name).map(|attribute| &attribute.value)
    }

    /// A string, if it is given.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>, Unsupported> {
        match self.value(name) {
            None => Ok(None),
            Some(AttributeValue::Text(text)) => Ok(Some(text)),
            Some(AttributeValue::Unknown(why)) => Err(self.unknown(name, why)),
            Some(_) => Err(self.refuse(&format!("has a `{name}` that is not a string"))),
        }
    }

    /// A string that has to be given, and not be empty.
    pub(super) fn needed(&self, name: &'static str) -> Result<&'a str, Unsupported> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.refuse(&format!("has no `{name}`")))
    }

    /// A boolean.
    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool, Unsupported> {
        match self.value(name) {
            None => Ok(default),
            Some(AttributeValue::Bool(flag)) => Ok(*flag),
            Some(AttributeValue::Unknown(why)) => Err(self.unknown(name, why)),
            Some(_) => Err(self.refuse(&format!("has a `{name}` that is not a boolean"))),
        }
    }

    /// Booleans that must not be set.
    pub(super) fn off(&self, names: &[&'static str], why: &str) -> Result<(), Unsupported> {
        for name in names {
            if self.flag(name, false)? {
                return Err(self.refuse(&format!("has `{name}`, which {why}")));
            }
        }
        Ok(())
    }

    /// Booleans that add to what is hashed, and leave what is in the archive as it is.
    pub(super) fn adding(&self, names: &[&'static str], why: &str) -> Result<(), Unsupported> {
        for name in names {
            if self.flag(name, false)? {
                self.add(format!("`{}` has `{name}`, which {why}", self.source.fetcher));
            }
        }
        Ok(())
    }

    /// The name of the fetcher, as it is called.
    pub(super) fn fetcher(&self) -> &str {
        &self.source.fetcher
    }

    /// More is hashed than what is downloaded: why.
    pub(super) fn add(&self, why: String) {
        self.more.borrow_mut().get_or_insert(why);
    }

    /// Why more is hashed than what is downloaded, where it is.
    pub(super) fn more(&self) -> Option<String> {
        self.more.borrow().clone()
    }

    /// Strings or lists that must be empty.
    pub(super) fn empty(&self, names: &[&'static str], why: &str) -> Result<(), Unsupported> {
        for name in names {
            match self.value(name) {
                None => {}
                Some(AttributeValue::Text(text)) if text.is_empty() => {}
                Some(AttributeValue::Texts(texts)) if texts.is_empty() => {}
                Some(_) => return Err(self.refuse(&format!("has `{name}`, which {why}"))),
            }
        }
        Ok(())
    }

    /// What any download may come with.
    pub(super) fn download(&self) -> Result<(), Unsupported> {
        self.common();
        self.empty(SCRIPTS, "changes what was fetched")?;
        self.empty(REQUESTS, "changes what the server is asked for")
    }

    /// What any download of an archive may come with.
    pub(super) fn unpacked(&self) -> Result<(), Unsupported> {
        if self.value(FOLLOWED).is_some_and(|value| *value != AttributeValue::Text(String::new())) {
            self.add(format!("`{}` has `{FOLLOWED}`, which changes what was fetched", self.source.fetcher));
        }
        self.common();
        self.empty(&SCRIPTS[1..], "changes what was fetched")?;
        self.empty(REQUESTS, "changes what the server is asked for")
    }

    /// What any fetcher may come with.
    pub(super) fn common(&self) {
        self.ignore(HARMLESS);
        self.ignore(&HASHES);
    }

    /// Arguments that do not matter.
    pub(super) fn ignore(&self, names: &[&'static str]) {
        self.seen.borrow_mut().extend(names);
    }

    /// The revision: `rev`, or what `of_tag` makes of `tag`.
    pub(super) fn revision(&self, of_tag: impl Fn(&str) -> String) -> Result<String, Unsupported> {
        match self.text("tag")? {
            Some(tag) if !tag.is_empty() => {
                self.ignore(&["rev"]);
                Ok(of_tag(tag))
            }
            _ => self.needed("rev").map(str::to_owned),
        }
    }

    /// Refuses what was not looked at.
    pub(super) fn nothing_else(&self) -> Result<(), Unsupported> {
        let seen = self.seen.borrow();
        // An argument that nixpkgs gets tomorrow may change what is hashed. Guessing would write down the hash of
        // something else.
        let strange = self.source.attributes.iter().find(|attribute| !seen.contains(attribute.name.as_str()));
        match (strange, &self.source.open) {
            (Some(attribute), _) => {
                Err(self.refuse(&format!("has the argument `{}`, which is not understood", attribute.name)))
            }
            (None, Some(why)) => Err(self.refuse(&format!("has arguments that are not known: {why}"))),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn unknown(&self, name: &str, why: &str) -> Unsupported {
        Unsupported(format!("`{name}` of `{}` is not known: {why}", self.source.fetcher))
    }

    pub(super) fn refuse(&self, what: &str) -> Unsupported {
        Unsupported(format!("`{}` {what}", self.source.fetcher))
    }
}
