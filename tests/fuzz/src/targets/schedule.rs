//! What the schedule sends to the health function.

use nodeyard_health::{Health, Request};
use nodeyard_testkit::{
    reach::MemoryReach,
    world::{DEPLOYMENT, World},
};
use tokio::runtime::Runtime;

use super::{hold, runtime};
use crate::{corpus, target::Target};

pub(super) struct Schedule {
    runtime: Runtime,
    world: World,
}

impl Schedule {
    pub(super) fn new() -> Self {
        let runtime = runtime();
        let world = runtime.block_on(World::new());
        Self { runtime, world }
    }
}

impl Target for Schedule {
    fn name(&self) -> &'static str {
        "schedule"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        corpus::events("health-")
    }

    fn reset(&mut self) {
        self.world = self.runtime.block_on(World::new());
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Ok(request) = serde_json::from_slice::<Request>(input) else {
            return Ok("unreadable".into());
        };
        let World { store, queue, provider, secrets, events, clock, .. } = &self.world;
        let health = Health {
            store: store.clone(),
            queue: queue.clone(),
            provider: provider.clone(),
            secrets: secrets.clone(),
            events: events.clone(),
            reach: MemoryReach::default(),
            clock: clock.clone(),
            deployment: DEPLOYMENT.to_owned(),
        };
        let report = self.runtime.block_on(health.handle(request)).map_err(|it| it.to_string())?;
        hold(report.orphans == 0, || format!("{report:?} in an empty project"))?;
        Ok(format!("{:?}", request.task))
    }
}
