//! What is left in files when a stack has ended.

use std::path::Path;

use super::place::{Kind, Places};
use super::watch::files_below;
use crate::ecs::scratch_of;
use crate::workspace::Workspace;

/// Programs as they were built, before any secret was made.
const PROGRAMS: &[&str] = &["functions", "emulator"];

/// What this program itself wrote down of the functions' logs, which were searched as such.
const COPIES: &str = "nodeyard-local-";

/// Keeps every file of the stack's folders, and whatever is left of its tasks' scratch folders.
pub fn search(workspace: &Workspace, stack: &str, tasks: &[String], places: &Places) {
    let folder = workspace.stack(stack);
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if PROGRAMS.iter().any(|program| name == **program) {
            continue;
        }
        keep(&entry.path(), &folder, places);
    }
    let simulator = workspace.nodeyard().join("sim").join(stack);
    keep(&simulator, &simulator, places);
    for scratch in tasks.iter().map(|task| scratch_of(task)) {
        keep(&scratch, &scratch, places);
    }
}

fn keep(path: &Path, below: &Path, places: &Places) {
    let files = if path.is_file() {
        vec![path.to_owned()]
    } else {
        files_below(path).into_iter().map(|(path, _)| path).collect()
    };
    for file in files {
        let name = file.strip_prefix(below).unwrap_or(&file).display().to_string();
        if file_name(&file).starts_with(COPIES) {
            continue;
        }
        places.add(Kind::FileLeft, name, std::fs::read(&file).unwrap_or_default());
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
