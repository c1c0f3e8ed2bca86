//! Serves the endpoint over HTTP, and tells the queue of every task that ended.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::answer::EcsError;
use super::definition::Definitions;
use super::endpoint::Endpoint;
use super::launch::{Launcher, Runner};
use super::task::Task;
use super::tasks::Tasks;
use crate::cli::EcsOptions;
use crate::error::{IoContext, Result};
use crate::queue::Queue;

/// The variable of the task definition that names the queue.
const QUEUE_VARIABLE: &str = "NODEYARD_WAKE_QUEUE_URL";
/// A wake that cannot be delivered is tried this often; after that the sweep finds the job.
const DELIVERIES: u32 = 5;
/// How long the tasks may take to end with the endpoint.
const ENDING: Duration = Duration::from_secs(30);

/// Serves until told to end, then ends its tasks.
///
/// # Errors
/// The port is taken or the folder cannot be made.
pub async fn serve(options: EcsOptions) -> Result<()> {
    std::fs::create_dir_all(&options.folder).at(&options.folder)?;
    let runner = match options.image {
        Some(image) => Runner::Podman { image },
        None => Runner::Process {
            program: vec![options.program.display().to_string()],
            path: options.path,
            playbooks: options.playbooks,
        },
    };
    let launcher = Launcher {
        runner,
        folder: options.folder,
        netns: options.netns,
        aws_url: options.aws_url.clone(),
    };
    let (ended, endings) = mpsc::unbounded_channel();
    let tasks = Tasks::new(launcher, ended);
    let definitions = Definitions::from_emulator(options.aws_url)?;
    let endpoint = Endpoint { tasks: tasks.clone(), definitions, cluster: options.cluster };
    tokio::spawn(wake_jobs(endings, Queue::new()?));

    let address = ("127.0.0.1", options.port);
    let listener = TcpListener::bind(address).await.during("ECS endpoint")?;
    let routes = Router::new()
        .route("/", post(answer))
        .route("/health", get(|| async { "ok" }))
        .with_state(endpoint);
    let served = axum::serve(listener, routes)
        .with_graceful_shutdown(async {
            // Without signals there is nothing better than to serve on.
            if crate::signal::asked_to_end().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await
        .during("ECS endpoint");
    end_tasks(&tasks).await;
    served
}

async fn answer(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let outcome = match serde_json::from_slice::<Value>(&body) {
        Ok(request) => endpoint.call(target, request).await,
        Err(error) => Err(EcsError::InvalidParameter(error.to_string())),
    };
    let kind = (header::CONTENT_TYPE, "application/x-amz-json-1.1".to_owned());
    match outcome {
        Ok(body) => ([kind], body.to_string()).into_response(),
        Err(error) => {
            let name =
                (header::HeaderName::from_static("x-amzn-errortype"), error.name().to_owned());
            (StatusCode::BAD_REQUEST, [kind, name], error.body().to_string()).into_response()
        }
    }
}

/// In the cloud a rule on the account's event bus does this.
async fn wake_jobs(mut endings: mpsc::UnboundedReceiver<Task>, queue: Queue) {
    while let Some(task) = endings.recv().await {
        let job = task.started_by.as_deref().filter(|by| by.starts_with("job-"));
        let url = task.container.variables().remove(QUEUE_VARIABLE);
        let (Some(job), Some(url)) = (job, url) else { continue };
        let wake = json!({ "job_id": job, "reason": "run" });
        for delivery in 1..=DELIVERIES {
            match queue.send(&url, &wake.to_string()).await {
                Ok(()) => break,
                Err(error) => eprintln!("wake of {job}, delivery {delivery}: {error}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn end_tasks(tasks: &Tasks) {
    for arn in tasks.list(|task| !task.is_stopped()) {
        // A task that has ended meanwhile is what was wanted.
        let _ = tasks.stop(&arn, "the ECS endpoint is ending");
    }
    let all_stopped = async {
        while !tasks.list(|task| !task.is_stopped()).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Whatever takes longer gets the signal that it asked for when its parent dies.
    let _ = tokio::time::timeout(ENDING, all_stopped).await;
}
