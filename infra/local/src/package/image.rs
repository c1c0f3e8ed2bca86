//! The container image: Debian's packages, taken straight from its signed
//! archive, Ansible by the hashes of its requirements, our playbooks and our
//! program. No registry and no base image.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Release, functions};
use crate::command::{interruptible, read_output, run_quietly};
use crate::error::{IoContext, Result};
use crate::python::Venv;
use crate::workspace::Workspace;

/// The image as podman and others load it (OCI archive), in the release's folder.
pub const ARCHIVE: &str = "ansible-task-image.tar";
/// What the image is called in podman's storage.
pub const NAME: &str = "localhost/nodeyard-ansible-task:release";

/// Where the parts are put together, below the release's folder.
const PARTS: &str = "image";
/// The file system of the image, in [`PARTS`].
pub const ROOT: &str = "root.tar";

/// The release of Debian, and what a run needs of it beyond the essential.
const DEBIAN: &str = "trixie";
const PACKAGES: &str = "ca-certificates,openssh-client,python3";
/// The Python of that release, which packages are chosen for.
const PYTHON: &str = "3.13";
/// apt verifies their signatures, and by them each package.
const SOURCES: &[&str] = &[
    "deb http://deb.debian.org/debian trixie main",
    "deb http://deb.debian.org/debian trixie-updates main",
    "deb http://deb.debian.org/debian-security trixie-security main",
];
/// Parts of Debian's packages that nobody reads in a container.
const LEFT_OUT: &[&str] =
    &["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"];
/// Kinds of wheels that run on that release.
const PLATFORMS: &[&str] =
    &["manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64"];

/// Makes the image and its archive.
///
/// # Errors
/// A package cannot be had, or podman failed.
pub async fn build(workspace: &Workspace, venv: &Venv, release: &Release) -> Result<()> {
    let parts = release.folder().join(PARTS);
    remove(&parts)?;
    let overlay = parts.join("overlay");
    std::fs::create_dir_all(&overlay).at(&overlay)?;
    add_ansible(workspace, venv, &overlay).await?;
    add_our_own(workspace, release, &overlay)?;
    let root = parts.join(ROOT);
    run_quietly(&mut debian(&overlay, &root)).await?;
    remove(&overlay)?;

    let mut podman = interruptible("podman");
    podman
        .args(["build", "--quiet", "--pull=never", "--timestamp", "0", "--tag", NAME])
        .arg("--file")
        .arg(workspace.path("infra/ansible-task/Containerfile"))
        .arg(&parts);
    read_output(&mut podman).await?;
    let archive = release.folder().join(ARCHIVE);
    remove(&archive)?;
    let mut save = interruptible("podman");
    save.args(["save", "--quiet", "--format", "oci-archive", "--output"]).arg(&archive).arg(NAME);
    run_quietly(&mut save).await
}

/// Where the file system of the image lies, once it has been made.
pub fn root(release: &Release) -> PathBuf {
    release.folder().join(PARTS).join(ROOT)
}

/// Ansible and what it needs, where Debian's Python finds it.
async fn add_ansible(workspace: &Workspace, venv: &Venv, overlay: &Path) -> Result<()> {
    let packages = overlay.join(format!("usr/local/lib/python{PYTHON}/dist-packages"));
    let mut pip = interruptible(venv.python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"])
        .args(["--require-hashes", "--no-deps", "--only-binary", ":all:"])
        .args(["--implementation", "cp", "--python-version", PYTHON])
        .args(PLATFORMS.iter().flat_map(|platform| ["--platform", platform]))
        .arg("--requirement")
        .arg(workspace.path("infra/ansible-task/requirements.txt"))
        .arg("--target")
        .arg(&packages);
    run_quietly(&mut pip).await?;
    // Their first lines name the Python that made them; and Ansible's own tests are not run here.
    remove(&packages.join("bin"))?;
    remove(&packages.join("ansible_test"))?;
    let script = "#!/usr/bin/python3\nimport sys\n\nfrom ansible.cli.playbook import main\n\n\
                  sys.exit(main())\n";
    write_program(&overlay.join("usr/local/bin/ansible-playbook"), script.as_bytes())
}

fn add_our_own(workspace: &Workspace, release: &Release, overlay: &Path) -> Result<()> {
    let program = functions::task_program(release);
    let bytes = std::fs::read(&program).at(&program)?;
    write_program(&overlay.join("usr/local/bin/nodeyard-ansible-task"), &bytes)?;
    copy(&workspace.path("playbooks"), &overlay.join("opt/nodeyard/playbooks"))
}

/// mmdebstrap, which makes the file system with what is laid over it. Times are left out of it, so
/// that the same parts make the same image.
fn debian(overlay: &Path, root: &Path) -> Command {
    let mut command = if nix::unistd::geteuid().is_root() {
        // It mounts inside the target; in a mount namespace of its own its mounts end with it.
        let mut command = interruptible("unshare");
        command.args(["--mount", "--propagation=slave", "mmdebstrap"]);
        command
    } else {
        interruptible("mmdebstrap")
    };
    command
        .args(["--quiet", "--variant=essential", "--format=tar", "--dpkgopt=force-unsafe-io"])
        .arg(format!("--include={PACKAGES}"))
        .args(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg(format!("--customize-hook=sync-in {} /", overlay.display()))
        // The root file system is read-only: what is not compiled now is compiled in each run.
        .arg(format!(
            "--customize-hook=chroot \"$1\" python3 -m compileall -q --invalidation-mode \
             unchecked-hash /usr/local/lib/python{PYTHON}/dist-packages"
        ))
        // ssh refuses to run for a user id without a name.
        .arg(
            "--customize-hook=chroot \"$1\" useradd --uid 10001 --no-create-home --home-dir \
             /scratch --shell /usr/sbin/nologin nodeyard",
        )
        .arg("--customize-hook=chroot \"$1\" install -d -m 0700 -o 10001 -g 10001 /scratch")
        .arg(DEBIAN)
        .arg(root)
        .args(SOURCES)
        .env("SOURCE_DATE_EPOCH", "1");
    command
}

/// Copies a folder, without its tests and what Python leaves behind.
fn copy(from: &Path, into: &Path) -> Result<()> {
    std::fs::create_dir_all(into).at(into)?;
    for entry in std::fs::read_dir(from).at(from)?.flatten() {
        let (source, name) = (entry.path(), entry.file_name());
        if name == "tests" || name == "__pycache__" {
            continue;
        }
        let target = into.join(&name);
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            std::fs::copy(&source, &target).at(&source)?;
        }
    }
    Ok(())
}

fn write_program(path: &Path, content: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).at(folder)?;
    std::fs::write(path, content).at(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).at(path)
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.at(path)
}
