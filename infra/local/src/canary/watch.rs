//! Watches the stack's processes while they live: what they were started with, their environment,
//! and the files in the scratch folders of runs. A run lasts seconds, its children less, so this
//! looks many times a second, from a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::place::{Kind, Places};
use crate::bench::Bench;
use crate::ecs::running_scratches;
use crate::process::parent;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(15);
/// A file larger than this is no scratch file of ours.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// How far up a process's ancestors are followed.
const MAX_ANCESTORS: usize = 32;
/// What runs on behalf of the stack; the simulator is the provider, and is not ours to watch.
const OURS: &[&str] = &["emulator", "ecs"];

/// The watching thread; ends with this.
#[derive(Debug)]
pub struct Watch {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch a stack.
    pub fn start(bench: &Bench, places: Places) -> Self {
        let is_ours = |process: &&crate::process::Process| OURS.contains(&process.name.as_str());
        let roots = bench.state.processes.iter().filter(is_ours);
        let mut watcher = Watcher {
            roots: roots.map(|process| process.identity.pid).collect(),
            tasks: bench.tasks_folder(),
            places,
            seen: BTreeSet::new(),
            files: BTreeMap::new(),
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                watcher.look();
                std::thread::sleep(LOOK);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A watcher that has panicked has found less, which the count of places shows.
            let _ = thread.join();
        }
    }
}

struct Watcher {
    roots: BTreeSet<u32>,
    tasks: PathBuf,
    places: Places,
    /// Processes whose environment was read, by what they were started with.
    seen: BTreeSet<(u32, Vec<u8>)>,
    /// Files as they were when they were read: size and time of the last change.
    files: BTreeMap<PathBuf, (u64, i64, i64)>,
}

impl Watcher {
    fn look(&mut self) {
        let scratches: Vec<PathBuf> = running_scratches(&self.tasks);
        for scratch in &scratches {
            self.read_files(scratch);
        }
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        let is_number = |name: std::ffi::OsString| name.to_str()?.parse::<u32>().ok();
        for pid in processes.flatten().filter_map(|entry| is_number(entry.file_name())) {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if words.is_empty() || self.seen.contains(&(pid, words.clone())) {
                continue;
            }
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if self.is_descendant(pid) || mentions(&environment, &scratches) {
                let name = named(&words);
                self.places.add(Kind::Environment, name.clone(), environment);
                self.places.add(Kind::CommandLine, name, words.clone());
            }
            self.seen.insert((pid, words));
        }
    }

    fn is_descendant(&self, pid: u32) -> bool {
        let ancestors = std::iter::successors(Some(pid), |pid| parent(*pid).filter(|pid| *pid > 1));
        ancestors.take(MAX_ANCESTORS).any(|pid| self.roots.contains(&pid))
    }

    fn read_files(&mut self, folder: &Path) {
        for (path, stamp) in files_below(folder) {
            if self.files.get(&path) == Some(&stamp) {
                continue;
            }
            // One that has gone meanwhile was short-lived, and is looked for again.
            if let Ok(bytes) = std::fs::read(&path) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.places.add(Kind::ScratchFile, name, bytes);
                self.files.insert(path, stamp);
            }
        }
    }
}

/// The program and, where it is an interpreter, what it runs: names, no values.
fn named(words: &[u8]) -> String {
    let words = words.split(|byte| *byte == 0).take(6);
    let names = words.map(|word| {
        let word = String::from_utf8_lossy(word);
        word.rsplit('/').next().unwrap_or_default().to_owned()
    });
    let is_program = |name: &String| {
        (1..=40).contains(&name.len())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
    };
    let names: Vec<String> =
        names.filter(is_program).filter(|name| !name.starts_with('-')).collect();
    names.join(" ")
}

fn mentions(environment: &[u8], scratches: &[PathBuf]) -> bool {
    scratches.iter().any(|scratch| {
        let scratch = scratch.as_os_str().as_encoded_bytes();
        environment.windows(scratch.len()).any(|window| window == scratch)
    })
}

/// Ordinary files below a folder, with their size and the time of their last change.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, (u64, i64, i64))> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.is_file() && about.len() <= MAX_FILE_BYTES {
                found.push((entry.path(), (about.len(), about.mtime(), about.mtime_nsec())));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{mentions, named};

    #[test]
    fn a_process_is_named_without_its_values() {
        assert_eq!(
            named(b"/usr/bin/python3\0/v/bin/ansible-playbook\0-i\0"),
            "python3 ansible-playbook"
        );
        assert_eq!(named(b"ssh\0-o\0User=\"someone\"\0"), "ssh");
        assert_eq!(named(b""), "");
    }

    #[test]
    fn what_runs_in_a_scratch_folder_says_so_in_its_environment() {
        let scratches = ["/s/nodeyard-1".into()];
        assert!(mentions(b"A=b\0HOME=/s/nodeyard-1/t1\0", &scratches));
        assert!(!mentions(b"HOME=/root\0", &scratches) && !mentions(b"", &scratches));
    }
}
