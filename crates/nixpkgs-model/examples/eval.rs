//! Prints what a file evaluates to, as far as that can be known without nixpkgs: `eval FILE.nix`.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::files::Files;
use nix_lang::syntax::ast::{Location, Span};
use nix_lang::value::{Kind, Value};
use nixpkgs_model::world::Nixpkgs;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::path::absolute(std::env::args().nth(1).ok_or("eval FILE.nix")?)?;
    let root = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    let mut ev = Eval::new(Files::new(root), &Nixpkgs, Rc::new(()));
    ev.budget.begin();
    let at = Location { file: ev.files.read(&path)?, span: Span { start: 0, end: 0 } };
    let value = ev.import_path(&path, at);
    let text = shown(&mut ev, &value);
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

fn shown(ev: &mut Eval, value: &Value) -> String {
    match &value.kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Int(number) => number.to_string(),
        Kind::Float(number) => number.to_string(),
        Kind::Path(path) => path.display().to_string(),
        Kind::Unknown(unknown) => format!("<unknown: {}>", unknown.message),
        Kind::List(list) => {
            let items = list.items.iter().map(|item| {
                let item = ev.force(*item);
                shown(ev, &item)
            });
            format!("[ {} ]", items.collect::<Vec<_>>().join(" "))
        }
        Kind::Attrs(attrs) => {
            let attrs = attrs.map.iter().map(|(name, attr)| {
                let value = ev.force(attr.thunk);
                format!("{name} = {};", shown(ev, &value))
            });
            format!("{{ {} }}", attrs.collect::<Vec<_>>().join(" "))
        }
        _ => {
            value.known_text().map_or_else(|| format!("<{}>", value.type_name()), |text| format!("{text:?}"))
        }
    }
}
