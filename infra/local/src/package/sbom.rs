//! What a release consists of, as CycloneDX documents: one for each program,
//! made by `cargo cyclonedx`, and one for the rest of the image.

use std::path::{Path, PathBuf};

use super::{Release, image};
use crate::binaries::{FUNCTIONS, TASK};
use crate::command::{forget_own_package, interruptible, run_quietly};
use crate::error::{IoContext, Result};
use crate::python::{Venv, run_script};
use crate::report::Report;
use crate::workspace::Workspace;

/// The tool, and the version that was tried.
const TOOL: &str = "cargo-cyclonedx";
const VERSION: &str = "0.5.9";
/// What the tool is told to call its files; it puts one beside each manifest of the workspace.
const FILE: &str = "nodeyard-sbom";

/// Writes the documents to `sbom` in the release's folder.
///
/// # Errors
/// The tool cannot be installed, or failed.
pub async fn write(workspace: &Workspace, release: &Release, report: Report) -> Result<()> {
    let tool = tool(workspace, report).await?;
    let folder = release.folder().join("sbom");
    std::fs::create_dir_all(&folder).at(&folder)?;
    let mut cyclonedx = interruptible(tool);
    forget_own_package(&mut cyclonedx)
        .args(["cyclonedx", "--quiet", "--format", "json", "--no-build-deps"])
        .args(["--target", "all", "--override-filename", FILE])
        .current_dir(workspace.root())
        // It writes this down instead of the time, so that the same parts give the same document.
        .env("SOURCE_DATE_EPOCH", "1");
    let made = run_quietly(&mut cyclonedx).await;
    let moved = collect(workspace, &folder);
    made.and(moved)?;
    let root = image::root(release);
    if root.is_file() {
        let venv = Venv::found_apart("package", workspace);
        let script = workspace.path("infra/local/image_sbom.py");
        let words = [root, folder.join("ansible-task-image.json")];
        run_script(&venv, &script, &words.map(|path| path.display().to_string())).await?;
    }
    Ok(())
}

/// Installs the tool below `.nodeyard/tools`, once.
async fn tool(workspace: &Workspace, report: Report) -> Result<PathBuf> {
    let folder = workspace.nodeyard().join("tools").join(format!("{TOOL}-{VERSION}"));
    let program = folder.join("bin").join(TOOL);
    if !program.is_file() {
        report.line(format!("installing {TOOL} {VERSION} (once; some minutes)"));
        let mut cargo = interruptible(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        forget_own_package(&mut cargo)
            .args(["install", "--quiet", "--locked", "--version", VERSION, TOOL, "--root"])
            .arg(&folder)
            // Not in the workspace's folder: its settings are not meant for the tool.
            .current_dir(workspace.nodeyard());
        run_quietly(&mut cargo).await?;
    }
    Ok(program)
}

/// Takes the programs' documents, and removes all the others.
fn collect(workspace: &Workspace, into: &Path) -> Result<()> {
    let name = format!("{FILE}.json");
    let programs = FUNCTIONS.iter().chain([&TASK]);
    for program in programs {
        let folder = format!("functions/{}", program.trim_start_matches("nodeyard-"));
        let made = workspace.path(&folder).join(&name);
        let kept = into.join(format!("{program}.json"));
        if made.is_file() {
            // The tool refers to our own packages by where they lie on this machine.
            let text = std::fs::read_to_string(&made).at(&made)?;
            let here = format!("{}/", workspace.root().display());
            std::fs::write(&kept, text.replace(&here, "/")).at(&kept)?;
        }
    }
    remove_below(workspace.root(), &name)
}

fn remove_below(folder: &Path, name: &str) -> Result<()> {
    for entry in std::fs::read_dir(folder).at(folder)?.flatten() {
        let (path, own) = (entry.path(), entry.file_name());
        let is_made = own == "target" || own == ".nodeyard" || own == ".git";
        if path.is_dir() && !is_made && !path.is_symlink() {
            remove_below(&path, name)?;
        } else if own == name {
            std::fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
