//! A batch of records through the worker, over simulated ports.

use std::{collections::BTreeSet, sync::Arc};

use aws_lambda_events::sqs::SqsEvent;
use nodeyard_domain::wake::Wake;
use nodeyard_testkit::world::World;
use nodeyard_worker::handle_batch;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{hold, runtime};
use crate::{corpus, target::Target};

pub(super) struct Batch {
    runtime: Runtime,
    world: World,
    job: String,
}

impl Batch {
    pub(super) fn new() -> Self {
        let runtime = runtime();
        let (world, job) = runtime.block_on(world());
        Self { runtime, world, job }
    }

    /// Handles an event; the ids of the records that go back to the queue.
    pub(super) fn handle(&self, event: SqsEvent) -> BTreeSet<String> {
        let driver = Arc::new(self.world.worker());
        let response = self.runtime.block_on(handle_batch(driver, event));
        response.batch_item_failures.into_iter().map(|item| item.item_identifier).collect()
    }

    /// The id of a job that the worker has something to do for.
    pub(super) fn job(&self) -> &str {
        &self.job
    }
}

async fn world() -> (World, String) {
    let mut world = World::new().await;
    let (job, _) = world.provision(|_| {}).await;
    (world, job.to_string())
}

impl Target for Batch {
    fn name(&self) -> &'static str {
        "batch"
    }

    /// The samples, and the same with a job that there is.
    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = corpus::events("worker-wakes");
        for sample in seeds.clone() {
            let text = String::from_utf8_lossy(&sample);
            let real = text.replace("job-00000000000000000000000000000001", &self.job);
            seeds.push(real.into_bytes());
        }
        seeds
    }

    fn reset(&mut self) {
        (self.world, self.job) = self.runtime.block_on(world());
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Ok(event) = serde_json::from_slice::<SqsEvent>(input) else {
            return Ok("no event".into());
        };
        let ids: BTreeSet<String> =
            event.records.iter().map(|it| it.message_id.clone().unwrap_or_default()).collect();
        let unreadable: BTreeSet<String> = event
            .records
            .iter()
            .filter(|it| {
                let body = it.body.as_deref().unwrap_or_default();
                serde_json::from_str::<Wake>(body).is_err()
            })
            .map(|it| it.message_id.clone().unwrap_or_default())
            .collect();
        let records = event.records.len().min(4);
        let back = self.handle(event);
        hold(back.is_subset(&ids), || format!("{back:?} were not in the batch"))?;
        // A wake that can be read is handled, whatever job it names.
        hold(back == unreadable, || format!("{back:?} went back, {unreadable:?} are no wakes"))?;
        let state: Value = self
            .world
            .store
            .all_jobs()
            .first()
            .map_or(Value::Null, |job| serde_json::to_value(job.step).unwrap_or_default());
        Ok(format!("{records} records, {} back, {state}", back.len().min(3)))
    }
}
