//! The bus on EventBridge.

use std::ops::Range;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::{
    Client, error::DisplayErrorContext, operation::put_events::PutEventsOutput,
    primitives::DateTime, types::PutEventsRequestEntry,
};
use nodeyard_domain::event::{Event, SOURCE};
use nodeyard_engine::event::{Events, EventsError};

use crate::aws::sent;

/// What one call takes.
const MAX_ENTRIES: usize = 10;
/// What one call takes, all entries together, in the bytes that the service counts.
const MAX_BYTES: usize = 256 * 1024;
/// What the service counts for an entry's time.
const TIME_BYTES: usize = 14;

#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// `bus`: its name or ARN.
    pub fn new(config: &SdkConfig, bus: impl Into<String>) -> Self {
        Self { client: Client::new(config), bus: bus.into() }
    }

    fn entry(&self, event: &Event, detail: &str) -> PutEventsRequestEntry {
        let time = DateTime::from_secs(event.at.as_second());
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(event.kind().as_str())
            .detail(detail)
            .time(time)
            .build()
    }

    /// One call. The error is for all of its entries.
    async fn call(
        &self,
        entries: Vec<PutEventsRequestEntry>,
    ) -> Result<PutEventsOutput, EventsError> {
        let call = self.client.put_events().set_entries(Some(entries));
        let answer = sent(call.send()).await;
        answer.map_err(|error| EventsError(DisplayErrorContext(&error).to_string()))
    }
}

/// An event that fits into a call, or why it does not.
type Written = Result<String, EventsError>;

impl Events for EventBridge {
    async fn put(&self, events: &[Event]) -> Vec<Result<(), EventsError>> {
        let details: Vec<Written> = events.iter().map(written).collect();
        let mut put = Vec::with_capacity(events.len());
        let mut silent: Option<EventsError> = None;
        for range in calls(&details.iter().map(size).collect::<Vec<_>>()) {
            let (mut entries, mut results) = (Vec::new(), Vec::new());
            for (event, detail) in events[range.clone()].iter().zip(&details[range]) {
                if let Ok(detail) = detail {
                    entries.push(self.entry(event, detail));
                }
                results.push(detail.as_ref().map(drop).map_err(Clone::clone));
            }
            // A bus that does not answer is not asked again.
            let answer = match &silent {
                _ if entries.is_empty() => Ok(PutEventsOutput::builder().build()),
                Some(error) => Err(error.clone()),
                None => self.call(entries).await,
            };
            match answer {
                Ok(answer) => take_answer(&answer, &mut results),
                Err(error) => {
                    let unanswered = || Err(error.clone());
                    results.iter_mut().filter(|it| it.is_ok()).for_each(|it| *it = unanswered());
                    silent = Some(error);
                }
            }
            put.extend(results);
        }
        put
    }
}

fn written(event: &Event) -> Written {
    let detail = serde_json::to_string(event).map_err(|error| EventsError(error.to_string()))?;
    let bytes = SOURCE.len() + event.kind().as_str().len() + detail.len() + TIME_BYTES;
    if bytes > MAX_BYTES {
        return Err(EventsError(format!("it has {bytes} bytes")));
    }
    Ok(detail)
}

/// An upper bound of what the service counts; nothing for one that is not sent.
fn size(detail: &Written) -> usize {
    const MOST_AROUND: usize = 64;
    detail.as_ref().map_or(0, |detail| (detail.len() + MOST_AROUND).min(MAX_BYTES))
}

/// Which events go into which call: in their order, as many as fit.
fn calls(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut calls: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, size) in sizes.iter().enumerate() {
        match calls.last_mut() {
            Some(call) if call.len() < MAX_ENTRIES && bytes + size <= MAX_BYTES => {
                call.end = index + 1;
                bytes += size;
            }
            _ => {
                calls.push(index..index + 1);
                bytes = *size;
            }
        }
    }
    calls
}

/// Entries are answered in their order, each for itself; one without an id was not taken.
fn take_answer(answer: &PutEventsOutput, results: &mut [Result<(), EventsError>]) {
    let mut entries = answer.entries().iter();
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        let refused = match entries.next() {
            Some(entry) if entry.event_id().is_some() && entry.error_code().is_none() => continue,
            Some(entry) => {
                let code = entry.error_code().unwrap_or("without an id");
                format!("{code}: {}", entry.error_message().unwrap_or_default())
            }
            None => "the answer does not tell of it".to_owned(),
        };
        *result = Err(EventsError(refused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_ten_entries_at_most_and_256_kb() {
        assert!(calls(&[]).is_empty());
        assert_eq!(calls(&[100; 23]), [0..10, 10..20, 20..23]);
        let half = MAX_BYTES / 2;
        assert_eq!(calls(&[half, half, 1, half]), [0..2, 2..4]);
        assert_eq!(calls(&[MAX_BYTES, 0, MAX_BYTES]), [0..2, 2..3]);
    }
}
