//! Places in files, as people count.

use std::path::PathBuf;

/// A position in a file, as people count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Absolute path.
    pub file: PathBuf,
    /// One-based.
    pub line: usize,
    /// One-based, in characters.
    pub column: usize,
}

impl Place {
    /// The file alone.
    #[must_use]
    pub fn file_only(&self) -> Self {
        Self { file: self.file.clone(), line: 0, column: 0 }
    }
}

/// A file that could not be read or parsed; only this file stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// The place of the error.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}
