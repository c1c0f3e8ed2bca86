//! How long things may take and how often we look. One value, so that tests need not wait.

use std::time::Duration;

/// Intervals and limits of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    /// Between two logins while the node boots: OpenSSH 10 penalises addresses that come faster
    /// than its penalties fade (sshd_config(5), `PerSourcePenalties`).
    pub login_gap: Duration,
    /// One login, all of it; `ConnectTimeout` covers only its beginning.
    pub login_limit: Duration,
    /// From the task's start to the first login.
    pub boot_limit: Duration,
    /// How long a refused key is waited for: sshd answers before cloud-init has made the user.
    pub denied_limit: Duration,
    /// The same two for a node that is only looked at: it has booted long ago.
    pub look_limit: Duration,
    pub look_denied_limit: Duration,
    /// How often the run record is asked whether to stop.
    pub stop_gap: Duration,
    /// How often the events of a playbook are read.
    pub events_gap: Duration,
    /// The least time between two appends to timeline and log.
    pub report_gap: Duration,
    /// `ssh-add` and the like.
    pub tool_limit: Duration,
    /// Between asking a child to end and killing it.
    pub end_grace: Duration,
    /// How long a child's output is waited for once the child has ended.
    pub drain_limit: Duration,
    /// Before a call to the store, the queue or the secrets is repeated; grows with each try.
    pub retry_pause: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            login_gap: secs(5),
            login_limit: secs(20),
            boot_limit: secs(300),
            denied_limit: secs(90),
            // sshd's penalty for one login that failed is 5 s, and what was told of it once may pass.
            look_limit: secs(60),
            look_denied_limit: secs(20),
            stop_gap: secs(5),
            events_gap: Duration::from_millis(500),
            report_gap: secs(2),
            tool_limit: secs(15),
            end_grace: secs(10),
            drain_limit: secs(2),
            retry_pause: secs(1),
        }
    }
}
