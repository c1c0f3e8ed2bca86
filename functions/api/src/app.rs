//! What the API works with: the ports, a clock, randomness and its settings.

use std::sync::Arc;

use jiff::Timestamp;
use nodeyard_domain::{
    id::JobId,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock,
    orphan::{Inventory, OrphanStore},
    provider::ProviderCheck,
    queue::WakeQueue,
    rotation::RotationStore,
    secrets::Secrets,
    store::RunStore,
};
use tokio::sync::Semaphore;

use crate::{
    audit::Bounds,
    catalogue::Catalogues,
    code::ApiCode,
    issuer::Issuer,
    problem::Problem,
    profiles::{Profiles, ProfilesError},
};

/// The implementations the API runs on: those of the cloud, or those of a test.
pub trait Ports: Send + Sync + 'static {
    type Store: RotationStore + RunStore + OrphanStore + 'static;
    type Queue: WakeQueue + 'static;
    type Provider: ProviderCheck + Inventory + 'static;
    type Secrets: Secrets + 'static;
}

/// A source of random bits, good enough for keys. `None` when the system has none to give.
pub trait Entropy: Send + Sync {
    fn bits(&self) -> Option<u128>;
}

impl<F: Fn() -> Option<u128> + Send + Sync> Entropy for F {
    fn bits(&self) -> Option<u128> {
        self()
    }
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// The deployment's name: part of key names at the provider.
    pub deployment: String,
    /// The container task's fixed egress. Empty where it is not fixed.
    pub control_cidrs: Vec<String>,
    /// Whose JWTs are taken beside API tokens.
    pub issuer: Option<Issuer>,
    /// What a node can be configured with.
    pub profiles: Profiles,
}

impl Settings {
    /// With the profiles that this program was built with.
    ///
    /// # Errors
    /// One of the profiles cannot be offered.
    pub fn new(
        deployment: String,
        control_cidrs: Vec<String>,
        issuer: Option<Issuer>,
    ) -> Result<Self, ProfilesError> {
        Ok(Self { deployment, control_cidrs, issuer, profiles: Profiles::embedded()? })
    }
}

/// How many answers may be held back at once (`Prefer: wait`), in one process.
const HELD_ANSWERS: usize = 64;

pub struct App<P: Ports> {
    pub store: P::Store,
    pub queue: P::Queue,
    pub provider: P::Provider,
    pub secrets: Arc<P::Secrets>,
    pub settings: Settings,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    pub(crate) catalogues: Catalogues,
    pub(crate) held: Semaphore,
    pub(crate) bounds: Bounds,
}

/// The router's state.
pub type Shared<P> = Arc<App<P>>;

impl<P: Ports> App<P> {
    pub fn new(
        store: P::Store,
        queue: P::Queue,
        provider: P::Provider,
        secrets: Arc<P::Secrets>,
        settings: Settings,
        clock: impl Clock + 'static,
        entropy: impl Entropy + 'static,
    ) -> Shared<P> {
        Arc::new(Self {
            store,
            queue,
            provider,
            secrets,
            settings,
            clock: Box::new(clock),
            entropy: Box::new(entropy),
            catalogues: Catalogues::default(),
            held: Semaphore::new(HELD_ANSWERS),
            bounds: Bounds::default(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// # Errors
    /// `internal_error` when the system gives no randomness.
    pub(crate) fn random(&self) -> Result<u128, Problem> {
        self.entropy
            .bits()
            .ok_or_else(|| Problem::new(ApiCode::InternalError, "No id could be made; try again."))
    }

    /// Sends a wake. A failure is only logged: the work is on record and the sweep finds it.
    pub(crate) async fn wake(&self, job: &JobId, reason: WakeReason, traceparent: Option<&str>) {
        let wake = Wake::new(job.clone(), reason).traced(traceparent);
        if let Err(error) = self.queue.send(&wake, 0).await {
            tracing::warn!(%job, %error, "the wake was not sent; the sweep will find the job");
        }
    }
}
