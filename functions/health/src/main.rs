//! The health function: the schedule's input in, a report out.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, run, service_fn};
use nodeyard_adapters::{
    aws, clock, config, dynamo::DynamoStore, eventbridge::EventBridge, hetzner::HetznerProvider,
    reach, secrets::SecretsManager, sqs::SqsQueue, telemetry,
};
use nodeyard_health::{Health, Request};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init_from_env();
    let config = config::HealthConfig::parse(config::process_environment())?;
    let aws = aws::load().await;
    let secrets = || SecretsManager::new(&aws, &config.shared.secret_prefix);
    let provider = HetznerProvider::new(&config.hetzner_endpoint, Arc::new(secrets()))?;
    let health = Health {
        store: DynamoStore::new(&aws, &config.shared.table),
        queue: SqsQueue::new(&aws, &config.shared.wake_queue_url),
        provider: provider.with_drift_alarm(),
        secrets: secrets().signing_with(&aws, &config.evidence_key),
        events: EventBridge::new(&aws, &config.event_bus),
        reach: reach::SshPort { tried: config.tries_ssh_ports },
        clock: clock::WallClock,
        deployment: config.shared.deployment,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        let request = Request::read(event.payload)?;
        Ok::<_, lambda_runtime::Error>(health.handle(request).await?)
    }))
    .await
}
