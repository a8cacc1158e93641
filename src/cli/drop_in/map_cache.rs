//! `--map-cache [NPM_DEPS]`: writes the map from URL to integrity of a cache to `CACHE_MAP_PATH`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use npm_nixhash::report::Message;
use npm_tarballs::cacache::CacheMap;

use super::super::env::Environment;
use super::super::output::{Exit, Fatal, Outcome};

pub(super) fn run(arguments: &[OsString], environment: &Environment) -> Outcome {
    let named = arguments.first().map(PathBuf::from).or_else(|| environment.path("npmDeps"));
    let npm_deps =
        named.ok_or_else(|| refuse("--map-cache needs the path of a cache, as argument or in npmDeps"))?;
    let target = environment.path("CACHE_MAP_PATH").ok_or_else(|| refuse("CACHE_MAP_PATH must be set"))?;
    let target = environment.absolute(&target);
    let mut map = CacheMap::default();
    add_folder(&mut map, &environment.absolute(&npm_deps).join("_cacache/index-v5"))?;
    fs::write(&target, map.json()).map_err(|error| failed("write", &target, &error))?;
    Ok(Exit::Fine)
}

/// Adds all index files below a folder, in the order of their names.
fn add_folder(map: &mut CacheMap, folder: &Path) -> Result<(), Fatal> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(|error| Fatal::reading(folder, &error))?;
    // Of several entries for one URL the last one wins, and a folder has no order.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| Fatal::reading(&path, &error))?;
        if kind.is_dir() {
            add_folder(map, &path)?;
        } else if kind.is_file() {
            let text = fs::read_to_string(&path).map_err(|error| Fatal::reading(&path, &error))?;
            map.add_index_file(&text).map_err(|error| failed("read", &path, &error))?;
        }
    }
    Ok(())
}

fn refuse(message: &str) -> Fatal {
    Fatal(Message::plain(message))
}

fn failed(verb: &str, path: &Path, error: &(dyn std::error::Error + 'static)) -> Fatal {
    let Message { message, mut causes, .. } = Message::from_error(error);
    causes.insert(0, message);
    Fatal(Message { causes, ..Message::plain(format!("cannot {verb} {}", path.display())) })
}
