//! The targets.

mod api_event;
mod api_request;
mod batch;
mod hetzner;
pub mod node_words;
mod schedule;
mod stored;
mod task_state;
mod user_data;
mod wake;
mod words;

use crate::target::Target;

/// The names of all targets, in the order they are run in.
pub const NAMES: &[&str] = &[
    "wake",
    "batch",
    "task-state",
    "schedule",
    "words",
    "user-data",
    "api-event",
    "api-request",
    "hetzner",
    "stored",
    "node-words",
];

/// A target by its name.
pub fn named(name: &str) -> Option<Box<dyn Target>> {
    Some(match name {
        "wake" => Box::new(wake::WakeBody),
        "batch" => Box::new(batch::Batch::new()),
        "task-state" => Box::new(task_state::TaskState::new()),
        "schedule" => Box::new(schedule::Schedule::new()),
        "words" => Box::new(words::Words),
        "user-data" => Box::new(user_data::UserData),
        "api-event" => Box::new(api_event::ApiEvent::new()),
        "api-request" => Box::new(api_request::ApiRequest::new()),
        "hetzner" => Box::new(hetzner::Hetzner::new()),
        "stored" => Box::new(stored::Stored::new()),
        "node-words" => Box::new(node_words::NodeWords::new()),
        _ => return None,
    })
}

/// Another seed each time.
pub fn new_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_nanos() as u64)
}

/// One thread, and a clock that jumps over every wait: nothing is slept.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// One thread in real time, for targets that talk to a socket.
fn runtime_in_real_time() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Says what does not hold.
fn hold(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
