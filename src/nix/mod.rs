//! stub
mod hash_text; mod remote; mod site;
pub use hash_text::*; pub use remote::*; pub use site::*;
/// scope
pub struct Scope;
impl Scope { /// new
 pub fn new(_: &std::path::Path)->Self {Self} }
/// s
#[derive(Debug,Default)]
pub struct Survey { /// s
pub sites: Vec<Site>, /// p
pub problems: Vec<FileProblem>, /// w
pub warnings: Vec<Warning> }
/// survey
pub fn survey(_: &Scope)->Survey { Survey::default() }
