//! What is outside of the files that are evaluated. The language knows none of it and asks.

use std::rc::Rc;

use super::{Eval, Native};
use crate::syntax::ast::{ExprId, Location};
use crate::value::source::Source;
use crate::value::{Attrs, Code, Text, ThunkId, Unknown, Value};

/// One side of an operator.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// What is written.
    pub id: ExprId,
    /// What it is.
    pub value: &'a Value,
}

/// Whatever the files of a repository name and do not define.
pub trait World {
    /// The value of a name that no scope binds.
    fn global(&self, name: &str) -> Option<Value>;

    /// The function of that name in the sets of functions that are modelled, such as `fileset.union`.
    fn function(&self, name: &str) -> Option<&'static Native>;

    /// What everybody means by a name, where its own value is not known.
    fn conventional(&self, name: &str) -> Option<Value>;

    /// `<name>`
    fn search_path(&self, name: &str, here: Location) -> Value;

    /// The attribute that a set's meaning gives it besides those that it holds.
    fn member(
        &self,
        ev: &mut Eval,
        set: &Value,
        attrs: &Rc<Attrs>,
        name: &str,
        here: Location,
    ) -> Option<Value>;

    /// The attribute of a value that is not known.
    fn member_of_unknown(&self, ev: &mut Eval, unknown: &Rc<Unknown>, name: &str, here: Location) -> Value;

    /// The attribute of a function, such as `override`.
    fn member_of_function(&self, function: &Value, name: &str) -> Option<Value>;

    /// The result of calling a set by its meaning.
    fn call_set(&self, ev: &mut Eval, attrs: &Rc<Attrs>, argument: ThunkId, here: Location) -> Option<Value>;

    /// The result of calling something that is not known.
    fn call_unknown(&self, ev: &mut Eval, callee: &Rc<Unknown>, argument: ThunkId, here: Location) -> Value;

    /// What an import of something other than a file of the repository gives; `source` is what the value means as files.
    fn import(&self, ev: &mut Eval, value: &Value, source: &Source, here: Location) -> Option<Value>;

    /// The answer of `left == right` where the values themselves do not count, such as a test for a text that is about to
    /// be replaced.
    fn equality(&self, code: &Code, left: Operand<'_>, right: Operand<'_>) -> Option<bool>;

    /// Whether a text that no token holds stands for one that is to be written where it is named.
    fn is_placeholder(&self, text: &Text) -> bool;

    /// Whether a branch with this text is worth a look although it is not taken.
    fn is_of_interest(&self, text: &str) -> bool;
}
