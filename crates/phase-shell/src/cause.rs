//! Why it is not known what a script leaves as the lockfile, and what to do about it.

use std::fmt;
use std::rc::Rc;

/// What made a file, or all of them, unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A program writes the lockfile, or changes it.
    Tool(Rc<str>),
    /// A program that may write any file.
    Wild(Rc<str>),
    /// An option that is not known.
    Option(Rc<str>, Rc<str>),
    /// A program is given a place that is not known.
    Target(Rc<str>),
    /// A program takes the lockfile from a place that is not known.
    Origin(Rc<str>),
    /// It happens under a condition.
    Sometimes,
    /// It happens in a loop.
    Loop,
    /// Text of the phase itself is the lockfile.
    Document,
    /// A link to a file that may change later.
    Link,
    /// What an archive holds.
    Archive,
    /// A patch changes the file.
    Patched(Rc<str>),
    /// A construct of the shell whose outcome is not followed.
    Construct(Rc<str>),
    /// Shell text that cannot be read.
    Syntax(Rc<str>),
    /// The script surely fails.
    Fails,
    /// The budget is spent.
    Budget,
    /// The text of the phase is not known: why.
    Text(Rc<str>),
    /// The folder in which the lockfile is read is not known.
    Folder,
    /// A path leads out of the source, and into a folder that may be it.
    Around,
}

/// A cause, and the phase that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The phase it is in.
    pub phase: &'static str,
    /// What it is.
    pub cause: Cause,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Cause::Patched(message) = &self.cause {
            return f.write_str(message);
        }
        write!(f, "{}: ", self.phase)?;
        match &self.cause {
            Cause::Tool(program) => write!(f, "`{program}` changes the lockfile"),
            Cause::Wild(program) => write!(f, "`{program}` may write the lockfile"),
            Cause::Option(program, option) => {
                write!(f, "what `{program} {option}` does to the lockfile is not known")
            }
            Cause::Target(program) => write!(f, "`{program}` writes to a place that is not known"),
            Cause::Origin(program) => {
                write!(f, "`{program}` takes the lockfile from a place that is not known")
            }
            Cause::Sometimes => f.write_str("the lockfile is changed only sometimes"),
            Cause::Loop => f.write_str("a loop changes the lockfile"),
            Cause::Document => f.write_str("the lockfile is written with text of the phase"),
            Cause::Link => f.write_str("the lockfile becomes a link to a file that is not in the store"),
            Cause::Archive => f.write_str("the lockfile is what an archive holds"),
            Cause::Patched(message) => f.write_str(message),
            Cause::Construct(what) => write!(f, "what follows {what} is not known"),
            Cause::Syntax(what) => f.write_str(what),
            Cause::Fails => f.write_str("a command surely fails"),
            Cause::Budget => f.write_str("the script is too long to follow"),
            Cause::Text(message) => write!(f, "the script is not known: {message}"),
            Cause::Folder => f.write_str("it ends in a folder that is not known"),
            Cause::Around => f.write_str("a path that leads out of the source may come back to the lockfile"),
        }
    }
}

impl Trouble {
    /// What settles it. Never a lockfile stated in a comment: what is hashed is a file that the repository does not have.
    #[must_use]
    pub fn cure(&self) -> String {
        let phase = self.phase;
        match &self.cause {
            Cause::Tool(program) => format!(
                "run `{program}` once, commit the lockfile that it makes, and drop the step from {phase} (or copy the edited lockfile in with `cp ${{./edited-lock.json}} package-lock.json`)"
            ),
            Cause::Wild(program) => format!(
                "move `{program}` to a later phase such as preBuild, or let `cp ${{./package-lock.json}} package-lock.json` be the last line of {phase}"
            ),
            Cause::Option(program, option) => format!(
                "write the copy without `{option}`: plain `{program}` of one file to one name is understood"
            ),
            Cause::Target(program) => format!(
                "spell out where `{program}` writes in {phase}, or let `cp ${{./package-lock.json}} package-lock.json` be its last line"
            ),
            Cause::Origin(_) | Cause::Link | Cause::Archive => {
                "copy the lockfile from a file of the repository: `cp ${./package-lock.json} package-lock.json`".to_owned()
            }
            Cause::Sometimes | Cause::Loop => format!(
                "take the condition or loop around the lockfile out of {phase}: what is copied in any case is understood"
            ),
            Cause::Document => {
                "put that text into a file of the repository and copy it: `cp ${./package-lock.json} package-lock.json`".to_owned()
            }
            Cause::Patched(_) => {
                "apply the patch once, commit the lockfile that it makes, and take it out of the patch".to_owned()
            }
            Cause::Construct(what) => format!("write {phase} without {what}, or move that part to a later phase such as preBuild"),
            Cause::Syntax(_) | Cause::Budget => format!("write {phase} in plainer shell, or move what does not concern the lockfile to a later phase such as preBuild"),
            Cause::Fails => format!("fix {phase}: the build stops there"),
            Cause::Text(_) => format!("write {phase} as one string, without parts that depend on something unknown"),
            Cause::Folder => format!("let {phase} end in the folder in which it began"),
            Cause::Around => format!("name the files of the source in {phase} by their paths in it, without `..` and `$NIX_BUILD_TOP`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_says_where_it_is_and_what_settles_it() {
        let trouble = |cause| Trouble { phase: "prePatch", cause };
        let jq = trouble(Cause::Tool("jq".into()));
        assert_eq!(jq.to_string(), "prePatch: `jq` changes the lockfile");
        assert!(jq.cure().starts_with(
            "run `jq` once, commit the lockfile that it makes, and drop the step from prePatch"
        ));
        // Which phase applies it makes no difference to a patch.
        assert_eq!(trouble(Cause::Patched("x.patch changes it".into())).to_string(), "x.patch changes it");
        assert_eq!(trouble(Cause::Folder).cure(), "let prePatch end in the folder in which it began");
    }
}
