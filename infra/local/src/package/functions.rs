//! The functions: compiled by cargo-lambda with zig, looked at, and zipped.

use std::ffi::OsString;

use super::{Release, elf, zips};
use crate::binaries::{FUNCTIONS, TASK};
use crate::cli::Architecture;
use crate::command::{forget_own_package, interruptible, run_aloud};
use crate::error::{IoContext, Result, XtaskError};
use crate::python::Venv;
use crate::workspace::Workspace;

/// Where cargo-lambda leaves the programs, below the release's folder.
const PROGRAMS: &str = "programs";

/// Builds and zips the three functions, and with those for x86-64 the container task's program.
///
/// # Errors
/// The build failed, or made programs for another processor.
pub async fn build(
    workspace: &Workspace,
    venv: &Venv,
    architecture: Architecture,
    release: &Release,
) -> Result<()> {
    let programs = release.folder().join(PROGRAMS).join(architecture.word());
    let (flag, task) = match architecture {
        Architecture::Arm64 => ("--arm64", None),
        Architecture::X86_64 => ("--x86-64", Some(&TASK)),
    };
    let mut command = interruptible(venv.program("cargo-lambda"));
    forget_own_package(&mut command)
        // Our own profile says everything; cargo-lambda's would abort where a record panics.
        .args(["lambda", "build", "--release", "--locked", "--disable-optimizations", flag])
        .arg("--lambda-dir")
        .arg(&programs)
        .current_dir(workspace.root())
        .env("PATH", search_path(venv)?);
    for package in FUNCTIONS.iter().chain(task) {
        command.args(["--package", package]);
    }
    run_aloud(&mut command).await?;
    let zips = release.zips(architecture);
    std::fs::create_dir_all(&zips).at(&zips)?;
    for name in FUNCTIONS.iter().chain(task) {
        let program = programs.join(name).join("bootstrap");
        let bytes = std::fs::read(&program).at(&program)?;
        let machine = elf::machine(&bytes);
        if machine != Some(architecture) {
            return Err(XtaskError::Check(format!("{name} is for {machine:?}")));
        }
        if FUNCTIONS.contains(name) {
            let zip = zips.join(format!("{name}.zip"));
            std::fs::write(&zip, zips::of_function(&bytes)?).at(&zip)?;
        }
    }
    Ok(())
}

/// Where the container task's program lies once it has been built.
pub fn task_program(release: &Release) -> std::path::PathBuf {
    let programs = release.folder().join(PROGRAMS).join(Architecture::X86_64.word());
    programs.join(TASK).join("bootstrap")
}

/// cargo-lambda looks for zig beside itself.
fn search_path(venv: &Venv) -> Result<OsString> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(venv.programs()).chain(std::env::split_paths(&own));
    std::env::join_paths(folders).map_err(|error| XtaskError::Answer {
        context: "search path of the build".to_owned(),
        detail: error.to_string(),
    })
}
