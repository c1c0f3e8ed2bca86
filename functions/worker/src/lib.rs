//! SQS batch → engine: partial batch response, each record on its own.
//!
//! Must not: decide anything about a job, or wait for anything but its one effect.

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use nodeyard_domain::wake::Wake;
use nodeyard_engine::{
    Clock, Driver,
    provider::Provider,
    queue::WakeQueue,
    runner::Runner,
    secrets::Secrets,
    store::{JobStore, RunStore},
};
use tracing::{Instrument, error, info_span};

/// Why a record goes back to the queue, and from there, tried often enough, to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the message is not a wake: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Driver(#[from] nodeyard_engine::driver::DriverError),
}

/// Handles a batch. Records run side by side; one that fails or panics is reported alone.
pub async fn handle_batch<S, Q, P, R, X, C>(
    driver: Arc<Driver<S, Q, P, R, X, C>>,
    event: SqsEvent,
) -> SqsBatchResponse
where
    S: JobStore + RunStore + 'static,
    Q: WakeQueue + 'static,
    P: Provider + 'static,
    R: Runner + 'static,
    X: Secrets + 'static,
    C: Clock + 'static,
{
    let mut hops = Vec::with_capacity(event.records.len());
    for record in event.records {
        let id = record.message_id.clone().unwrap_or_default();
        let driver = driver.clone();
        // A task of its own, so that a panic stays with its record.
        let hop = tokio::spawn(async move { handle_record(&driver, &record).await });
        hops.push((id, hop));
    }
    let mut response = SqsBatchResponse::default();
    for (id, hop) in hops {
        let failed = match hop.await {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                error!(message_id = %id, %error, "record not handled");
                true
            }
            Err(panic) => {
                error!(message_id = %id, error = %panic, "record panicked");
                true
            }
        };
        if failed {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

async fn handle_record<S, Q, P, R, X, C>(
    driver: &Driver<S, Q, P, R, X, C>,
    record: &SqsMessage,
) -> Result<(), RecordError>
where
    S: JobStore + RunStore,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    C: Clock,
{
    let wake: Wake = serde_json::from_str(record.body.as_deref().unwrap_or_default())?;
    let span = info_span!("hop", job_id = %wake.job_id, reason = ?wake.reason);
    driver.handle(&wake).instrument(span).await?;
    Ok(())
}
