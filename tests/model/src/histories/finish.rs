//! Brings a job to its end in a world where everything works.

use nodeyard_domain::{
    job::{Effect, Job},
    node::Node,
    observation::{Outcome, ServerStatus},
};

use super::{
    History,
    script::{Script, server},
    states::finished,
};

/// More observations than this a job never needs.
const MAX_TOLD: usize = 60;

#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    #[error("{0:?} has no effect to answer")]
    Idle(Box<Job>),
    #[error("an answer was dropped in {0:?}")]
    Dropped(Box<Job>),
    #[error("still not at its end: {0:?}")]
    Endless(Box<Job>),
}

/// Answers one effect after another until the job has ended.
///
/// # Errors
/// When it does not come to an end.
pub fn finish(history: History) -> Result<History, Stuck> {
    let now = history.job.updated_at;
    let mut script = Script { job: history.job, node: history.node, now };
    for _ in 0..MAX_TOLD {
        if script.job.state.is_terminal() {
            return Ok(script.history());
        }
        let outcome = match &script.job.intent {
            // A claim that nobody has told of is looked into, as the driver does.
            Some(intent) if script.job.sent_at == Some(intent.id) => Outcome::ClaimFound,
            Some(intent) => answer(&intent.effect, &script.job, &script.node),
            None => return Err(Stuck::Idle(Box::new(script.job))),
        };
        script.now = script.job.due_at.map_or(script.now, |due| due.max(script.now));
        if !script.hear(outcome) {
            return Err(Stuck::Dropped(Box::new(script.job)));
        }
    }
    Err(Stuck::Endless(Box::new(script.job)))
}

fn answer(effect: &Effect, job: &Job, node: &Node) -> Outcome {
    match effect {
        Effect::TakeNode => Outcome::NodeTaken {
            server: node.server.clone(),
            attempts: node.attempts,
            run: node.last_run.clone(),
        },
        Effect::EnsureKey => Outcome::KeyReady { version: 1 },
        Effect::EnsureGroup => Outcome::GroupReady { id: Some(9) },
        Effect::FindServer => Outcome::ServerAbsent,
        Effect::CreateServer { attempt, .. } => {
            Outcome::Created { server: server(*attempt), action_id: Some(6), expect_secs: None }
        }
        Effect::PollAction { .. } => Outcome::ActionSucceeded,
        Effect::FetchServer { .. } => {
            let server = job.server.clone().unwrap_or_else(|| server(job.attempt));
            Outcome::ServerSeen { server, status: ServerStatus::Running }
        }
        Effect::StartRun { .. } => Outcome::RunStarted,
        Effect::LookAtRun { .. } => finished(None),
        Effect::StopRun { .. } => Outcome::RunStopped,
        Effect::DeleteServer { .. } => Outcome::DeleteAccepted,
        Effect::ConfirmGone { .. } => Outcome::Gone,
    }
}
