//! `import` of files of the repository.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Eval, scope};
use crate::files::ReadError;
use crate::syntax::ast::{FileId, Location};
use crate::value::source::{self, Base};
use crate::value::{Code, Doubt, Kind, Move, ThunkId, Value};

impl Eval {
    /// `import value`.
    pub fn import(&mut self, value: &Value, here: Location) -> Value {
        let target = value.clone();
        self.each(target, &mut |ev, v| ev.import_one(&v, here))
    }

    fn import_one(&mut self, value: &Value, here: Location) -> Value {
        if let Kind::Str(text) = &value.kind
            && let Some(known) = text.known()
            && known.starts_with('/')
        {
            return self.import_path(Path::new(known.as_ref()), here);
        }
        let source = self.source_of(value, here);
        if let Base::Local(root) = &source.base {
            return self.import_path(&source::join(root, &source.sub), here);
        }
        self.world.import(self, value, &source, here).unwrap_or_else(|| {
            let message = "an import of something that is not a file of the repository";
            Value::unknown(Doubt::Unmodelled, message, Some(here))
        })
    }

    /// The value of a file of the repository.
    pub fn import_path(&mut self, path: &Path, here: Location) -> Value {
        let shown: Rc<str> = Rc::from(self.files.display(path));
        match self.file_thunk(path) {
            Ok(thunk) => self.force(thunk).moved(here, Move::Import(shown)),
            Err(error) => {
                let doubt = if error == ReadError::Outside { Doubt::Outside } else { Doubt::Error };
                Value::unknown(doubt, format!("cannot import {shown}: {error}"), Some(here))
            }
        }
    }

    /// The thunk of a file's whole expression.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file_thunk(&mut self, path: &Path) -> Result<ThunkId, ReadError> {
        let path = self.nix_file(path);
        if let Some(thunk) = self.imports.get(&path) {
            return Ok(*thunk);
        }
        let file = self.files.read(&path)?;
        let thunk = self.file_code(file);
        self.imports.insert(path, thunk);
        Ok(thunk)
    }

    /// Whether anything imported a file so far.
    pub fn was_imported(&self, path: &Path) -> bool {
        self.imports.contains_key(path)
    }

    fn file_code(&mut self, file: FileId) -> ThunkId {
        if let Some(ast) = self.ast(file) {
            let id = ast.root;
            self.delay(Code { ast, id }, scope::ROOT)
        } else {
            let message = format!("{} cannot be parsed", self.files.display(&self.files.get(file).path));
            self.done(Value::unknown(Doubt::Error, message, None))
        }
    }

    /// A folder means its `default.nix`.
    pub(crate) fn nix_file(&self, path: &Path) -> PathBuf {
        let path = crate::files::normalize(path);
        if self.files.is_dir(&path) { path.join("default.nix") } else { path }
    }
}
