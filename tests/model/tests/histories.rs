//! What any release has written loads, and finishes, for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use nodeyard_domain::{
    job::{Job, JobKind, JobState, ParkReason, Phase, Step},
    node::NodeStatus,
};
use nodeyard_model::histories::{History, finish::finish, folder, states};

fn stored() -> BTreeMap<String, History> {
    let root = folder::root();
    let load = |name: String| {
        let text = fs::read_to_string(root.join(&name)).unwrap();
        let history = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, history)
    };
    folder::files(&root).unwrap().into_iter().map(load).collect()
}

#[test]
fn every_history_loads_and_finishes() {
    let stored = stored();
    assert!(stored.len() > 50, "{} histories", stored.len());
    for (name, history) in stored {
        let before = history.clone();
        let end = finish(history).unwrap_or_else(|stuck| panic!("{name}: {stuck}"));
        if before.job.state.is_terminal() {
            assert_eq!(end, before, "{name}: a terminal job never changes");
        } else {
            ends_as_it_should(&name, &before.job, &end);
        }
    }
}

fn ends_as_it_should(name: &str, before: &Job, end: &History) {
    if before.phase == Phase::Undo {
        assert_ne!(end.job.state, JobState::Succeeded, "{name}");
    } else if before.cancel_requested_at.is_none() {
        assert_eq!(end.job.state, JobState::Succeeded, "{name}: {:?}", end.job.error);
    }
    assert!(end.job.version > before.version, "{name}");
    assert_ne!(end.node.open_job.as_ref(), Some(&end.job.id), "{name}: the node is free");
    let status = end.node.status;
    assert_eq!(status.is_gone(), end.node.server.is_none(), "{name}: {status:?}");
    assert_ne!(status, NodeStatus::CleanupPending, "{name}: nothing was in the way");
}

#[test]
fn no_history_was_ever_edited_or_taken_away() {
    let root = folder::root();
    let sums = fs::read_to_string(root.join(folder::SUMS)).unwrap();
    let listed: BTreeMap<&str, &str> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (name, sum))
        .collect();
    for (name, sum) in &listed {
        let text = fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(folder::digest(&text), *sum, "{name} was edited");
    }
    let present = folder::files(&root).unwrap();
    assert_eq!(
        present.iter().map(String::as_str).collect::<Vec<_>>(),
        listed.keys().copied().collect::<Vec<_>>()
    );
}

/// What a release stands for: jobs of every kind in every step, parked for every reason, ended in
/// every way.
#[test]
fn every_release_tells_of_every_state() {
    let stored = stored();
    let releases: BTreeSet<&str> =
        stored.keys().map(|name| name.split_once('/').unwrap().0).collect();
    for release in releases {
        let jobs: Vec<&History> = stored
            .iter()
            .filter(|(name, _)| name.starts_with(&format!("{release}/")))
            .map(|(_, h)| h)
            .collect();
        let any = |is: &dyn Fn(&Job) -> bool| jobs.iter().any(|history| is(&history.job));
        for step in Step::ALL {
            assert!(any(&|job| job.step == *step), "{release} has no job in {step:?}");
        }
        for reason in ParkReason::ALL {
            assert!(any(&|job| job.waiting_on == Some(*reason)), "{release}: {reason:?}");
        }
        for kind in JobKind::ALL {
            for state in
                [JobState::Queued, JobState::Running, JobState::Succeeded, JobState::Failed]
            {
                assert!(
                    any(&|job| (job.kind, job.state) == (*kind, state)),
                    "{release}: {kind:?} {state:?}"
                );
            }
        }
        for phase in [Phase::Forward, Phase::Replace, Phase::Undo] {
            assert!(any(&|job| job.phase == phase), "{release}: {phase:?}");
        }
        for status in [
            NodeStatus::Kept,
            NodeStatus::CleanupPending,
            NodeStatus::Ready,
            NodeStatus::NotReady,
            NodeStatus::Released,
            NodeStatus::Failed,
        ] {
            assert!(
                jobs.iter().any(|history| history.node.status == status),
                "{release}: {status:?}"
            );
        }
        assert!(any(&|job| job.sent_at.is_some()) && any(&|job| job.news_at.is_some()));
        assert!(any(&|job| job.earlier_run.is_some()) && any(&|job| job.placement_group.is_some()));
    }
}

#[test]
fn todays_records_come_back_as_they_were_and_finish() {
    for (name, history) in states::all() {
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history, "{name}");
        let job = serde_json::to_string(&history.job).unwrap();
        assert!(job.len() < 8 * 1024, "{name}: {} bytes", job.len());
        finish(history).unwrap_or_else(|stuck| panic!("{name}: {stuck}"));
    }
}
