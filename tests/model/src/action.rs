//! What can happen next.

use nodeyard_domain::wake::WakeReason;

/// How the outside answers an effect. All but the first are faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Told,
    /// It takes effect, and the answer is lost.
    Lost,
    /// It takes no effect, and there is no answer.
    Unsent,
    /// There is no answer, and it takes effect later.
    Late,
    /// The provider refuses: no capacity for a create, locked for a delete.
    Refused,
    /// A create's action fails, a task does not start.
    Fails,
}

/// Indices are into the world's lists as they are in the state that the action starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A worker takes a message.
    Deliver { message: usize },
    /// A message is lost.
    Lose { message: usize },
    /// A worker gets a wake that nobody sent now: doubled, late or early.
    Stray { job: usize, reason: WakeReason },
    /// The worker begins its effect, with the claim where one is due.
    Begin { worker: usize },
    /// What the connection's jobs share has no call to spare.
    NotSent { worker: usize },
    /// The worker's effect reaches the outside.
    Ask { worker: usize, answer: Answer },
    /// The worker offers its observation; it may crash between the commit and its wake.
    Offer { worker: usize, crash: bool },
    /// The worker dies; its message is delivered again, or not.
    Crash { worker: usize },
    /// A POST lands whose sender has given it up.
    Land { flying: usize },
    /// A playbook ends by itself.
    End { run: usize, ok: bool },
    /// A container that was told to stop is gone.
    Die { run: usize },
    /// The sweep finds a job overdue, it may be one that a worker is at.
    Sweep { job: usize, beside: bool },
    /// The sweep opens a release for what is left over.
    ReleaseLeftOver,
    /// A caller cancels the first job.
    Cancel,
    /// Time goes on to the next thing that is due.
    Tick,
    /// A job's limit comes near.
    NearLimit { job: usize },
}
