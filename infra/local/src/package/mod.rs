//! `cargo xtask package`: everything that a deployment is made from, in one
//! folder, with checksums and what it consists of.

mod checksums;
mod elf;
pub mod functions;
mod image;
mod sbom;
mod zips;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cli::{Architecture, PackageOptions};
use crate::error::{IoContext, Result};
use crate::prerequisites;
use crate::python::{self, Venv};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::workspace::Workspace;

pub use image::ARCHIVE;

/// The folder of a release: `arm64/*.zip`, `x86_64/*.zip`, the image, `SHA256SUMS`, `sbom`.
#[derive(Debug, Clone)]
pub struct Release {
    folder: PathBuf,
}

impl Release {
    /// The release that was packaged last.
    pub fn of(workspace: &Workspace) -> Self {
        Self { folder: workspace.nodeyard().join("release") }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the zips for a processor.
    pub fn zips(&self, architecture: Architecture) -> PathBuf {
        self.folder.join(architecture.word())
    }
}

/// Builds what was asked for; what else is in the folder stays.
///
/// # Errors
/// A build failed, a program is for another processor, or a tool is missing.
pub async fn package(
    workspace: &Workspace,
    options: &PackageOptions,
    report: Report,
) -> Result<()> {
    unless_interrupted(build(workspace, options, report)).await
}

async fn build(workspace: &Workspace, options: &PackageOptions, report: Report) -> Result<()> {
    let venv = Venv::ensure_apart("package", workspace, python::PACKAGE, report).await?;
    let release = Release::of(workspace);
    std::fs::create_dir_all(release.folder()).at(release.folder())?;
    // The container task runs on x86-64 alone, and its program is built with those functions.
    let with_image = !options.no_image && options.arch.contains(&Architecture::X86_64);
    for architecture in &options.arch {
        let start = Instant::now();
        functions::build(workspace, &venv, *architecture, &release).await?;
        report.took(start, format!("functions for {} built and zipped", architecture.word()));
    }
    if with_image {
        prerequisites::ensure(prerequisites::IMAGE, report).await?;
        let start = Instant::now();
        image::build(workspace, &venv, &release).await?;
        report.took(start, format!("{ARCHIVE} made"));
    }
    let start = Instant::now();
    sbom::write(workspace, &release, report).await?;
    report.took(start, "software bills of materials written");
    for line in checksums::write(release.folder())? {
        report.line(line);
    }
    report.line(format!("release in {}", release.folder().display()));
    Ok(())
}
