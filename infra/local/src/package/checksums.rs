//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::image::ARCHIVE;
use crate::error::{IoContext, Result};

/// Writes the checksums of what is handed on, and says how large each is.
///
/// # Errors
/// A file cannot be read, or the list not be written.
pub fn write(folder: &Path) -> Result<Vec<String>> {
    let (mut sums, mut lines) = (String::new(), Vec::new());
    for name in handed_on(folder)? {
        let path = folder.join(&name);
        let bytes = std::fs::read(&path).at(&path)?;
        let sum = hex::encode(Sha256::digest(&bytes));
        let name = name.display().to_string();
        // Writing to a text cannot fail.
        let _ = writeln!(sums, "{sum}  {name}");
        lines.push(format!("{:>12} bytes  {name}", bytes.len()));
    }
    let path = folder.join("SHA256SUMS");
    std::fs::write(&path, sums).at(&path)?;
    Ok(lines)
}

/// Zips, image and bills of materials, by their paths in the folder.
fn handed_on(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for (below, ending) in [("arm64", "zip"), ("x86_64", "zip"), ("sbom", "json"), ("", "")] {
        let below = Path::new(below);
        let Ok(entries) = std::fs::read_dir(folder.join(below)) else { continue };
        for entry in entries.flatten() {
            let name = below.join(entry.file_name());
            let is_wanted = match ending {
                "" => name == Path::new(ARCHIVE),
                ending => name.extension().is_some_and(|extension| extension == ending),
            };
            if is_wanted {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::write;

    #[test]
    fn what_is_handed_on_is_summed_up_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("arm64/f.zip", "abc"), ("sbom/f.json", "{}"), ("programs/x/b", "x")] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(write(folder.path()).unwrap().len(), 2);
        let sums = std::fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
        // The digest of "abc" is the standard's own example (FIPS 180-4).
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  arm64/f.zip\n";
        assert!(sums.starts_with(abc), "{sums}");
        assert!(!sums.contains("programs"));
    }
}
