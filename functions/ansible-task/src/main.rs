//! The container task's program: `nodeyard-ansible-task --job <id> --run <n>`.

use std::process::ExitCode;

use nodeyard_adapters::config::{TaskConfig, process_environment};
use nodeyard_adapters::{aws, clock::WallClock, dynamo::DynamoStore};
use nodeyard_adapters::{secrets::SecretsManager, sqs::SqsQueue, telemetry};
use nodeyard_ansible_task::{Settings, Task, args::Request, end_signal, hide_memory};

/// One thread: the kernel ends tied children when the thread that started them ends.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init_from_env();
    hide_memory();
    match perform().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the run has no result");
            ExitCode::FAILURE
        }
    }
}

async fn perform() -> Result<(), Box<dyn std::error::Error>> {
    let request = Request::parse(std::env::args().skip(1))?;
    let config = TaskConfig::parse(process_environment())?;
    let end = end_signal()?;
    let aws = aws::load().await;
    let store = DynamoStore::new(&aws, &config.shared.table);
    let queue = SqsQueue::new(&aws, &config.shared.wake_queue_url);
    let secrets = SecretsManager::new(&aws, &config.shared.secret_prefix);
    let task = Task { store, queue, secrets, clock: WallClock, settings: Settings::new(config) };
    Ok(task.perform(&request, end).await?)
}
