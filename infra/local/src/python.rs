//! The Python environment: made once below `.nodeyard`, made again only when
//! a list of requirements changes. What cannot live with the rest has one of
//! its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::command::{interruptible, read_output, run_quietly};
use crate::error::{IoContext, Result, XtaskError};
use crate::prerequisites;
use crate::report::Report;
use crate::workspace::Workspace;

/// A list of packages with their versions.
#[derive(Debug, Clone, Copy)]
pub struct Requirements {
    file: &'static str,
    with_dependencies: bool,
}

/// What the stack and the container task need.
pub const STACK: &[Requirements] = &[
    Requirements { file: "infra/local/requirements.txt", with_dependencies: true },
    Requirements { file: "playbooks/requirements.txt", with_dependencies: true },
];

/// What the tests need besides.
pub const TESTS: &[Requirements] = &[
    Requirements { file: "infra/local/requirements-test.txt", with_dependencies: true },
    Requirements { file: "infra/local/requirements-cargo-lambda.txt", with_dependencies: false },
];

/// What the comparison with the provider's own client needs besides.
pub const PEER: &[Requirements] =
    &[Requirements { file: "infra/local/requirements-test.txt", with_dependencies: true }];

/// Checks of the templates that pin what others need in other versions: an environment each. Their
/// lists name all dependencies, by hash.
pub const SAM: &[Requirements] =
    &[Requirements { file: "infra/local/requirements-sam.txt", with_dependencies: false }];
/// See [`SAM`].
pub const CHECKOV: &[Requirements] =
    &[Requirements { file: "infra/local/requirements-checkov.txt", with_dependencies: false }];

/// What releases are built with: cargo-lambda and zig, and what writes down what an image holds.
pub const PACKAGE: &[Requirements] =
    &[Requirements { file: "infra/local/requirements-package.txt", with_dependencies: false }];

/// What holds the API against its document; in an environment of its own, because every package
/// in it is pinned by its hash.
pub const CONTRACT: &[Requirements] =
    &[Requirements { file: "infra/local/requirements-contract.txt", with_dependencies: true }];

/// The environment, with at least the packages that were asked for.
#[derive(Debug, Clone)]
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// Makes the environment, or brings it up to date, or finds it as it should be.
    ///
    /// # Errors
    /// No Python 3.11 or later, or pip failed.
    pub async fn ensure(
        workspace: &Workspace,
        wanted: &[Requirements],
        report: Report,
    ) -> Result<Self> {
        Self::ensure_at(workspace.venv(), workspace, wanted, report).await
    }

    /// The same for an environment of its own, `.nodeyard/venv-<name>`.
    ///
    /// # Errors
    /// No Python 3.11 or later, or pip failed.
    pub async fn ensure_apart(
        name: &str,
        workspace: &Workspace,
        wanted: &[Requirements],
        report: Report,
    ) -> Result<Self> {
        Self::ensure_at(Self::found_apart(name, workspace).folder, workspace, wanted, report).await
    }

    async fn ensure_at(
        folder: PathBuf,
        workspace: &Workspace,
        wanted: &[Requirements],
        report: Report,
    ) -> Result<Self> {
        let start = Instant::now();
        let venv = Self { folder };
        if !venv.python().is_file() {
            venv.create(report).await?;
        }
        let mut installed = false;
        for requirements in wanted {
            installed |= venv.install(workspace, *requirements).await?;
        }
        if installed {
            let name = venv.folder.file_name().unwrap_or_default().display();
            report.took(start, format!("Python packages installed in .nodeyard/{name}"));
        }
        Ok(venv)
    }

    /// The environment as an earlier command left it.
    pub fn found(workspace: &Workspace) -> Self {
        Self { folder: workspace.venv() }
    }

    /// The one of its own, as an earlier command left it.
    pub fn found_apart(name: &str, workspace: &Workspace) -> Self {
        Self { folder: workspace.nodeyard().join(format!("venv-{name}")) }
    }

    /// The environment's interpreter.
    pub fn python(&self) -> PathBuf {
        self.program("python")
    }

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The folder that holds the environment's programs.
    pub fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    async fn create(&self, report: Report) -> Result<()> {
        let python = find_interpreter().await?;
        let mut make = interruptible(&python);
        make.args(["-m", "venv", "--clear"]).arg(&self.folder);
        if run_quietly(&mut make).await.is_ok() {
            return Ok(());
        }
        // Debian splits the part that makes environments off Python's own package.
        if prerequisites::can_install() {
            report.line("installing with apt: python3-venv");
            prerequisites::install(&["python3-venv"]).await?;
        }
        run_quietly(&mut make).await
    }

    /// Installs one list, unless the very same one is installed. Says whether it did.
    async fn install(&self, workspace: &Workspace, requirements: Requirements) -> Result<bool> {
        let file = workspace.path(requirements.file);
        let wanted = std::fs::read_to_string(&file).at(&file)?;
        let stamp = self.stamp(requirements);
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(false);
        }
        let mut pip = interruptible(self.python());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        if !requirements.with_dependencies {
            pip.arg("--no-deps");
        }
        run_quietly(pip.arg("--requirement").arg(&file)).await?;
        std::fs::write(&stamp, wanted).at(&stamp)?;
        Ok(true)
    }

    fn stamp(&self, requirements: Requirements) -> PathBuf {
        self.folder.join(format!("{}.installed", requirements.file.replace('/', "-")))
    }
}

/// The first Python on the search path that is new enough.
async fn find_interpreter() -> Result<PathBuf> {
    let is_new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    for name in ["python3", "python3.13", "python3.12", "python3.11"] {
        if run_quietly(interruptible(name).args(["-c", is_new_enough])).await.is_ok() {
            return Ok(PathBuf::from(name));
        }
    }
    Err(XtaskError::Missing {
        what: "Python 3.11 or later".to_owned(),
        remedy: "install python3 and python3-venv".to_owned(),
    })
}

/// Runs one of our own scripts and gives back what it printed.
///
/// # Errors
/// It failed; with the end of its output.
pub async fn run_script(venv: &Venv, script: &Path, arguments: &[String]) -> Result<String> {
    read_output(interruptible(venv.python()).arg(script).args(arguments)).await
}
