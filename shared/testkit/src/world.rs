//! A whole world: workers over simulated ports, container tasks, the sweep and the checks, with
//! time that passes only when told.

mod passing;
mod setup;

use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome, Resource},
    id::{JobId, NodeId},
    job::{Job, JobKind, JobState},
    node::Node,
    rotation::Rotation,
    spec::NodeSpec,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock as _, Driver,
    queue::WakeQueue as _,
    rotation::{RotationAcceptance, RotationAccepted, RotationStore as _},
    store::{Acceptance, Accepted, ApiStore as _, AuditEntry, JobStore as _},
};

pub use self::setup::{DEPLOYMENT, KEY_STEM, Setup, connection, name, node_spec};
use crate::{
    clock::SimulatedClock, defects::Defect, events::MemoryEvents, faults::Faults,
    provider::MemoryProvider, queue::MemoryQueue, runner::MemoryRunner, secrets::MemorySecrets,
    store::MemoryStore,
};

pub type SimulatedDriver = Driver<
    MemoryStore,
    MemoryQueue,
    MemoryProvider,
    MemoryRunner,
    MemorySecrets,
    MemoryEvents,
    SimulatedClock,
>;

/// The ports, and one worker over them. The ports here are the observer's: they share their state
/// with the workers', and neither faults nor a defect come between.
pub struct World {
    pub clock: SimulatedClock,
    pub store: MemoryStore,
    pub queue: MemoryQueue,
    pub provider: MemoryProvider,
    pub runner: MemoryRunner,
    pub secrets: MemorySecrets,
    pub events: MemoryEvents,
    /// What goes wrong for the workers.
    pub faults: Faults,
    /// The first worker.
    pub driver: SimulatedDriver,
    /// How long a run takes, in seconds.
    pub run_secs: i64,
    defect: Option<Defect>,
    ids: hetzner_sim::random::Random,
}

impl World {
    fn next_bits(&mut self) -> u128 {
        u128::from(self.ids.bits()) << 64 | u128::from(self.ids.bits())
    }

    /// Accepts a node as the API does, and sends its wake.
    pub async fn provision(&mut self, change: impl FnOnce(&mut NodeSpec)) -> (JobId, NodeId) {
        let (job_id, node_id) =
            (JobId::from_bits(self.next_bits()), NodeId::from_bits(self.next_bits()));
        let mut spec = node_spec();
        change(&mut spec);
        let now = self.clock.now();
        let (job, node) =
            acceptance::provision(job_id.clone(), node_id.clone(), spec, "test", None, now);
        self.accept(job, Some(node)).await;
        (job_id, node_id)
    }

    /// Accepts a job on a node that exists. `None` when the node is busy.
    pub async fn work(&mut self, kind: JobKind, node: &NodeId) -> Option<JobId> {
        let job_id = JobId::from_bits(self.next_bits());
        let node = self.store.node(node).await.expect("memory store").expect("a node");
        let job = acceptance::on_node(job_id.clone(), kind, &node, "test", None, self.clock.now());
        (self.accept(job, None).await == Accepted::New).then_some(job_id)
    }

    /// The safeguard that is missing in this world.
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// Accepts a rotation of the connection's key, as the API does. `None` when it is refused:
    /// another one is open, the token is not seen to write, or too many versions are in use.
    pub async fn rotate_key(&mut self) -> Option<JobId> {
        let id = JobId::from_bits(self.next_bits());
        let connection = self.store.connection(&name()).await.expect("memory store")?;
        let is_free = connection.rotation.is_none() && connection.may_rotate();
        if !is_free || !connection.accepts_nodes() {
            return None;
        }
        let now = self.clock.now();
        let (rotation, connection) =
            acceptance::rotation(id.clone(), &connection, "test", None, now);
        let audit = self.audit(Action::ProviderRotateKey, &id);
        let work = RotationAcceptance { rotation, connection, idempotency: None, audit };
        let accepted = self.store.accept_rotation(&work).await.expect("memory store");
        assert_eq!(accepted, RotationAccepted::New, "nothing stands against it");
        self.wake(id.clone(), WakeReason::Due).await;
        Some(id)
    }

    async fn accept(&self, job: Job, new_node: Option<Node>) -> Accepted {
        let may_queue = job.kind == JobKind::NodeRelease;
        let id = job.id.clone();
        let audit = self.audit(Action::NodeCreate, &id);
        let acceptance = Acceptance { job, new_node, may_queue, idempotency: None, audit };
        let accepted = self.store.accept(&acceptance).await.expect("memory store");
        self.wake(id, WakeReason::Due).await;
        accepted
    }

    pub async fn cancel(&self, job: &JobId) -> bool {
        let now = self.clock.now();
        let audit = self.audit(Action::JobCancel, job);
        let set = self.store.request_cancel(job, None, now, &audit).await.expect("memory store");
        self.wake(job.clone(), WakeReason::Cancel).await;
        set
    }

    fn audit(&self, action: Action, job: &JobId) -> AuditEntry {
        let now = self.clock.now();
        AuditEntry::of_system(now, action, Resource::from(job), Outcome::Accepted)
    }

    /// Sends a wake that may get lost on its way: the sweep repairs that.
    async fn wake(&self, job: JobId, reason: WakeReason) {
        let sent = self.driver.queue.send(&Wake::new(job, reason), 0).await;
        drop(sent);
    }

    /// Wakes the jobs that wait for something, as connecting a token does.
    pub async fn resume_parked(&self) {
        let now = self.clock.now();
        for job in self.open_jobs().into_iter().filter(|job| job.waiting_on.is_some()) {
            self.store.set_news(&job.id, now).await.expect("memory store");
            self.wake(job.id, WakeReason::Resume).await;
        }
        let waits = |it: &Rotation| !it.state.is_terminal() && it.waiting_on.is_some();
        for rotation in self.store.all_rotations().into_iter().filter(waits) {
            self.store.set_news(&rotation.id, now).await.expect("memory store");
            self.wake(rotation.id, WakeReason::Resume).await;
        }
    }

    /// Stores another token for the connection, as connecting does, and wakes what waits for it.
    pub async fn replace_token(&self, token: &str) {
        self.secrets.put_token(&name(), token);
        self.resume_parked().await;
    }

    pub fn open_jobs(&self) -> Vec<Job> {
        let mut jobs = self.store.all_jobs();
        jobs.retain(|job| !job.state.is_terminal());
        jobs
    }

    /// How a job stands.
    ///
    /// # Panics
    /// When there is no such job.
    pub fn state(&self, job: &JobId) -> JobState {
        let jobs = self.store.all_jobs();
        jobs.iter().find(|known| known.id == *job).expect("a job").state
    }
}
