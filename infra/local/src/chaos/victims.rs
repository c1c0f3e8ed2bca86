//! Finds the processes of a stack's functions, so that they can be killed. Only what this stack has
//! started is ever found: children of its emulator, each known by id and start time.

use crate::process::{Identity, parent};
use crate::state::StackState;

/// The processes that run a function now, busy or warm.
///
/// The emulator runs each as a child of its own; the environment says which function it is.
pub fn processes_of(state: &StackState, function: &str) -> Vec<Identity> {
    let Some(emulator) = state.processes.iter().find(|process| process.name == "emulator") else {
        return Vec::new();
    };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let wanted = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| parent(*pid) == Some(emulator.identity.pid) && has_variable(*pid, &wanted))
        .filter_map(Identity::of)
        .collect()
}

fn has_variable(pid: u32, wanted: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}
