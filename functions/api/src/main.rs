//! The API function: the router over the real ports, behind an HTTP API.

use std::sync::Arc;

use nodeyard_adapters::{aws, clock, config, dynamo, hetzner, jwt, secrets, sqs, telemetry};
use nodeyard_api::{
    app::{App, Ports, Settings},
    issuer::Issuer,
};

struct Cloud;

impl Ports for Cloud {
    type Store = dynamo::DynamoStore;
    type Queue = sqs::SqsQueue;
    type Provider = hetzner::HetznerProvider<secrets::SecretsManager>;
    type Secrets = secrets::SecretsManager;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init_from_env();
    let config = config::ApiConfig::parse(config::process_environment())?;
    let (shared, control_cidrs) = (config.shared, config.control_cidrs);
    let issuer = config.jwt.map(jwt::Verifier::new).transpose()?.map(Issuer::new);
    let aws = aws::load().await;
    let secrets = Arc::new(secrets::SecretsManager::new(&aws, shared.secret_prefix));
    let app = App::<Cloud>::new(
        dynamo::DynamoStore::new(&aws, shared.table),
        sqs::SqsQueue::new(&aws, shared.wake_queue_url),
        hetzner::HetznerProvider::new(&config.hetzner_endpoint, Arc::clone(&secrets))?,
        secrets,
        Settings::new(shared.deployment, control_cidrs, issuer)?,
        clock::WallClock,
        || clock::random_bits().ok(),
    );
    nodeyard_api::gateway::serve(app).await
}
