//! A worker: the driver's rules, one boundary at a time, so that others may come between.

use std::sync::Arc;

use nodeyard_domain::{
    job::{Effect, Job},
    node::Node,
    observation::{FailureClass, Observation, Outcome, ProviderFailure, ServerStatus},
    ownership::Ownership,
    step::{Policy, Verdict, observing_form, step},
    wake::WakeReason,
};

use crate::{
    action::Answer,
    run::{self, Task},
    scenario::{Defect, LAND_TICKS, Scenario},
    store::Begin,
    world::{Message, World},
};

/// Where a worker is within its hop.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// It knows what to perform, and has not begun.
    Planned(Effect),
    /// Begun, claimed where a claim is due; the call is the next thing.
    Asking(Effect),
    /// The run's record is written; the task is not started yet.
    Starting(u32),
    /// It knows what came back.
    InHand(Observation),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    pub message: Message,
    /// The tick at which it took its message.
    pub born: i64,
    pub job: Arc<Job>,
    pub node: Arc<Node>,
    pub stage: Stage,
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(failure(class))
}

fn failure(class: FailureClass) -> ProviderFailure {
    ProviderFailure { pause_secs: Some(1), ..ProviderFailure::new(class, "code", "message") }
}

/// Mirrors `Driver::plan`; `None` leaves the job alone.
fn plan(job: &Job, reason: WakeReason, policy: &Policy, now: jiff::Timestamp) -> Option<Stage> {
    let intent = job.intent.as_ref().filter(|_| !job.state.is_terminal())?;
    let in_hand = |outcome| Stage::InHand(Observation { effect: intent.id, outcome });
    if job.crashes >= policy.poison_crashes {
        return Some(in_hand(Outcome::Poisoned));
    }
    let limit = job.undo_deadline_at.unwrap_or(job.deadline_at);
    let resumed = job.waiting_on.is_some()
        && job.cancel_requested_at.is_none()
        && (reason == WakeReason::Resume || job.news_at.is_some());
    let called = reason == WakeReason::Resume && intent.effect == Effect::TakeNode;
    let due = job.is_due(now) || resumed || called;
    let unwanted = now >= limit || job.cancel_requested_at.is_some();
    if due && !(unwanted && intent.effect.must_be_claimed()) {
        return Some(Stage::Planned(intent.effect.clone()));
    }
    let looks = reason != WakeReason::Due || job.news_at.is_some() || unwanted;
    looks.then(|| match observing_form(job, reason) {
        Some(effect) => Stage::Asking(effect),
        None => in_hand(Outcome::Nothing),
    })
}

/// Mirrors `driver::needs_attention`.
pub fn needs_attention(job: &Job, now: jiff::Timestamp) -> bool {
    job.news_at.is_some()
        || job.cancel_requested_at.is_some()
        || now >= job.undo_deadline_at.unwrap_or(job.deadline_at)
}

impl World {
    /// Mirrors `Driver::handle`: load, then plan.
    pub fn deliver(&mut self, message: Message, scenario: &Scenario) {
        let job = Arc::clone(&self.jobs[message.job]);
        let planned = plan(&job, message.reason, &scenario.policy(), self.clock());
        if let Some(stage) = planned {
            let node = Arc::clone(&self.node);
            self.workers.push(Worker { message, born: self.now, job, node, stage });
        }
    }

    /// Mirrors `Driver::perform` up to the call.
    pub fn begin(&mut self, at: usize, scenario: &Scenario) {
        let worker = &self.workers[at];
        let Stage::Planned(effect) = worker.stage.clone() else { return };
        let Some(intent) = worker.job.intent.as_ref().map(|intent| intent.id) else { return };
        let claim = effect.must_be_claimed();
        let found = Stage::InHand(Observation { effect: intent, outcome: Outcome::ClaimFound });
        if claim && worker.job.sent_at == Some(intent) {
            self.workers[at].stage = found;
            return;
        }
        match self.begin_effect(at, claim, scenario) {
            Begin::Lost => drop(self.workers.remove(at)),
            begin => {
                let worker = &mut self.workers[at];
                let job = Arc::make_mut(&mut worker.job);
                job.sent_at = if claim { Some(intent) } else { job.sent_at };
                match begin {
                    Begin::Proceed { crashes } => {
                        job.crashes = crashes;
                        worker.stage = Stage::Asking(effect);
                    }
                    _ => worker.stage = found,
                }
            }
        }
    }

    /// Mirrors the answers of `Driver::admit` where the budget is short.
    pub fn not_sent(&mut self, at: usize, scenario: &Scenario) {
        let told = failure(FailureClass::RateLimited);
        let outcome = if scenario.lacks(Defect::NotSentIsAnAnswer) {
            Outcome::Failed(told)
        } else {
            Outcome::NotSent(told)
        };
        self.take_in_hand(at, outcome);
    }

    fn take_in_hand(&mut self, at: usize, outcome: Outcome) {
        let worker = &mut self.workers[at];
        if let Some(effect) = worker.job.intent.as_ref().map(|intent| intent.id) {
            worker.stage = Stage::InHand(Observation { effect, outcome });
        }
    }

    /// The effect reaches the outside. Mirrors `Driver::observe`.
    pub fn ask(&mut self, at: usize, answer: Answer, scenario: &Scenario) {
        let (job, effect) = match &self.workers[at].stage {
            Stage::Asking(effect) => (Arc::clone(&self.workers[at].job), effect.clone()),
            Stage::Starting(number) => return self.start_task(at, *number, answer),
            _ => return,
        };
        let at_job = self.workers[at].message.job;
        if answer == Answer::Unsent {
            return self.take_in_hand(at, failed(FailureClass::Unknown));
        }
        let outcome = match effect {
            Effect::TakeNode => match self.take_node(at_job) {
                true => Outcome::NodeTaken {
                    server: self.node.server.clone(),
                    attempts: self.node.attempts,
                    run: self.node.last_run.clone(),
                },
                false => Outcome::NodeBusy,
            },
            Effect::EnsureKey => Outcome::KeyReady { version: 1 },
            Effect::EnsureGroup => Outcome::GroupReady { id: None },
            Effect::FindServer => self.find(&job),
            Effect::CreateServer { attempt, .. } => self.create(at, attempt, answer, scenario),
            Effect::PollAction { .. } if answer == Answer::Fails => {
                Outcome::ActionFailed { code: "code".into(), message: "message".into() }
            }
            Effect::PollAction { .. } => Outcome::ActionSucceeded,
            Effect::FetchServer { server_id } => match self.cloud.server(server_id) {
                Some(made) => {
                    let status =
                        if made.deleting { ServerStatus::Deleting } else { ServerStatus::Running };
                    Outcome::ServerSeen { server: made.told(), status }
                }
                None => Outcome::ServerAbsent,
            },
            Effect::StartRun { number } => {
                let server = job.server.as_ref().map_or(0, |server| server.id);
                if self.put_run(at_job, number, server).stop_requested {
                    Outcome::RunRefused { message: String::new() }
                } else {
                    self.workers[at].stage = Stage::Starting(number);
                    return;
                }
            }
            Effect::LookAtRun { number } => self.look_at_run(at_job, number),
            Effect::StopRun { number, of } => {
                let of = of.and_then(|of| self.jobs.iter().position(|job| job.id == of));
                let run = self.request_stop(of.unwrap_or(at_job), number);
                match run.task {
                    Task::Missing | Task::Stopped => Outcome::RunStopped,
                    Task::Running => Outcome::RunRunning,
                }
            }
            Effect::DeleteServer { server_id } => self.delete(server_id, answer),
            Effect::ConfirmGone { server_id, .. } => match self.cloud.server(server_id) {
                Some(made) if !made.deleting || answer == Answer::Late => Outcome::StillThere,
                Some(_) => {
                    self.cloud.remove(server_id);
                    Outcome::Gone
                }
                None => Outcome::Gone,
            },
        };
        let lost = answer == Answer::Lost;
        self.take_in_hand(at, if lost { failed(FailureClass::Unknown) } else { outcome });
    }

    fn find(&self, job: &Job) -> Outcome {
        let Some(made) = self.cloud.by_name() else { return Outcome::ServerAbsent };
        let ownership = if made.attempt == job.attempt.max(self.node.attempts) {
            Ownership::Current
        } else {
            Ownership::Older { attempt: made.attempt }
        };
        let status = if made.deleting { ServerStatus::Deleting } else { ServerStatus::Running };
        Outcome::ServerFound { server: made.told(), ownership, status }
    }

    fn create(&mut self, at: usize, attempt: u32, answer: Answer, scenario: &Scenario) -> Outcome {
        let worker = &self.workers[at];
        let effect = worker.job.intent.as_ref().map_or(0, |intent| intent.id.0);
        let post = (worker.message.job, effect);
        self.broken.sent_twice |= self.posts.contains(&post);
        self.posts.push(post);
        match answer {
            Answer::Refused => failed(FailureClass::NoCapacity),
            Answer::Late => {
                let until = self.now + LAND_TICKS;
                self.cloud.flying.push(crate::cloud::Flying { attempt, until });
                failed(FailureClass::Unknown)
            }
            _ => match self.cloud.make(attempt, false, scenario.names_are_unique) {
                Some(made) => Outcome::Created {
                    server: made.told(),
                    action_id: Some(made.id),
                    expect_secs: None,
                },
                None => failed(FailureClass::NameTaken),
            },
        }
    }

    fn delete(&mut self, id: u64, answer: Answer) -> Outcome {
        if answer == Answer::Refused {
            return failed(FailureClass::Busy);
        }
        let works_on_it = |run: &run::RunAt| run.is_alive() && run.server == id;
        self.broken.deleted_under_run |= self.runs.iter().any(works_on_it);
        match self.cloud.delete(id) {
            true => Outcome::DeleteAccepted,
            false => failed(FailureClass::NotFound),
        }
    }

    /// Mirrors the second half of `Driver::start_run`. The client token makes one task of many
    /// starts.
    fn start_task(&mut self, at: usize, number: u32, answer: Answer) {
        let at_job = self.workers[at].message.job;
        if answer == Answer::Fails {
            return self.take_in_hand(at, Outcome::RunRefused { message: String::new() });
        }
        let runs = self.runs.iter_mut();
        for run in runs.filter(|run| (run.job, run.number) == (at_job, number)) {
            if run.task == Task::Missing {
                // A container that finds a stop request ends before it has done anything.
                run.task = if run.stop_requested { Task::Stopped } else { Task::Running };
                let server = self.cloud.server(run.server);
                let there = server.is_some_and(|server| !server.deleting);
                self.broken.booted_without_server |= run.is_alive() && !there;
            }
        }
        let lost = answer == Answer::Lost;
        let refused = Outcome::RunRefused { message: String::new() };
        self.take_in_hand(at, if lost { refused } else { Outcome::RunStarted });
    }

    fn look_at_run(&self, job: usize, number: u32) -> Outcome {
        let known = self.runs.iter().find(|run| (run.job, run.number) == (job, number));
        match known.map(|run| (run.result, run.task)) {
            Some((Some(ok), _)) => Outcome::RunFinished(run::result(ok)),
            Some((None, Task::Running)) => Outcome::RunRunning,
            _ => Outcome::RunLost { message: String::new() },
        }
    }

    /// One round of `Driver::offer`: commit and wake, or reload and stay.
    pub fn offer(&mut self, at: usize, crash: bool, scenario: &Scenario) {
        let Stage::InHand(observation) = self.workers[at].stage.clone() else { return };
        let (now, policy) = (self.clock(), scenario.policy());
        let job = Arc::clone(&self.workers[at].job);
        let idle = observation.outcome == Outcome::Nothing && !needs_attention(&job, now);
        let verdict = if idle { Verdict::Drop } else { step(&job, observation, &policy, now) };
        match verdict {
            Verdict::Drop => drop(self.workers.remove(at)),
            Verdict::KeepOnNode(server) => {
                self.keep_on_node(&server);
                self.workers.remove(at);
            }
            Verdict::Commit(mut decision) => {
                decision.keep_late_server(&job, &self.workers[at].node);
                if !self.commit(at, &decision, scenario) {
                    let worker = &mut self.workers[at];
                    worker.job = Arc::clone(&self.jobs[worker.message.job]);
                    worker.node = Arc::clone(&self.node);
                    return;
                }
                let worker = self.workers.remove(at);
                // Wakes of before the commit come late now: strays.
                self.queue.retain(|message| message.job != worker.message.job);
                if crash {
                    self.redeliver(worker.message);
                } else {
                    self.send_wakes(&worker);
                }
            }
        }
    }

    /// Mirrors `Driver::send_wakes`.
    fn send_wakes(&mut self, before: &Worker) {
        let at = before.message.job;
        let job = Arc::clone(&self.jobs[at]);
        if let Some(delay_secs) = job.wake_delay_secs(self.clock()) {
            self.send(at, WakeReason::Due, delay_secs);
        }
        let waits = before.node.queued_release.as_ref().filter(|_| job.state.is_terminal());
        let release = waits.and_then(|id| self.jobs.iter().position(|job| job.id == *id));
        if let Some(release) = release {
            self.send(release, WakeReason::Resume, 0);
        }
    }
}
