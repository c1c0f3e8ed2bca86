//! Tasks that run are on record, so that they can be ended when the endpoint
//! that started them was killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::launch::{name, remove_container};
use crate::error::{IoContext, Result};
use crate::process::{Identity, Process};

/// How long a left-over task may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// A task that runs.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    process: Identity,
    is_container: bool,
    scratch: PathBuf,
}

/// Puts a running task on record.
///
/// # Errors
/// The file cannot be written.
pub fn remember(
    folder: &Path,
    id: &str,
    pid: u32,
    is_container: bool,
    scratch: &Path,
) -> Result<()> {
    let Some(process) = Identity::of(pid) else { return Ok(()) };
    let record = Record { process, is_container, scratch: scratch.to_owned() };
    let file = file(folder, id);
    std::fs::write(&file, serde_json::json!(record).to_string()).at(&file)
}

/// Takes a task that has ended off the record, and removes its scratch folder.
pub fn forget(folder: &Path, id: &str, scratch: &Path) {
    // What cannot be removed lies in the temporary folder and harms nobody.
    let _ = std::fs::remove_dir_all(scratch);
    let _ = std::fs::remove_file(file(folder, id));
}

/// The processes of the tasks on record.
pub fn running_tasks(folder: &Path) -> Vec<Identity> {
    records(folder).into_iter().map(|(_, _, record)| record.process).collect()
}

/// The scratch folders of the tasks on record.
pub fn running_scratches(folder: &Path) -> Vec<PathBuf> {
    records(folder).into_iter().map(|(_, _, record)| record.scratch).collect()
}

/// Ends every task on record.
pub async fn end_left_over_tasks(folder: &Path) {
    for (id, path, record) in records(folder) {
        let process = Process { name: name(&id), identity: record.process, log: path };
        process.end(GRACE).await;
        if record.is_container {
            remove_container(&id).await;
        }
        forget(folder, &id, &record.scratch);
    }
}

fn records(folder: &Path) -> Vec<(String, PathBuf, Record)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let read = |path: PathBuf| {
        let id = path.file_name()?.to_str()?.strip_suffix(".running")?.to_owned();
        // One that is being written or has just ended is none.
        let record = serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok()?;
        Some((id, path, record))
    };
    entries.flatten().filter_map(|entry| read(entry.path())).collect()
}

fn file(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.running"))
}
