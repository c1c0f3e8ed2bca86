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

/// Ends every task on record.
pub async fn end_left_over_tasks(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(id) = path.file_name().and_then(|it| it.to_str()?.strip_suffix(".running")) else {
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Ok(record) = serde_json::from_str::<Record>(&text) else { continue };
        let process = Process { name: name(id), identity: record.process, log: path.clone() };
        process.end(GRACE).await;
        if record.is_container {
            remove_container(id).await;
        }
        forget(folder, id, &record.scratch);
    }
}

fn file(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.running"))
}
