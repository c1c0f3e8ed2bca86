//! Everything there is at one moment, and what can happen next.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    id::{EffectId, JobId, NodeId},
    job::{Effect, Job, JobKind, JobState},
    node::{Node, NodeStatus, RunRef},
    observation::{Observation, Outcome},
    placement::Rung,
    spec::{NodeSpec, Profile},
    step::{Verdict, is_cancellable, step},
    wake::WakeReason,
};

use crate::{
    action::{Action, Answer},
    cloud::Cloud,
    run::{RunAt, Task},
    scenario::{Beginning, Defect, FAR_SECS, LIFE_TICKS, Scenario},
    worker::{Stage, Worker},
};

/// How many workers there are.
const WORKERS: usize = 2;
/// How late a job is when the sweep takes its wake for lost.
const GRACE_TICKS: i64 = 1;

/// A moment of the model's clock. The nanoseconds tell moments of one tick apart.
pub fn moment(tick: i64, nanos: u32) -> Timestamp {
    let start = SignedDuration::new(1_800_000_000 + tick, nanos.try_into().unwrap_or(0));
    Timestamp::UNIX_EPOCH + start
}

/// A wake in the queue, delivered once its time has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub job: usize,
    pub reason: WakeReason,
    /// The tick from which it is visible.
    pub at: i64,
}

/// What must not happen and shows only while it happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    pub terminal_changed: bool,
    pub version_fell: bool,
    pub sent_twice: bool,
    pub deleted_under_run: bool,
    pub booted_without_server: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub now: i64,
    pub jobs: Vec<Arc<Job>>,
    pub node: Arc<Node>,
    pub cloud: Cloud,
    pub runs: Vec<RunAt>,
    pub queue: Vec<Message>,
    pub workers: Vec<Worker>,
    /// POSTs that were sent: job and effect id.
    pub posts: Vec<(usize, u64)>,
    pub faults_left: u8,
    pub may_cancel: bool,
    /// How often news were told, so that two in one tick differ.
    pub news: u32,
    pub broken: Broken,
}

fn rungs() -> Vec<Rung> {
    ["fsn1", "nbg1"]
        .map(|location| Rung { server_type: "cx23".into(), location: location.into() })
        .into()
}

fn accepted() -> (Job, Node) {
    let spec = NodeSpec {
        name: "web".into(),
        connection: "main".parse().unwrap_or_else(|_| unreachable!("a valid name")),
        profile: Profile::base(),
        vars: serde_json::Map::new(),
        placement: rungs(),
        image: "debian-13".into(),
        max_price: None,
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        labels: Default::default(),
        keep_on_failure: false,
        spread: false,
        prices: Vec::new(),
        deadline_secs: FAR_SECS,
    };
    let ids = (JobId::from_bits(1), NodeId::from_bits(1));
    acceptance::provision(ids.0, ids.1, spec, "model", None, moment(0, 0))
}

impl World {
    pub fn beginnings(scenario: &Scenario) -> Vec<Self> {
        let (job, node) = accepted();
        let fresh = Self {
            now: 0,
            jobs: vec![Arc::new(job)],
            node: Arc::new(node),
            cloud: Cloud::default(),
            runs: Vec::new(),
            queue: Vec::new(),
            workers: Vec::new(),
            posts: Vec::new(),
            faults_left: scenario.faults,
            may_cancel: scenario.may_cancel,
            news: 0,
            broken: Broken::default(),
        };
        match scenario.beginning {
            Beginning::Provision => {
                let mut world = fresh.with_key(scenario);
                world.send(0, WakeReason::Due, 0);
                vec![world]
            }
            Beginning::Release => [Task::Missing, Task::Running, Task::Stopped]
                .into_iter()
                .map(|task| {
                    let mut world = fresh.clone().with_server(JobKind::NodeRelease);
                    let server = world.cloud.last_id;
                    world.put_run(0, 1, server).task = task;
                    let run = RunRef { job_id: JobId::from_bits(1), number: 1, active: true };
                    Arc::make_mut(&mut world.node).last_run = Some(run);
                    world.send(1, WakeReason::Due, 0);
                    world
                })
                .collect(),
            Beginning::Turn => {
                let mut world = fresh.with_server(JobKind::NodeConfigure);
                let release = world.on_node(3, JobKind::NodeRelease);
                Arc::make_mut(&mut world.node).queued_release = Some(release.id.clone());
                world.jobs.push(Arc::new(release));
                world.send(1, WakeReason::Due, 0);
                vec![world]
            }
        }
    }

    /// The managed key was seen: the first create is what is to be done.
    fn with_key(mut self, scenario: &Scenario) -> Self {
        let effect = self.jobs[0].intent.as_ref().map_or(EffectId(0), |intent| intent.id);
        let observation = Observation { effect, outcome: Outcome::KeyReady { version: 1 } };
        let verdict = step(&self.jobs[0], observation, &scenario.policy(), self.clock());
        if let Verdict::Commit(decision) = verdict {
            let version = self.jobs[0].version + 1;
            decision.node.apply(Arc::make_mut(&mut self.node), &decision.job.id, moment(0, 0));
            self.jobs[0] = Arc::new(Job { version, ..decision.job });
        }
        self
    }

    /// The provision has ended, its server is there, and the next job is open.
    fn with_server(mut self, kind: JobKind) -> Self {
        let made = self.cloud.make(1, false, false).map(|made| made.told());
        let provision = Arc::make_mut(&mut self.jobs[0]);
        provision.state = JobState::Failed;
        provision.intent = None;
        provision.due_at = None;
        provision.server.clone_from(&made);
        let node = Arc::make_mut(&mut self.node);
        node.server = made;
        node.attempts = 1;
        let id = JobId::from_bits(2);
        (node.status, node.open_job) = (NodeStatus::NotReady, Some(id));
        let job = self.on_node(2, kind);
        self.jobs.push(Arc::new(job));
        self
    }

    fn on_node(&self, bits: u128, kind: JobKind) -> Job {
        let id = JobId::from_bits(bits);
        let job = acceptance::on_node(id, kind, &self.node, "model", None, self.clock());
        Job { deadline_at: moment(self.now + FAR_SECS, 0), ..job }
    }

    pub fn clock(&self) -> Timestamp {
        moment(self.now, 0)
    }

    pub fn send(&mut self, job: usize, reason: WakeReason, delay_secs: i64) {
        self.put(Message { job, reason, at: self.now + delay_secs });
    }

    /// What the queue does with the message of a worker that died.
    pub fn redeliver(&mut self, message: Message) {
        self.put(Message { at: self.now + 1, ..message });
    }

    /// A wake says nothing but that somebody should look, so of two for one job and reason one is
    /// kept. The other is like one that comes at another time, which is [`Action::Stray`].
    fn put(&mut self, message: Message) {
        self.queue.retain(|known| (known.job, known.reason) != (message.job, message.reason));
        self.queue.push(message);
    }

    /// The job that may be cancelled: the first that is open.
    fn cancellable(&self) -> Option<usize> {
        let open = self.jobs.iter().position(|job| !job.state.is_terminal())?;
        (self.may_cancel && is_cancellable(&self.jobs[open])).then_some(open)
    }

    pub fn actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        let faulty = self.faults_left > 0;
        if self.workers.len() < WORKERS {
            let visible = (0..self.queue.len()).filter(|at| self.queue[*at].at <= self.now);
            for message in visible {
                actions.push(Action::Deliver { message });
            }
            let open = |at: &usize| faulty && !self.jobs[*at].state.is_terminal();
            for job in (0..self.jobs.len()).filter(open) {
                // One of a cancel makes a worker do what one of a resume does, or less.
                let reasons = [WakeReason::Due, WakeReason::Run, WakeReason::Resume];
                actions.extend(reasons.map(|reason| Action::Stray { job, reason }));
            }
        }
        if faulty {
            actions.extend((0..self.queue.len()).map(|message| Action::Lose { message }));
        }
        for worker in 0..self.workers.len() {
            self.actions_of(worker, faulty, actions);
        }
        actions.extend((0..self.cloud.flying.len()).map(|flying| Action::Land { flying }));
        for (at, run) in self.runs.iter().enumerate() {
            match run.task {
                Task::Running => {
                    actions.push(Action::End { run: at, ok: true });
                    if faulty {
                        actions.push(Action::End { run: at, ok: false });
                    }
                    if run.stop_requested {
                        actions.push(Action::Die { run: at });
                    }
                }
                Task::Missing | Task::Stopped => {}
            }
        }
        let sweeps = !scenario.lacks(Defect::NoSweep);
        for job in (0..self.jobs.len()).filter(|at| sweeps && self.is_overdue(*at)) {
            // Beside a worker that is slow it makes a second one: as good as a doubled wake.
            let beside = self.workers.iter().any(|worker| worker.message.job == job);
            if faulty || !beside {
                actions.push(Action::Sweep { job, beside });
            }
        }
        if self.cancellable().is_some() {
            actions.push(Action::Cancel);
        }
        let idle = self.workers.is_empty() && self.cloud.flying.is_empty();
        if idle && self.node.release_at.is_some() && self.node.open_job.is_none() {
            actions.push(Action::ReleaseLeftOver);
        }
        if self.next_tick().is_some() {
            actions.push(Action::Tick);
        }
        if idle && faulty {
            let near = |at: &usize| self.limit(*at).is_some_and(|limit| limit > self.now + 1);
            actions.extend((0..self.jobs.len()).filter(near).map(|job| Action::NearLimit { job }));
        }
    }

    fn actions_of(&self, worker: usize, faulty: bool, actions: &mut Vec<Action>) {
        let told = |answer| Action::Ask { worker, answer };
        match &self.workers[worker].stage {
            Stage::Planned(effect) => {
                actions.push(Action::Begin { worker });
                if faulty && effect.must_be_claimed() {
                    actions.push(Action::NotSent { worker });
                }
            }
            Stage::Asking(effect) => {
                actions.push(told(Answer::Told));
                if faulty {
                    actions.extend(faults_of(effect).iter().copied().map(told));
                }
            }
            Stage::Starting(_) => {
                actions.push(told(Answer::Told));
                if faulty {
                    actions.extend([Answer::Fails, Answer::Lost].map(told));
                }
            }
            Stage::InHand(_) => {
                actions.push(Action::Offer { worker, crash: false });
                if faulty {
                    actions.push(Action::Offer { worker, crash: true });
                }
            }
        }
        // A worker that has done nothing yet is as good as a wake that comes later.
        if faulty && !matches!(self.workers[worker].stage, Stage::Planned(_)) {
            actions.push(Action::Crash { worker });
        }
    }

    /// Mirrors `sweep::wake_overdue`: where a wake can be delivered, another one adds nothing.
    fn is_overdue(&self, at: usize) -> bool {
        let overdue = moment(self.now - GRACE_TICKS, 0);
        let waits = |message: &Message| message.job == at && message.at <= self.now;
        self.jobs[at].look_at().is_some_and(|look_at| look_at <= overdue)
            && !self.queue.iter().any(waits)
    }

    /// The tick of a job's limit.
    fn limit(&self, at: usize) -> Option<i64> {
        let job = &self.jobs[at];
        let limit = job.undo_deadline_at.unwrap_or(job.deadline_at);
        (!job.state.is_terminal()).then(|| tick_of(limit))
    }

    /// Where time goes next: to the next tick while something is under way, else to the next thing
    /// that is due. It stands still while a worker or a POST has no time left.
    fn next_tick(&self) -> Option<i64> {
        let out_of_time = self.workers.iter().any(|worker| worker.born + LIFE_TICKS <= self.now)
            || self.cloud.flying.iter().any(|flying| flying.until <= self.now);
        if out_of_time {
            return None;
        }
        if !self.workers.is_empty() || !self.cloud.flying.is_empty() {
            return Some(self.now + 1);
        }
        let open = self.jobs.iter().filter(|job| !job.state.is_terminal());
        let due = open
            .flat_map(|job| [job.due_at, job.news_at, Some(job.deadline_at), job.undo_deadline_at]);
        let due = due.flatten().map(tick_of).flat_map(|tick| [tick, tick + GRACE_TICKS]);
        let wakes = self.queue.iter().map(|message| message.at);
        let next = due.chain(wakes).filter(|tick| *tick > self.now).min()?;
        (next - self.now < FAR_SECS / 2).then_some(next)
    }

    /// What has happened after an action.
    #[must_use]
    pub fn after(&self, action: Action, scenario: &Scenario) -> Self {
        let mut world = self.clone();
        world.faults_left -= u8::from(is_fault(action));
        match action {
            Action::Deliver { message } => {
                let message = world.queue.swap_remove(message);
                world.deliver(message, scenario);
            }
            Action::Lose { message } => drop(world.queue.swap_remove(message)),
            Action::Stray { job, reason } => {
                let message = Message { job, reason, at: world.now };
                world.deliver(message, scenario);
            }
            Action::Begin { worker } => world.begin(worker, scenario),
            Action::NotSent { worker } => world.not_sent(worker, scenario),
            Action::Ask { worker, answer } => world.ask(worker, answer, scenario),
            Action::Offer { worker, crash } => world.offer(worker, crash, scenario),
            Action::Crash { worker } => {
                let worker = world.workers.remove(worker);
                world.redeliver(worker.message);
            }
            Action::Land { flying } => {
                let landed = world.cloud.flying.remove(flying);
                world.cloud.make(landed.attempt, true, scenario.names_are_unique);
            }
            Action::End { run, ok } => {
                world.runs[run].task = Task::Stopped;
                world.runs[run].result = Some(ok);
                world.tell_news(world.runs[run].job, WakeReason::Run, false);
            }
            Action::Die { run } => world.runs[run].task = Task::Stopped,
            Action::Sweep { job, .. } => world.send(job, WakeReason::Due, 0),
            Action::ReleaseLeftOver => world.open_release(),
            Action::Cancel => {
                if let Some(job) = world.cancellable() {
                    world.may_cancel = false;
                    world.tell_news(job, WakeReason::Cancel, true);
                }
            }
            Action::Tick => world.now = world.next_tick().unwrap_or(world.now),
            Action::NearLimit { job } => {
                world.now = world.limit(job).map_or(world.now, |limit| limit - 1);
            }
        }
        world.forget();
        world
    }

    /// Forgets what nothing can refer to any more, so that worlds that differ only in it are one.
    fn forget(&mut self) {
        let (jobs, workers) = (&self.jobs, &self.workers);
        let asks = |job: &Job, effect: u64| {
            job.intent.as_ref().is_some_and(|intent| {
                intent.id.0 == effect && matches!(intent.effect, Effect::CreateServer { .. })
            })
        };
        self.posts.retain(|(at, effect)| {
            let held = |worker: &Worker| worker.message.job == *at && asks(&worker.job, *effect);
            asks(&jobs[*at], *effect) || workers.iter().any(held)
        });
        // A wake for a job that has ended changes nothing.
        self.queue.retain(|message| !jobs[message.job].state.is_terminal());
    }
}

/// The tick of a moment.
pub fn tick_of(at: Timestamp) -> i64 {
    at.as_second() - moment(0, 0).as_second()
}

/// What can go wrong with an effect.
fn faults_of(effect: &Effect) -> &'static [Answer] {
    match effect {
        Effect::CreateServer { .. } => {
            &[Answer::Lost, Answer::Unsent, Answer::Late, Answer::Refused]
        }
        Effect::PollAction { .. } => &[Answer::Fails, Answer::Unsent],
        Effect::DeleteServer { .. } => &[Answer::Lost, Answer::Refused],
        Effect::ConfirmGone { .. } => &[Answer::Late],
        Effect::FindServer | Effect::FetchServer { .. } => &[Answer::Unsent],
        // Of the store and the container service: their failures are the worker's crash.
        Effect::TakeNode
        | Effect::EnsureKey
        | Effect::EnsureGroup
        | Effect::StartRun { .. }
        | Effect::LookAtRun { .. }
        | Effect::StopRun { .. } => &[],
    }
}

fn is_fault(action: Action) -> bool {
    match action {
        Action::Ask { answer, .. } => answer != Answer::Told,
        Action::Offer { crash, .. } => crash,
        Action::End { ok, .. } => !ok,
        Action::Sweep { beside, .. } => beside,
        Action::Lose { .. } | Action::Stray { .. } => true,
        Action::NotSent { .. } | Action::Crash { .. } | Action::NearLimit { .. } => true,
        _ => false,
    }
}
