//! The words of the tables' last column.

use nodeyard_domain::{
    job::{Job, JobKind, JobState, ParkReason, Phase, Step},
    step::Verdict,
};

/// What stands for more than one step, the longer ones first where one holds another.
const WORDS: &[&str] = &[
    "parked on provider_token",
    "parked on rate_budget",
    "parked on capacity",
    "parked on quota",
    "kept on the node",
    "the same step",
    "dropped",
    "cancelled",
    "removal",
    "removed",
    "succeeded",
    "failed",
    "given up",
    "undo",
    "kept",
];

fn step_word(step: Step) -> String {
    serde_json::to_value(step).unwrap().as_str().unwrap().to_owned()
}

/// The known words of a cell, each with the remark in brackets that changes its meaning.
pub fn words(cell: &str) -> Vec<String> {
    let mut known: Vec<String> = Step::ALL.iter().map(|step| step_word(*step)).collect();
    known.retain(|word| word != "done");
    known.extend(WORDS.iter().map(|word| (*word).to_owned()));
    let mut found = Vec::new();
    let mut rest = cell;
    while !rest.is_empty() {
        let at_word =
            known.iter().filter(|word| rest.starts_with(word.as_str())).max_by_key(|w| w.len());
        let Some(word) = at_word else {
            // On to the next word.
            rest = rest.find(' ').map_or("", |space| rest[space..].trim_start());
            continue;
        };
        rest = rest[word.len()..].trim_start();
        let mut told = word.clone();
        for remark in ["(attempt + 1)", "(the same attempt)"] {
            if let Some(after) = rest.strip_prefix(remark) {
                told = format!("{word} {remark}");
                rest = after;
            }
        }
        found.push(told);
    }
    found
}

/// What happened, for people.
pub fn tell(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Drop => "dropped".into(),
        Verdict::KeepOnNode(_) => "kept on the node".into(),
        Verdict::Commit(decision) => {
            let job = &decision.job;
            let (state, phase) = (job.state, job.phase);
            format!("{:?} ({state:?}, {phase:?}, waits for {:?})", job.step, job.waiting_on)
        }
    }
}

/// Whether a word of the last column is what happened.
pub fn is(word: &str, before: &Job, verdict: &Verdict) -> bool {
    let decision = match verdict {
        Verdict::Drop => return word == "dropped",
        Verdict::KeepOnNode(_) => return word == "kept on the node",
        Verdict::Commit(decision) => decision,
    };
    let job = &decision.job;
    let (open, parked) = (!job.state.is_terminal(), job.waiting_on);
    let ended = |states: &[JobState]| states.contains(&job.state);
    let removing =
        open && matches!(job.step, Step::StopRun | Step::FindLeftover | Step::DeleteServer);
    match word {
        "parked on provider_token" => parked == Some(ParkReason::ProviderToken),
        "parked on rate_budget" => parked == Some(ParkReason::RateBudget),
        "parked on capacity" => {
            parked == Some(ParkReason::Capacity) && job.attempt == before.attempt + 1
        }
        "parked on quota" => parked == Some(ParkReason::Quota),
        "the same step" => open && job.step == before.step && job.phase == before.phase,
        "removal" => removing && (before.phase == Phase::Undo || job.phase != Phase::Undo),
        "removed" => match (job.kind, before.phase) {
            (JobKind::NodeRelease, _) => ended(&[JobState::Succeeded]) && job.server.is_none(),
            (_, Phase::Replace) => open && is_next_attempt(before, job),
            _ => ended(&[JobState::Failed, JobState::Cancelled]) && job.server.is_none(),
        },
        "cancelled" => ended(&[JobState::Cancelled]),
        "failed" => ended(&[JobState::Failed]),
        "succeeded" => ended(&[JobState::Succeeded]),
        "given up" => {
            let pending =
                decision.node.status.map_or(job.kind.only_looks(), |status| !status.is_gone());
            ended(&[JobState::Failed]) && pending
        }
        "undo" => {
            let undone = ended(&[JobState::Failed, JobState::Cancelled]);
            before.phase != Phase::Undo && (undone || removing && job.phase == Phase::Undo)
        }
        "kept" => ended(&[JobState::Failed]) && job.server.is_some() && job.keep_on_failure,
        "create_server (attempt + 1)" => open && parked.is_none() && is_next_attempt(before, job),
        "create_server (the same attempt)" => {
            open && job.step == Step::CreateServer && job.attempt == before.attempt
        }
        step => open && parked.is_none() && step_word(job.step) == step,
    }
}

fn is_next_attempt(before: &Job, job: &Job) -> bool {
    job.step == Step::CreateServer
        && job.phase == Phase::Forward
        && job.attempt == before.attempt + 1
}
