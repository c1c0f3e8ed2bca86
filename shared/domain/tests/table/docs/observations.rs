//! The phrases of the tables' middle column, each as a question about a case.

use nodeyard_domain::{
    code::{Code, Retry},
    job::{JobKind, Phase},
    observation::{FailureClass, Outcome, ProviderFailure, ServerStatus},
    ownership::Ownership,
    readiness::is_ready,
};

use super::Case;
use crate::{reachable::policy, records::now};

type Phrase = (&'static str, fn(&Case<'_>) -> bool);

/// About the job's limits: whatever the step makes of the outcome, these decide. In this order.
const OVERRIDING: &[Phrase] = &[
    ("of an effect that is settled", |case| {
        let told = *case.outcome == Outcome::Poisoned || is_late_server(case);
        !case.current && !told
    }),
    ("created late, the server on record", |case| {
        is_late_server(case) && case.job.server.as_ref().map(|known| known.id) == made(case)
    }),
    ("poisoned", |case| *case.outcome == Outcome::Poisoned),
    ("past the limit of the undo", |case| {
        case.job.undo_deadline_at.is_some_and(|limit| limit <= now())
    }),
    ("cancelled, or past the deadline", |case| {
        let job = case.job;
        let cancelled = job.cancel_requested_at.is_some() && job.kind != JobKind::NodeRelease;
        job.undo_deadline_at.is_none() && (cancelled || job.deadline_at <= now())
    }),
];

const ACQUIRING: &[Phrase] = &[
    ("key_ready", |case| *case.outcome == Outcome::KeyReady { version: 1 }),
    ("group_ready", |case| matches!(case.outcome, Outcome::GroupReady { .. })),
    ("created", |case| case.current && made(case).is_some()),
    ("refused for its placement group", is_about_group),
    ("not found, what the body names", |case| {
        class(case) == Some(FailureClass::NotFound) && case.job.turned_away < 3
    }),
    ("no capacity", |case| class(case) == Some(FailureClass::NoCapacity)),
    ("outcome unknown, or name taken", |case| {
        use FailureClass::{Drift, NameTaken, Unknown};
        matches!(class(case), Some(Unknown | NameTaken | Drift))
    }),
    ("not answered, the claim made", |case| {
        case.job.sent_at.is_some() && class(case).is_none() && made(case).is_none()
    }),
    ("found, of the open attempt", |case| {
        found(case)
            .is_some_and(|(ownership, deleting)| ownership == Ownership::Current && !deleting)
    }),
    ("found, of an older attempt or being deleted", |case| {
        found(case).is_some_and(|(ownership, _)| ownership != Ownership::Foreign)
    }),
    ("found, foreign", |case| found(case).is_some_and(|(of, _)| of == Ownership::Foreign)),
    ("absent, may still land", |case| is_absent(case) && !is_settled(case)),
    ("absent, settle time over", |case| is_absent(case) && is_settled(case)),
    ("created late, of the open attempt", |case| match case.outcome {
        Outcome::Created { server, .. } => {
            let job = case.job;
            !case.current && job.phase == Phase::Forward && server.attempt == job.attempt
        }
        _ => false,
    }),
    ("created late, another server on record", |case| {
        is_late_server(case) && case.job.server.is_some()
    }),
    ("created late, no server on record", is_late_server),
    ("marker missing", |case| *case.outcome == Outcome::MarkerMissing),
];

const RUNNING: &[Phrase] = &[
    ("run_started", |case| *case.outcome == Outcome::RunStarted),
    ("run_refused", |case| matches!(case.outcome, Outcome::RunRefused { .. })),
    ("action succeeded, or unknown", |case| {
        let known = matches!(case.outcome, Outcome::ActionSucceeded | Outcome::ActionMissing);
        known || class(case) == Some(FailureClass::NotFound)
    }),
    ("action failed", |case| matches!(case.outcome, Outcome::ActionFailed { .. })),
    ("off, being deleted, or absent", |case| {
        is_absent(case) || seen(case).is_some_and(|status| *status != ServerStatus::Running)
    }),
    ("finished, with a verdict", |case| match case.outcome {
        Outcome::RunFinished(result) => {
            let of_node = [Code::NodeUnreachable, Code::NodeHostKeyMismatch, Code::NodeBootTimeout];
            !result.readiness.is_empty() && result.code.is_none_or(|code| of_node.contains(&code))
        }
        _ => false,
    }),
    ("not up yet", |case| is_coming(case) && !is_stuck(case)),
    ("not up in time", |case| is_coming(case) && is_stuck(case)),
    ("running", |case| seen(case) == Some(&ServerStatus::Running)),
    ("being deleted, or absent", |case| {
        is_absent(case) || seen(case) == Some(&ServerStatus::Deleting)
    }),
    ("finished, probes passed", |case| match case.outcome {
        Outcome::RunFinished(result) => result.code.is_none() && is_ready(&result.readiness),
        _ => false,
    }),
    ("lost, or failed in a way that may pass", |case| match case.outcome {
        Outcome::RunFinished(result) => {
            result.code.is_some_and(|code| code.retry() == Retry::WithBackOff)
        }
        outcome => matches!(outcome, Outcome::RunLost { .. }),
    }),
    ("finished, a probe failed, or failed for good", |case| match case.outcome {
        Outcome::RunFinished(result) => match result.code {
            Some(code) => code.retry() != Retry::WithBackOff,
            None => !is_ready(&result.readiness),
        },
        _ => false,
    }),
    ("not finished", |case| matches!(case.outcome, Outcome::RunRunning | Outcome::Nothing)),
];

const REMOVING: &[Phrase] = &[
    ("run_stopped", |case| *case.outcome == Outcome::RunStopped),
    ("still running, or stop refused", |case| {
        matches!(case.outcome, Outcome::RunRunning | Outcome::RunRefused { .. })
    }),
    ("found, ours", |case| found(case).is_some_and(|(of, _)| of != Ownership::Foreign)),
    ("foreign or absent, may still land", |case| is_foreign_or_absent(case) && !is_settled(case)),
    ("foreign or absent, settle time over", |case| is_foreign_or_absent(case) && is_settled(case)),
    ("accepted, or not found", |case| {
        let gone = class(case) == Some(FailureClass::NotFound);
        gone || *case.outcome == Outcome::DeleteAccepted
    }),
    ("gone, the marker seen", |case| *case.outcome == Outcome::Gone),
    ("still there, too often", |case| {
        *case.outcome == Outcome::StillThere && case.job.tries + 1 >= policy().gone_looks
    }),
    ("still there, or nothing proved", |case| {
        let unproved = class(case) == Some(FailureClass::NotFound);
        unproved || matches!(case.outcome, Outcome::StillThere | Outcome::MarkerMissing)
    }),
    ("node_taken, without a server", |case| {
        matches!(case.outcome, Outcome::NodeTaken { server: None, .. })
    }),
    ("node_taken", |case| match case.outcome {
        Outcome::NodeTaken { server, .. } => {
            server.is_some() || case.job.kind == JobKind::NodeRelease
        }
        _ => false,
    }),
    ("node_busy", |case| *case.outcome == Outcome::NodeBusy),
    ("an earlier job's run stopped", |case| {
        *case.outcome == Outcome::RunStopped && case.job.earlier_run.is_some()
    }),
    ("its own run stopped", |case| {
        *case.outcome == Outcome::RunStopped && case.job.earlier_run.is_none()
    }),
];

const ALWAYS: &[Phrase] = &[
    ("token refused", |case| {
        matches!(class(case), Some(FailureClass::Unauthorized | FailureClass::ReadOnly))
            && asks(case)
    }),
    ("rate limited for long", |case| {
        let long = |secs| secs > policy().budget_wait_secs;
        class(case) == Some(FailureClass::RateLimited)
            && pause(case).is_some_and(long)
            && asks(case)
    }),
    ("quota met", |case| class(case) == Some(FailureClass::Quota) && asks(case)),
    ("refused for good", |case| {
        use FailureClass::{Invalid, NameTaken, NotFound};
        matches!(class(case), Some(Invalid | NameTaken | NotFound)) && asks(case)
    }),
    ("refused for now, or no answer", |case| class(case).is_some() && asks(case)),
    ("anything else", |_| true),
];

fn known(phrase: &str) -> Option<&'static Phrase> {
    [OVERRIDING, ACQUIRING, RUNNING, REMOVING, ALWAYS]
        .into_iter()
        .flatten()
        .find(|(known, _)| *known == phrase)
}

pub fn overrides(phrase: &str) -> bool {
    OVERRIDING.iter().any(|(known, _)| *known == phrase)
}

pub fn is_known(phrase: &str) -> bool {
    known(phrase).is_some()
}

pub fn tells_of(phrase: &str, case: &Case<'_>) -> bool {
    known(phrase).is_some_and(|(_, is)| is(case))
}

/// A failure of the job's call. What was not sent is none while another's call may be under way.
fn failure<'a>(case: &Case<'a>) -> Option<&'a ProviderFailure> {
    match case.outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::NotSent(failure) if case.job.sent_at.is_none() => Some(failure),
        _ => None,
    }
}

fn class(case: &Case<'_>) -> Option<FailureClass> {
    failure(case).map(|failure| failure.class)
}

fn pause(case: &Case<'_>) -> Option<i64> {
    failure(case).and_then(|failure| failure.pause_secs)
}

/// The effect of the job's step is a call to the provider.
fn asks(case: &Case<'_>) -> bool {
    let intent = case.job.intent.as_ref();
    intent.is_some_and(|intent| intent.effect.call_class(case.job.phase).is_some())
}

fn made(case: &Case<'_>) -> Option<u64> {
    match case.outcome {
        Outcome::Created { server, .. } => Some(server.id),
        _ => None,
    }
}

/// An answer of a create that is no longer the job's intent. Only provisions create.
fn is_late_server(case: &Case<'_>) -> bool {
    !case.current && case.job.kind == JobKind::NodeProvision && made(case).is_some()
}

fn is_about_group(case: &Case<'_>) -> bool {
    match case.outcome {
        Outcome::Failed(failure) => {
            let about =
                failure.class == FailureClass::NotFound || failure.code == "placement_error";
            case.job.placement_group.is_some() && about
        }
        _ => false,
    }
}

fn found(case: &Case<'_>) -> Option<(Ownership, bool)> {
    match case.outcome {
        Outcome::ServerFound { ownership, status, .. } => {
            Some((*ownership, *status == ServerStatus::Deleting))
        }
        _ => None,
    }
}

fn seen<'a>(case: &Case<'a>) -> Option<&'a ServerStatus> {
    match case.outcome {
        Outcome::ServerSeen { status, .. } => Some(status),
        _ => None,
    }
}

fn is_absent(case: &Case<'_>) -> bool {
    *case.outcome == Outcome::ServerAbsent
}

fn is_foreign_or_absent(case: &Case<'_>) -> bool {
    is_absent(case) || found(case).is_some_and(|(of, _)| of == Ownership::Foreign)
}

fn is_settled(case: &Case<'_>) -> bool {
    case.job.settle_until.is_none_or(|until| until <= now())
}

/// Each of the two looks at a server says in its own words that it is not up yet.
fn is_coming(case: &Case<'_>) -> bool {
    use nodeyard_domain::job::Step::{AwaitServer, FetchServer};
    match case.job.step {
        AwaitServer => *case.outcome == Outcome::ActionRunning,
        FetchServer => matches!(seen(case), Some(ServerStatus::Other(_))),
        _ => false,
    }
}

fn is_stuck(case: &Case<'_>) -> bool {
    let limit = jiff::SignedDuration::from_secs(policy().stuck_secs);
    case.job.first_poll_at.is_some_and(|first| first + limit <= now())
}
