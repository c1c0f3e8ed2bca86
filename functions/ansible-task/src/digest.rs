//! A digest of the playbooks, so that the evidence says which ones ran.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// SHA-256 in hex over the paths and contents of all files below a folder, in the order of their
/// paths; of a link, where it leads. Python's caches do not count.
///
/// # Errors
/// When the folder or a file in it cannot be read.
pub(crate) fn of_folder(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let path = folder.join(&file);
        let contents = if path.is_symlink() {
            fs::read_link(path)?.as_os_str().as_encoded_bytes().to_vec()
        } else {
            fs::read(path)?
        };
        // Lengths keep two neighbours from passing for one file.
        let path = file.to_string_lossy().into_owned();
        digest.update(format!("{}:{path}:{}:", path.len(), contents.len()));
        digest.update(contents);
    }
    Ok(hex::encode(digest.finalize()))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "__pycache__" {
                collect(root, &path, files)?;
            }
        } else if let Ok(below) = path.strip_prefix(root) {
            files.push(below.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        of_folder(folder.path()).unwrap()
    }

    #[test]
    fn it_depends_on_names_and_contents_and_nothing_else() {
        let first = digest(&[("a.yml", "1"), ("roles/b.yml", "2")]);
        assert_eq!(first, digest(&[("roles/b.yml", "2"), ("a.yml", "1")]));
        assert_eq!(first.len(), 64);
        let cached = digest(&[("a.yml", "1"), ("roles/b.yml", "2"), ("x/__pycache__/c.pyc", "3")]);
        assert_eq!(first, cached);
        assert_ne!(first, digest(&[("a.yml", "2"), ("roles/b.yml", "2")]));
        assert_ne!(first, digest(&[("a.yml", "1"), ("b.yml", "2")]));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(of_folder(Path::new("/nonexistent/playbooks")).is_err());
    }
}
