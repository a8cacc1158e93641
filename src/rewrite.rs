//! stub
use crate::{drift::Plan, replace::Replacement};
/// e
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {}
/// r
pub fn rewrite(_: &Plan) -> Result<Vec<Replacement>, RewriteError> { Ok(vec![]) }
