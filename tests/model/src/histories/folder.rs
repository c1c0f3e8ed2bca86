//! The files: one folder a release, written once, and one list of their digests.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{History, states};

/// The list of digests, in the form that `sha256sum -c` reads.
pub const SUMS: &str = "SHA256SUMS";

/// Where the histories are in a checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("histories")
}

/// Names of the files below the folder, sorted, each as `release/name.json`.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(root: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for release in fs::read_dir(root)? {
        let release = release?;
        if !release.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(release.path())? {
            let folder = release.file_name().to_string_lossy().into_owned();
            files.push(format!("{folder}/{}", file?.file_name().to_string_lossy()));
        }
    }
    files.sort();
    Ok(files)
}

pub fn digest(text: &[u8]) -> String {
    hex::encode(Sha256::digest(text))
}

/// Writes those of today's histories that a release has not yet, and adds them to the list. How
/// many that were.
///
/// # Errors
/// When a file cannot be written. What is there is never edited.
pub fn write(root: &Path, release: &str) -> io::Result<usize> {
    let folder = root.join(release);
    fs::create_dir_all(&folder)?;
    let mut sums = fs::OpenOptions::new().create(true).append(true).open(root.join(SUMS))?;
    let mut states = states::all();
    states.sort_by(|one, other| one.0.cmp(&other.0));
    states.retain(|(name, _)| !folder.join(format!("{name}.json")).exists());
    for (name, history) in &states {
        let text = text(history)?;
        fs::write(folder.join(format!("{name}.json")), &text)?;
        writeln!(sums, "{}  {release}/{name}.json", digest(text.as_bytes()))?;
    }
    Ok(states.len())
}

fn text(history: &History) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(history)? + "\n")
}
