//! Acquiring: from the managed key to a server that is proved ours.
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | ensure_key | key_ready | create_server (attempt + 1), or ensure_group for a spread node |
//! | ensure_group | group_ready | create_server (attempt + 1) |
//! | create_server | created | start_run |
//! | create_server | refused for its placement group | ensure_group, in the end create_server (attempt + 1) without one |
//! | create_server | not found, what the body names | ensure_key |
//! | create_server | no capacity | create_server (attempt + 1) on the next rung, or parked on capacity |
//! | create_server | outcome unknown, or name taken | find_server, the settle time begins |
//! | create_server | not answered, the claim made | find_server, the settle time begins |
//! | find_server | found, of the open attempt | start_run: adopted |
//! | find_server | found, of an older attempt or being deleted | removal of that one |
//! | find_server | found, foreign | undo: PROVIDER_NAME_CONFLICT |
//! | find_server | absent, may still land | find_server |
//! | find_server | absent, settle time over | create_server (the same attempt) |
//! | create_server, find_server | created late, of the open attempt | start_run |
//! | any | created late, the server on record | dropped |
//! | any | created late, another server on record | the same step |
//! | any | created late, no server on record | removal of it; kept where a failure keeps its server |
//! | ensure_key, find_server | marker missing | parked on provider_token |

use jiff::SignedDuration;

use super::{Transition, removal, running, transition::describe};
use crate::{
    code::Code,
    job::{Effect, Job, ParkReason, Phase, Step},
    node::Server,
    observation::{FailureClass, Outcome, ProviderFailure, ServerStatus},
    ownership::Ownership,
    placement::{self, Refusal},
};

/// A dry ladder is not tried again sooner, in seconds.
const MIN_DRY_SECS: i64 = 30;
/// So often a create is prepared anew when a thing that its body names turns it away.
const MAX_TURNED_AWAY: u32 = 3;

pub(super) fn ensure_key(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::KeyReady { version } => {
            next.note("managed SSH key is there");
            take_key(next, version);
            if next.job.spread && next.job.placement_group.is_none() {
                next.go(Step::EnsureGroup, Effect::EnsureGroup, 0);
            } else {
                prepared(next);
            }
        }
        Outcome::MarkerMissing => next.marker_missing(),
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

/// The body of every create from here on lets this version in. It is on the node's record before the
/// first create is sent; where one was sent with another version, the older one stays there.
fn take_key(next: &mut Transition<'_>, version: u32) {
    let before = next.job.key_version;
    let oldest = if next.job.attempt == 0 { version } else { version.min(before) };
    next.job.key_version = version;
    next.node.key_version = Some(oldest);
}

pub(super) fn ensure_group(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::GroupReady { id } => {
            next.note(match id {
                Some(id) => format!("a place in placement group {id}"),
                None => "no placement group can be had: the server goes without".to_owned(),
            });
            next.job.spread = id.is_some();
            next.job.placement_group = id;
            prepared(next);
        }
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

/// Everything a create needs is there.
fn prepared(next: &mut Transition<'_>) {
    let rung = next.job.rung;
    open_attempt(next, rung);
}

/// Opens the next attempt on a rung. Past the ladder's end the job is parked, with the first
/// rung as its intent: the sweep lets it try the ladder from the top.
pub(super) fn open_attempt(next: &mut Transition<'_>, rung: usize) {
    let dry = rung >= next.job.ladder.len();
    next.job.rung = if dry { 0 } else { rung };
    next.job.attempt += 1;
    next.node.attempts = Some(next.job.attempt);
    send_create(next, 0);
    if dry && !next.job.state.is_terminal() && next.job.phase == Phase::Forward {
        // Parked until the first refusal expires.
        let soonest = next.job.refusals.iter().filter_map(|refusal| refusal.until).min();
        let secs =
            soonest.map(|until| (until.as_second() - next.now.as_second()).max(MIN_DRY_SECS));
        next.park(
            ParkReason::Capacity,
            Code::ProviderCapacityExhausted,
            "no rung of the ladder has capacity",
            secs,
        );
    }
}

/// The POST of the open attempt, byte for byte the same however often it is written down.
fn send_create(next: &mut Transition<'_>, delay_secs: i64) {
    let Some(rung) = next.job.ladder.get(next.job.rung).cloned() else {
        return next.fail(Code::ProviderInvalidRequest, "the placement ladder is empty");
    };
    let effect = Effect::CreateServer {
        rung,
        attempt: next.job.attempt,
        placement_group: next.job.placement_group,
    };
    next.go(Step::CreateServer, effect, delay_secs);
}

pub(super) fn create_server(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::Created { server, action_id, expect_secs } => {
            take_server(next, server, action_id, expect_secs, "created");
        }
        Outcome::Failed(failure) => refused(next, &failure),
        // Whatever else was seen: a POST may be on its way, so it is looked for first.
        _ if next.was_sent => {
            next.note("a create may have been sent: looking for its server");
            settle(next);
            next.go(Step::FindServer, Effect::FindServer, 0);
        }
        _ => next.keep_time(),
    }
}

fn refused(next: &mut Transition<'_>, failure: &ProviderFailure) {
    let rung = next.job.ladder.get(next.job.rung).map(ToString::to_string).unwrap_or_default();
    match failure.class {
        _ if is_about_group(&next.job, failure) => {
            next.note(format!("the placement group refused: {}", describe(failure)));
            next.job.placement_group = None;
            next.job.turned_away += 1;
            if next.job.turned_away < MAX_TURNED_AWAY {
                next.go(Step::EnsureGroup, Effect::EnsureGroup, 0);
            } else {
                next.job.spread = false;
                prepared(next);
            }
        }
        // What the body names is not in the project; the managed key is the one thing that can
        // have gone. Nothing was made.
        FailureClass::NotFound if next.job.turned_away < MAX_TURNED_AWAY => {
            next.job.turned_away += 1;
            next.note(format!("the create was refused: {}", describe(failure)));
            next.go(Step::EnsureKey, Effect::EnsureKey, next.policy.busy_secs);
        }
        FailureClass::NoCapacity => {
            next.note(format!("{rung} refused: {}", describe(failure)));
            let refusal = Refusal {
                rung: next.job.rung,
                code: Code::ProviderCapacityExhausted,
                answer: failure.code.clone(),
                until: Some(
                    next.now
                        + SignedDuration::from_secs(
                            failure.pause_secs.unwrap_or(next.policy.refusal_secs),
                        ),
                ),
            };
            placement::remember(&mut next.job.refusals, refusal);
            open_attempt(next, next.job.rung + 1);
        }
        // The answer is lost or unreadable, or the name is taken (by us, it may be): whether a
        // server exists is found out by name, never by asking for another.
        FailureClass::Unknown | FailureClass::NameTaken | FailureClass::Drift => {
            next.note(format!("outcome of the create unknown: {}", describe(failure)));
            settle(next);
            next.go(Step::FindServer, Effect::FindServer, 0);
        }
        _ => next.provider_failed(failure),
    }
}

/// A group that is full or gone turns its server away; so does one whose hosts are all taken.
fn is_about_group(job: &Job, failure: &ProviderFailure) -> bool {
    let about_groups = ["placement_error", "placement_group_member_limit_reached"];
    job.placement_group.is_some()
        && (about_groups.contains(&failure.code.as_str())
            || failure.class == FailureClass::NotFound)
}

/// A POST that was sent may land until this time.
fn settle(next: &mut Transition<'_>) {
    let until = next.now + SignedDuration::from_secs(next.policy.settle_secs);
    next.job.settle_until = Some(until);
}

pub(super) fn find_server(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::ServerFound { server, ownership, status } => {
            found(next, server, ownership, &status)
        }
        Outcome::ServerAbsent => match next.job.settle_until {
            Some(until) if next.now < until => {
                let left = (until.as_second() - next.now.as_second()).max(1);
                next.again(left.min(next.policy.settle_look_secs));
            }
            _ => {
                next.job.settle_until = None;
                next.note("the create took no effect: sent again");
                send_create(next, 0);
            }
        },
        Outcome::MarkerMissing => next.marker_missing(),
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

fn found(next: &mut Transition<'_>, server: Server, ownership: Ownership, status: &ServerStatus) {
    match ownership {
        Ownership::Current if *status != ServerStatus::Deleting => {
            take_server(next, server, None, None, "adopted");
        }
        Ownership::Current | Ownership::Older { .. } => {
            next.note(format!("server {} of an older attempt is removed first", server.id));
            next.node.server = Some(Some(server.clone()));
            next.job.server = Some(server);
            next.job.phase = Phase::Replace;
            removal::begin(next);
        }
        Ownership::Foreign => {
            // Nothing of ours is under the name now. A create whose outcome is unknown can still
            // land once somebody has removed that server, so the settle time is kept.
            next.fail(
                Code::ProviderNameConflict,
                &format!("server {} holds the name {} and is not ours", server.id, server.name),
            );
        }
    }
}

/// The server's id is on record from here on, whatever else happens.
fn take_server(
    next: &mut Transition<'_>,
    server: Server,
    action_id: Option<u64>,
    expect_secs: Option<i64>,
    how: &str,
) {
    let rung = next.job.ladder.get(next.job.rung).map(ToString::to_string).unwrap_or_default();
    let entry = next.note(format!("server {} {how} on {rung}", server.id));
    entry.fields.insert("server_id".into(), server.id.into());
    next.job.settle_until = None;
    next.job.action_id = action_id;
    let expect_secs = expect_secs.unwrap_or(next.policy.first_poll_secs);
    next.job.first_poll_at = Some(next.now + SignedDuration::from_secs(expect_secs));
    next.node.server = Some(Some(server.clone()));
    next.node.rung = Some(next.job.rung);
    next.job.server = Some(server);
    running::begin(next);
}

/// A create's answer that came after its effect was given up: it is never lost.
pub(super) fn take_late_server(
    next: &mut Transition<'_>,
    server: Server,
    action_id: Option<u64>,
    expect_secs: Option<i64>,
) {
    let open = matches!(next.job.step, Step::CreateServer | Step::FindServer);
    if next.job.phase == Phase::Forward && open && server.attempt == next.job.attempt {
        take_server(next, server, action_id, expect_secs, "created (late answer)");
    } else if let Some(known) = next.job.server.as_ref().map(|known| known.id) {
        // Names are unique, so the one on record can only have come after this one was gone. The
        // orphan check sees to it if it was not.
        next.note(format!("server {} came late; server {known} is on record", server.id));
        next.keep_time();
    } else {
        next.note(format!("server {} came late and is removed", server.id));
        next.node.server = Some(Some(server.clone()));
        next.job.server = Some(server);
        match next.job.phase {
            Phase::Forward => {
                next.job.phase = Phase::Replace;
                removal::begin(next);
            }
            Phase::Replace | Phase::Undo => removal::begin(next),
        }
    }
}
