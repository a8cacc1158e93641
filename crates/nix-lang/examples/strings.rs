//! Prints each string of a Nix file with its place: `strings FILE.nix`.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

use nix_lang::files::Files;
use nix_lang::syntax::ast::{Expr, StringPart};
use nix_lang::syntax::parse;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::path::absolute(std::env::args().nth(1).ok_or("strings FILE.nix")?)?;
    let mut files = Files::new(path.parent().unwrap_or(Path::new("/")).to_path_buf());
    let file = files.read(&path)?;
    let ast = parse(file, &files.get(file).text).map_err(|error| error.message)?;
    let mut out = io::stdout().lock();
    for (expression, span) in ast.exprs.iter().zip(&ast.spans) {
        if let Expr::Str(parts) = expression {
            let text: String = parts
                .iter()
                .map(|part| if let StringPart::Text(text) = part { text } else { "${...}" })
                .collect();
            let (line, column) = files.position(file, span.start);
            writeln!(out, "{line}:{column}: {text}")?;
        }
    }
    Ok(())
}
