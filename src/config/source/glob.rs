//! Include patterns to paths.

use std::path::{Component, Path, PathBuf};

use wildmatch::WildMatch;

use crate::config::source::MAX_FILES;

/// The paths that a pattern names, sorted. Without a wildcard it is the path itself, present or not. `*` and `?` stand
/// for characters within one component; names that begin with a dot match only a pattern that does too.
///
/// # Errors
/// A sentence about a pattern that is not supported, or a folder that can't be listed.
pub(crate) fn expand(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    let mut wild = false;
    for component in pattern.components() {
        let part = component.as_os_str().to_string_lossy();
        let is_glob = matches!(component, Component::Normal(_)) && part.contains(['*', '?']);
        if part.contains("**") {
            return Err(
                "`**` is not supported in `include`: write one pattern for each level".to_owned(),
            );
        }
        if !is_glob {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        wild = true;
        let glob = WildMatch::new(&part);
        let mut next = Vec::new();
        for folder in found {
            list(&folder, &glob, part.starts_with('.'), &mut next)?;
        }
        found = next;
    }
    if wild {
        // A literal tail behind a wildcard (`*/agp.toml`) names only what is there.
        found.retain(|path| path.is_file());
        found.sort();
        found.truncate(MAX_FILES + 1);
    }
    Ok(found)
}

fn list(
    folder: &Path,
    glob: &WildMatch,
    dots: bool,
    into: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let shown = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = match std::fs::read_dir(shown) {
        Ok(entries) => entries,
        // A folder that is not there yet holds nothing yet.
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(e) => return Err(format!("can't list `{}`: {e}", shown.display())),
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if (dots || !name.starts_with('.')) && glob.matches(&name) {
            into.push(folder.join(entry.file_name()));
        }
    }
    Ok(())
}
