//! SQS batch → engine: partial batch response, each record on its own.
//!
//! Must not: decide anything about a job, or wait for anything but its one effect.

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use nodeyard_domain::wake::Wake;
use nodeyard_engine::{
    Clock, Driver, Handled,
    event::{Events, Outbox},
    metric::{self, Metric},
    provider::Provider,
    queue::WakeQueue,
    rotation::RotationStore,
    runner::Runner,
    secrets::Secrets,
    store::RunStore,
};
use tracing::{Instrument, error, info, info_span};

/// Why a record goes back to the queue, and from there, tried often enough, to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Without what the parser says: it repeats the message.
    #[error("the message is not a wake (line {}, column {})", .0.line(), .0.column())]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Driver(#[from] nodeyard_engine::driver::DriverError),
}

/// Handles a batch. Records run side by side; one that fails or panics is reported alone. Jobs that
/// have crashed their worker before come last, one by one.
pub async fn handle_batch<S, Q, P, R, X, E, C>(
    driver: Arc<Driver<S, Q, P, R, X, E, C>>,
    event: SqsEvent,
) -> SqsBatchResponse
where
    S: RotationStore + RunStore + Outbox + 'static,
    Q: WakeQueue + 'static,
    P: Provider + 'static,
    R: Runner + 'static,
    X: Secrets + 'static,
    E: Events + 'static,
    C: Clock + 'static,
{
    let mut hops = Vec::with_capacity(event.records.len());
    for record in event.records {
        let driver = driver.clone();
        let for_hop = record.clone();
        // A task of its own, so that a panic stays with its record.
        let hop =
            tokio::spawn(async move { handle_record(&driver, &for_hop, Company::Others).await });
        hops.push((record, hop));
    }
    let mut response = SqsBatchResponse::default();
    let mut last = Vec::new();
    for (record, hop) in hops {
        match settled(&record, hop.await) {
            Some(Handled::ToBeAlone) => last.push(record),
            Some(_) => {}
            None => report(&mut response, &record),
        }
    }
    for record in last {
        let driver = driver.clone();
        let for_hop = record.clone();
        let hop =
            tokio::spawn(async move { handle_record(&driver, &for_hop, Company::None).await });
        if settled(&record, hop.await).is_none() {
            report(&mut response, &record);
        }
    }
    response
}

/// What may run beside a record.
#[derive(Clone, Copy)]
enum Company {
    Others,
    None,
}

/// What came of a record; `None` when it has to be delivered again.
fn settled(
    record: &SqsMessage,
    hop: Result<Result<Handled, RecordError>, tokio::task::JoinError>,
) -> Option<Handled> {
    let message_id = record.message_id.as_deref().unwrap_or_default();
    match hop {
        Ok(Ok(handled)) => Some(handled),
        Ok(Err(error)) => {
            error!(message_id, %error, "record not handled");
            None
        }
        Err(panic) => {
            error!(message_id, error = %panic, "record panicked");
            None
        }
    }
}

fn report(response: &mut SqsBatchResponse, record: &SqsMessage) {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = record.message_id.clone().unwrap_or_default();
    response.batch_item_failures.push(failure);
}

async fn handle_record<S, Q, P, R, X, E, C>(
    driver: &Driver<S, Q, P, R, X, E, C>,
    record: &SqsMessage,
    company: Company,
) -> Result<Handled, RecordError>
where
    S: RotationStore + RunStore + Outbox,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    E: Events,
    C: Clock,
{
    let wake: Wake = serde_json::from_str(record.body.as_deref().unwrap_or_default())?;
    let traceparent = wake.traceparent.as_deref();
    let span = info_span!("hop", job_id = %wake.job_id, reason = ?wake.reason, traceparent);
    async {
        let began = driver.clock.now();
        let handled = match company {
            Company::Others => driver.handle_in_company(&wake).await,
            Company::None => driver.handle(&wake).await,
        };
        let ms = metric::millis(driver.clock.now().duration_since(began));
        let handled = match handled {
            Ok(Handled::ToBeAlone) => return Ok(Handled::ToBeAlone),
            handled => handled,
        };
        metric::tell(Metric::StepTime, ms, &[]);
        info!(
            message_id = record.message_id,
            received = attribute(record, "ApproximateReceiveCount"),
            sent_at = attribute(record, "SentTimestamp"),
            handled = ?handled.as_ref().ok(),
            ms,
            "handled"
        );
        Ok(handled?)
    }
    .instrument(span)
    .await
}

fn attribute<'a>(record: &'a SqsMessage, name: &str) -> Option<&'a str> {
    record.attributes.get(name).map(String::as_str)
}
