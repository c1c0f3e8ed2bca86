//! Where things lie: the repository, and below `.nodeyard` what the tasks make.

use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};

/// The repository and its `.nodeyard` folder.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The repository that this program was built from.
    ///
    /// # Errors
    /// The folder no longer exists.
    pub fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.join("../..").canonicalize().at(&manifest)?;
        Ok(Self { root })
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the repository.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Everything the tasks make; ignored by git, safe to delete while no stack is up.
    pub fn nodeyard(&self) -> PathBuf {
        self.root.join(".nodeyard")
    }

    /// The Python environment.
    pub fn venv(&self) -> PathBuf {
        self.nodeyard().join("venv")
    }

    /// What later runs use again: root file systems and packages.
    pub fn cache(&self) -> PathBuf {
        self.nodeyard().join("cache")
    }

    /// The folder of one stack.
    pub fn stack(&self, name: &str) -> PathBuf {
        self.nodeyard().join(name)
    }
}
