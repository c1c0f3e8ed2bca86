//! The worker function: SQS in, one hop per record.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use nodeyard_adapters::config::{WorkerConfig, process_environment};
use nodeyard_adapters::{aws, clock::WallClock, dynamo::DynamoStore, ecs::EcsRunner};
use nodeyard_adapters::{eventbridge::EventBridge, hetzner::HetznerProvider};
use nodeyard_adapters::{secrets::SecretsManager, sqs::SqsQueue, telemetry};
use nodeyard_domain::step::Policy;
use nodeyard_engine::Driver;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Error> {
    telemetry::init_from_env();
    let config = WorkerConfig::parse(process_environment())?;
    let aws = aws::load().await;
    let secrets = || SecretsManager::new(&aws, &config.shared.secret_prefix);
    let driver = Arc::new(Driver {
        store: DynamoStore::new(&aws, &config.shared.table),
        queue: SqsQueue::new(&aws, &config.shared.wake_queue_url),
        provider: HetznerProvider::new(&config.hetzner_endpoint, Arc::new(secrets()))?,
        runner: EcsRunner::new(&aws, config.task_place.clone()),
        secrets: secrets().signing_with(&aws, &config.evidence_key),
        events: EventBridge::new(&aws, &config.event_bus),
        clock: WallClock,
        deployment: config.shared.deployment.clone(),
        policy: Policy::default(),
    });
    run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        Ok::<_, lambda_runtime::Error>(
            nodeyard_worker::handle_batch(driver.clone(), event.payload).await,
        )
    }))
    .await
}
