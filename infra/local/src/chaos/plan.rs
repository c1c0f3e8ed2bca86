//! How long a drill rages and waits, and what it may do.

use std::time::Duration;

/// The two forms of the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How long processes are killed and answers lost.
    pub storm: Duration,
    /// How long jobs may take to come to rest once it is calm, and again when nodes are released.
    pub patience: Duration,
    /// Whether things are done whose outcome has to be waited out: creates that land late or never
    /// happened, workers killed before their creates are sent, calls answered 429.
    pub waits_out: bool,
    /// Calls the sweep every few seconds besides the schedule's, which comes once a minute.
    pub sweeps: bool,
    /// Chance a second, in percent, that a worker is killed.
    pub worker_kills: u64,
    /// The same for container tasks.
    pub task_kills: u64,
    /// The same for the answer of one of the next calls.
    pub losses: u64,
    /// Acquisitions that are cancelled, and nodes that are released, while it rages.
    pub takebacks: usize,
}

impl Plan {
    /// The form for the tests, or the one for the command.
    pub fn of(is_short: bool) -> Self {
        let secs = Duration::from_secs;
        if is_short {
            Self {
                storm: secs(14),
                patience: secs(240),
                waits_out: false,
                sweeps: true,
                worker_kills: 20,
                task_kills: 40,
                losses: 50,
                takebacks: 1,
            }
        } else {
            Self {
                storm: secs(180),
                patience: secs(1_500),
                waits_out: true,
                sweeps: false,
                worker_kills: 20,
                task_kills: 30,
                losses: 60,
                takebacks: 3,
            }
        }
    }
}
