//! The API function: the router over the real ports, behind an HTTP API.

use std::sync::Arc;

use lambda_http::Error;
use nodeyard_adapters::{
    aws,
    clock::{WallClock, random_bits},
    config::{ApiConfig, process_environment},
    dynamo::DynamoStore,
    hetzner::HetznerProvider,
    secrets::SecretsManager,
    sqs::SqsQueue,
    telemetry,
};
use nodeyard_api::{
    app::{App, Ports, Settings},
    router,
};

struct Cloud;

impl Ports for Cloud {
    type Store = DynamoStore;
    type Queue = SqsQueue;
    type Provider = HetznerProvider<SecretsManager>;
    type Secrets = SecretsManager;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_from_env();
    let ApiConfig { shared, hetzner_endpoint, control_cidrs } =
        ApiConfig::parse(process_environment())?;
    let aws = aws::load().await;
    let secrets = Arc::new(SecretsManager::new(&aws, shared.secret_prefix));
    let store = DynamoStore::new(&aws, shared.table);
    let queue = SqsQueue::new(&aws, shared.wake_queue_url);
    let provider = HetznerProvider::new(&hetzner_endpoint, Arc::clone(&secrets))?;
    let settings = Settings { deployment: shared.deployment, control_cidrs };
    let random = || random_bits().ok();
    let app = App::<Cloud>::new(store, queue, provider, secrets, settings, WallClock, random);
    lambda_http::run(router(app)).await
}
