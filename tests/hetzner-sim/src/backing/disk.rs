//! A machine's own disk: as large as its type says, in a file that takes no more than what is
//! written. Whether a machine's disk is full is then its own affair and not the host's.

use std::path::{Path, PathBuf};

use super::BackingError;
use super::command::run;

/// The file, in the machine's folder; scripts that boot a machine name it too.
const FILE: &str = "disk";

/// What the disk holds from the start, as a folder beside it.
pub(crate) fn seed(machine: &Path) -> PathBuf {
    machine.join("seed")
}

/// Makes the disk of the machine in this folder, with its seed on it.
///
/// # Errors
/// The file system cannot be made: no space, or a seed that cannot be read.
pub(crate) async fn make(machine: &Path, size_gb: u32) -> Result<(), BackingError> {
    let seed = seed(machine);
    let file = machine.join(FILE);
    let size = format!("{size_gb}G");
    let words: [&std::ffi::OsStr; 9] = [
        "-q".as_ref(),
        "-t".as_ref(),
        "ext4".as_ref(),
        // Nothing outlives the run, least of all a power cut.
        "-O".as_ref(),
        "^has_journal".as_ref(),
        "-d".as_ref(),
        seed.as_os_str(),
        file.as_os_str(),
        size.as_ref(),
    ];
    run("mke2fs", &words).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn a_disk_is_large_and_takes_little() {
        let machine = std::env::temp_dir().join(format!("disk-test-{}", std::process::id()));
        std::fs::create_dir_all(seed(&machine).join("upper")).unwrap();
        make(&machine, 40).await.unwrap();
        let file = machine.join(FILE).metadata().unwrap();
        std::fs::remove_dir_all(&machine).unwrap();
        assert_eq!(file.len(), 40 << 30);
        assert!(file.blocks() * 512 < 20 << 20, "{} blocks", file.blocks());
    }
}
