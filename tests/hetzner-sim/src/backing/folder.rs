//! Removes folders without ever reaching into a mount.

use std::path::{Path, PathBuf};

use super::BackingError;
use super::command::{io, run};

/// Removes `path` and all below it; nothing there is fine.
///
/// # Errors
/// Something is mounted at or below it: then nothing is deleted, because what
/// is deleted inside a mount is deleted elsewhere.
pub(crate) async fn remove(path: &Path) -> Result<(), BackingError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let context = format!("removing {}", path.display());
    let path = path.canonicalize().map_err(io(context.clone()))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(io(context.clone()))?;
    if let Some(mount) = mounted_below(&path, &mounts) {
        let live = std::io::Error::other(format!("{} is still mounted", mount.display()));
        return Err(io(context)(live));
    }
    // A second guard: it stops at a mount that appeared since.
    run("rm", &["-rf".as_ref(), "--one-file-system".as_ref(), "--".as_ref(), path.as_os_str()])
        .await
        .map(drop)
}

/// A mount at or below `path`.
fn mounted_below(path: &Path, mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let point = PathBuf::from(unescape(line.split(' ').nth(4)?));
        point.starts_with(path).then_some(point)
    })
}

/// The kernel writes blanks and backslashes of a path in octal.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn mounts_at_and_below_are_seen_and_neighbours_are_not() {
        let mounts = "36 35 0:1 / /a/b\\040c/root rw - overlay overlay rw\n\
                      37 35 0:2 / /a/bd rw - tmpfs tmpfs rw\n";
        let seen = |path: &str| mounted_below(Path::new(path), mounts);
        assert_eq!(seen("/a/b c"), Some("/a/b c/root".into()));
        assert_eq!(seen("/a/b c/root"), Some("/a/b c/root".into()));
        assert_eq!(seen("/a/b"), None);
        assert_eq!(seen("/a/b c/root/etc"), None);
    }

    #[tokio::test]
    async fn a_folder_goes_and_one_that_is_gone_is_fine() {
        let folder = std::env::temp_dir().join(format!("folder-test-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::fs::write(folder.join("a/f"), "x").unwrap();
        remove(&folder).await.unwrap();
        assert!(!folder.exists());
        remove(&folder).await.unwrap();
    }
}
