//! Where inputs come from: the repository's sample events, and what has failed before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sample events whose names begin so.
///
/// # Panics
/// When there is none: a target without them would look at nothing.
pub fn events(begin: &str) -> Vec<Vec<u8>> {
    let found = files(&root().join("events"), |name| name.starts_with(begin));
    assert!(!found.is_empty(), "no sample event is named {begin}…");
    found
}

/// What a target has failed on, each in a file of its own.
pub fn kept(target: &str) -> Vec<Vec<u8>> {
    files(&folder(target), |_| true)
}

/// Keeps an input that a target has failed on.
///
/// # Errors
/// When the disk refuses.
pub fn keep(target: &str, input: &[u8]) -> io::Result<PathBuf> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    let digest = Sha256::digest(input);
    let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(name);
    fs::write(&path, input)?;
    Ok(path)
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

/// In the order of their names, so that a seed means the same on every machine.
fn files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())));
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}
