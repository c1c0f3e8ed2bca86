//! What always holds, and what sometimes happens.

use nodeyard_domain::{
    job::{Job, JobKind, JobState, Phase, Step},
    node::NodeStatus,
};
use stateright::{Model, Property};

use crate::{
    action::Action,
    scenario::{Beginning, Scenario},
    worker::Stage,
    world::World,
};

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        World::beginnings(self)
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(self, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        Some(world.after(action, self))
    }

    fn within_boundary(&self, world: &World) -> bool {
        let job = &world.jobs[0];
        let after = matches!(job.step, Step::AwaitServer | Step::FetchServer | Step::AwaitRun);
        !(self.only_creation && job.phase == Phase::Forward && after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always("at most one live server", |_, world: &World| {
                world.cloud.servers.len() <= 1
            }),
            Property::always("a terminal job never changes", |_, world: &World| {
                !world.broken.terminal_changed
            }),
            Property::always("a version only grows", |_, world: &World| !world.broken.version_fell),
            Property::always("a claimed create is sent once", |_, world: &World| {
                !world.broken.sent_twice
            }),
            Property::always("no delete before the run was seen stopped", |_, world: &World| {
                !world.broken.deleted_under_run && !world.broken.booted_without_server
            }),
            Property::always("what is alive is on record at the end", |_, world: &World| {
                !is_at_rest(world) || is_on_record(world)
            }),
            Property::always("a node that is gone has left nothing", |_, world: &World| {
                !is_gone(world) || is_nothing_left(world)
            }),
            Property::always("an open job is found by the sweep", |_, world: &World| {
                world.jobs.iter().all(|job| job.state.is_terminal() || job.look_at().is_some())
            }),
            Property::always("left in peace, every job ends", |scenario: &Self, world: &World| {
                !is_worth_a_run(world) || ends_in_peace(world, scenario)
            }),
            Property::always("one job at a time has the node", |_, world: &World| {
                world.jobs.iter().filter(|job| has_node(job)).count() <= 1
            }),
            Property::sometimes("the fence is lost", |_, world: &World| {
                let stale = |worker: &crate::worker::Worker| {
                    let stored = world.jobs[worker.message.job].version;
                    matches!(worker.stage, Stage::InHand(_)) && worker.job.version < stored
                };
                world.workers.iter().any(stale)
            }),
        ];
        if !self.only_creation {
            all.push(Property::sometimes("a job succeeds", |_, world: &World| {
                world.jobs.iter().any(|job| job.state == JobState::Succeeded)
            }));
        }
        if self.beginning == Beginning::Provision {
            all.extend(provisions(self.may_cancel));
        }
        all
    }
}

fn provisions(may_cancel: bool) -> Vec<Property<Scenario>> {
    let mut all = vec![
        Property::sometimes("a server is adopted", |_, world: &World| {
            let job = &world.jobs[0];
            job.step == Step::StartRun && job.server.is_some() && job.action_id.is_none()
        }),
        Property::sometimes("another attempt is made", |_, world: &World| {
            world.jobs[0].attempt > 1 && world.jobs[0].step == Step::StartRun
        }),
    ];
    if may_cancel {
        all.extend(undone());
    }
    all
}

fn undone() -> Vec<Property<Scenario>> {
    vec![
        Property::sometimes("an undo completes", |_, world: &World| {
            let job = &world.jobs[0];
            let made = world.cloud.last_id > 0;
            made && job.state == JobState::Cancelled && world.node.status == NodeStatus::Released
        }),
        Property::sometimes("a late server is caught", |_, world: &World| {
            let job = &world.jobs[0];
            let late = world.cloud.servers.iter().find(|server| server.late);
            let known = job.server.as_ref().map(|server| server.id);
            late.is_some_and(|late| known == Some(late.id) && job.phase == Phase::Undo)
        }),
    ]
}

/// Nobody is at work, and nothing more may go wrong.
fn is_worth_a_run(world: &World) -> bool {
    world.workers.is_empty() && world.faults_left == 0
}

/// More than any job needs once everything works.
const MAX_ACTIONS: usize = 400;

/// Everything that is under way goes on, in turn, and nobody cancels.
fn ends_in_peace(world: &World, scenario: &Scenario) -> bool {
    let mut world = world.clone();
    for _ in 0..MAX_ACTIONS {
        if world.jobs.iter().all(|job| job.state.is_terminal()) {
            return is_on_record(&world);
        }
        let mut actions = Vec::new();
        world.actions(scenario, &mut actions);
        let going_on = actions.into_iter().filter(|action| urgency(*action) > 0);
        let Some(next) = going_on.max_by_key(|action| urgency(*action)) else { return false };
        world = world.after(next, scenario);
    }
    false
}

/// Workers and the cloud before the queue, all of them before time passes, and callers never.
fn urgency(action: Action) -> u8 {
    match action {
        Action::Begin { .. } | Action::Ask { .. } | Action::Offer { .. } => 5,
        Action::Land { .. } | Action::Die { .. } => 4,
        Action::Deliver { .. } => 3,
        Action::End { .. } | Action::Sweep { .. } | Action::ReleaseLeftOver => 2,
        Action::Tick => 1,
        _ => 0,
    }
}

/// The job has got the node and has not ended.
fn has_node(job: &Job) -> bool {
    let waits = job.kind != JobKind::NodeProvision && job.step == Step::TakeNode;
    !job.state.is_terminal() && !waits
}

fn is_at_rest(world: &World) -> bool {
    world.jobs.iter().all(|job| job.state.is_terminal())
        && world.workers.is_empty()
        && world.cloud.flying.is_empty()
}

/// The node's record names the server, or says that something may be left.
fn is_on_record(world: &World) -> bool {
    let known = world.node.server.as_ref().map(|server| server.id);
    let pending = world.node.status == NodeStatus::CleanupPending;
    world.cloud.servers.iter().all(|server| known == Some(server.id) || pending)
}

fn is_gone(world: &World) -> bool {
    world.node.status.is_gone() && world.node.open_job.is_none()
}

fn is_nothing_left(world: &World) -> bool {
    use nodeyard_domain::job::Effect::CreateServer;
    let about_to_create =
        |worker: &crate::worker::Worker| matches!(worker.stage, Stage::Asking(CreateServer { .. }));
    world.cloud.servers.is_empty()
        && world.cloud.flying.is_empty()
        && !world.workers.iter().any(about_to_create)
}
