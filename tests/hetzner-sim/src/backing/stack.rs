//! What one run owns on the host, under names that follow from the stack's, so
//! that the next run can find and remove what a dead one left.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::BackingError;
use super::children::Children;
use super::command::io;
use super::folder;
use super::group::Group;
use crate::lab;

/// A stack that belongs to this process.
#[derive(Debug)]
pub(crate) struct Stack {
    name: String,
    folder: PathBuf,
    group: Group,
    children: Children,
    lock: Lock,
    released: AtomicBool,
}

impl Stack {
    /// Takes the stack, after removing what a dead run of that name left.
    ///
    /// # Errors
    /// A live run has it, or a left-over cannot be removed.
    pub(crate) async fn claim(state_dir: &Path, name: &str) -> Result<Self, BackingError> {
        check_name(name)?;
        let lock = Lock::take(name)?;
        for line in remove_left_overs(state_dir, name).await? {
            tracing::info!("left by a dead run: {line}");
        }
        let folder = state_dir.join(name);
        std::fs::create_dir_all(&folder).map_err(io(format!("making {}", folder.display())))?;
        let folder = folder.canonicalize().map_err(io(format!("finding {}", folder.display())))?;
        let group = Group::of_stack(name)?;
        group.make()?;
        let children = Children::new()?;
        let name = name.to_owned();
        let released = AtomicBool::new(false);
        Ok(Self { name, folder, group, children, lock, released })
    }

    /// Folder of this run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Group that all processes of this run are in.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// The path of a group below the hierarchy's root, as the kernel names it.
    pub(crate) fn group_in_hierarchy(&self, group: &Group) -> PathBuf {
        let inside = group.path().strip_prefix(self.group.path()).unwrap_or(Path::new(""));
        Path::new("/").join(lab_name(&self.name)).join(inside)
    }

    /// Who starts this run's processes.
    pub(crate) fn children(&self) -> &Children {
        &self.children
    }

    /// Name of the lab's network namespace.
    pub(crate) fn lab_name(&self) -> String {
        lab_name(&self.name)
    }

    /// Name of a machine: of its namespace, and of itself to the host.
    pub(crate) fn machine_name(&self, id: u64) -> String {
        format!("{}-n{id}", self.lab_name())
    }

    /// Removes all that the run owns.
    ///
    /// # Errors
    /// Something cannot be removed; it stays, with all that it might hold.
    pub(crate) async fn release(&self) -> Result<(), BackingError> {
        self.group.kill().await?;
        remove_namespaces(&self.name).await?;
        folder::remove(&self.folder).await?;
        self.lock.forget();
        self.released.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// [`Self::release`] for where nothing can be awaited.
    fn release_now(&self) -> Result<(), BackingError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io("starting a runtime"))?;
        runtime.block_on(self.release())
    }
}

/// A run that ends in the middle, by a panic or an interrupt, leaves nothing
/// either.
impl Drop for Stack {
    fn drop(&mut self) {
        if self.released.load(Ordering::SeqCst) {
            return;
        }
        // A runtime cannot be started on a thread that has one.
        let stack: &Self = self;
        let released = std::thread::scope(|scope| scope.spawn(|| stack.release_now()).join());
        if let Ok(Err(error)) = released {
            tracing::error!(%error, stack = self.name, "left for the next run to remove");
        }
    }
}

/// Removes what a dead run of `name` left. See [`super::clean_up`].
pub(crate) async fn clean_up(state_dir: &Path, name: &str) -> Result<Vec<String>, BackingError> {
    check_name(name)?;
    let lock = Lock::take(name)?;
    let removed = remove_left_overs(state_dir, name).await?;
    lock.forget();
    Ok(removed)
}

/// Processes first: only what none of them uses can be removed.
async fn remove_left_overs(state_dir: &Path, name: &str) -> Result<Vec<String>, BackingError> {
    let mut removed = Vec::new();
    // Without a hierarchy no run can have had processes.
    let group = Group::of_stack(name).ok();
    if let Some(group) = group.filter(|group| group.path().exists()) {
        let what = if group.populated() { "processes of" } else { "empty" };
        removed.push(format!("{what} control group {}", group.path().display()));
        group.kill().await?;
    }
    for namespace in remove_namespaces(name).await? {
        removed.push(format!("network namespace {namespace}"));
    }
    let folder = state_dir.join(name);
    if folder.symlink_metadata().is_ok() {
        removed.push(format!("folder {}", folder.display()));
        folder::remove(&folder).await?;
    }
    Ok(removed)
}

async fn remove_namespaces(stack: &str) -> Result<Vec<String>, BackingError> {
    let lab = lab_name(stack);
    let machines = format!("{lab}-n");
    let mut names = lab::names_starting(&machines)?;
    names.retain(|name| is_number(&name[machines.len()..]));
    names.extend(lab::names_starting(&lab)?.into_iter().filter(|name| *name == lab));
    for name in &names {
        lab::remove(name).await?;
    }
    Ok(names)
}

fn lab_name(stack: &str) -> String {
    format!("nodeyard-{stack}")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Names become parts of file names; and one that looks like a machine of
/// another stack would be removed with it.
fn check_name(name: &str) -> Result<(), BackingError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let shaped =
        (1..=32).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-');
    let like_machine = name.rsplit_once("-n").is_some_and(|(_, number)| is_number(number));
    if shaped && !like_machine {
        return Ok(());
    }
    let reason = "a stack is named by up to 32 lower-case letters, digits and hyphens, \
                  not ending in -n and a number";
    Err(BackingError::Stack { stack: name.to_owned(), reason: reason.to_owned() })
}

/// The right to a stack's name on this host. The kernel lets go of it when its
/// holder dies, so a lock that can be taken means a run that is dead.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(stack: &str) -> Result<Self, BackingError> {
        let path = PathBuf::from(format!("/run/nodeyard-{stack}.lock"));
        let context = format!("locking {}", path.display());
        loop {
            let file = File::create(&path).map_err(io(context.clone()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(io(context)(error)),
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(BackingError::Stack {
                        stack: stack.to_owned(),
                        reason: "a live run has this name; end it, or use another".to_owned(),
                    });
                }
            }
            // Its last holder may have removed the file since it was opened.
            let mine = file.metadata().map_err(io(context.clone()))?.ino();
            if std::fs::metadata(&path).is_ok_and(|there| there.ino() == mine) {
                return Ok(Self { path, _file: file });
            }
        }
    }

    /// Removes the file while it is still locked.
    fn forget(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        for good in ["lab", "demo-2", "a-node", "n1", "test-n1x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "Lab", "a/b", "..", "lab-n1", "x-y-n22", &"a".repeat(33)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
