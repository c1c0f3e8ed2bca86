//! Figures that dashboards and alarms are made of. They are told as tracing events of [`TARGET`],
//! beside the wide events: whoever collects these has them, in the form that he needs.

use jiff::SignedDuration;
use serde::Serialize;

/// The target of the events.
pub const TARGET: &str = "nodeyard::metric";
/// Between two dimensions of an event.
const BETWEEN: char = '\u{1f}';

/// What is measured. Names and units are what the template's alarms and dashboard know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// From a request to its 202, in milliseconds.
    AcceptTime,
    /// Of one hop of a job, in milliseconds.
    StepTime,
    /// How late an effect that was due is begun, in milliseconds.
    QueueAge,
    /// Calls to the provider; by class and status.
    ProviderCalls,
    /// Calls that are left of the rate budget; by connection.
    BudgetLeft,
    /// From acceptance, in seconds; by phase: until the server runs, until the node is ready.
    TimeToReady,
    /// Jobs that ended; by kind and outcome.
    JobsEnded,
    /// How long the sweep finds the oldest job overdue, in seconds; 0 when there is none.
    OldestDueJobAge,
    ConnectionsNotConnected,
    /// Orphans on record.
    OrphansOpen,
    NodesCleanupPending,
}

impl Metric {
    pub const ALL: &[Metric] = &[
        Self::AcceptTime,
        Self::StepTime,
        Self::QueueAge,
        Self::ProviderCalls,
        Self::BudgetLeft,
        Self::TimeToReady,
        Self::JobsEnded,
        Self::OldestDueJobAge,
        Self::ConnectionsNotConnected,
        Self::OrphansOpen,
        Self::NodesCleanupPending,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::AcceptTime => "AcceptTime",
            Self::StepTime => "StepTime",
            Self::QueueAge => "QueueAge",
            Self::ProviderCalls => "ProviderCalls",
            Self::BudgetLeft => "BudgetLeft",
            Self::TimeToReady => "TimeToReady",
            Self::JobsEnded => "JobsEnded",
            Self::OldestDueJobAge => "OldestDueJobAge",
            Self::ConnectionsNotConnected => "ConnectionsNotConnected",
            Self::OrphansOpen => "OrphansOpen",
            Self::NodesCleanupPending => "NodesCleanupPending",
        }
    }

    /// As CloudWatch calls it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::AcceptTime | Self::StepTime | Self::QueueAge => "Milliseconds",
            Self::TimeToReady | Self::OldestDueJobAge => "Seconds",
            _ => "Count",
        }
    }
}

/// Tells a figure. Dimensions have few values: each pair of them is a metric of its own.
pub fn tell(metric: Metric, value: f64, dimensions: &[(&str, &str)]) {
    let words = dimensions.iter().flat_map(|(name, value)| [*name, *value]);
    let dimensions = words.collect::<Vec<_>>().join(&BETWEEN.to_string());
    tracing::info!(
        target: TARGET,
        metric = metric.name(),
        unit = metric.unit(),
        value,
        dimensions,
    );
}

/// The dimensions of an event again.
pub fn dimensions(told: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut words = told.split(BETWEEN);
    std::iter::from_fn(move || Some((words.next().filter(|name| !name.is_empty())?, words.next()?)))
}

/// What a value is called wherever it is stored or shown.
pub fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

/// Never negative: two clocks may differ.
pub fn millis(time: SignedDuration) -> f64 {
    (time.as_secs_f64() * 1000.0).max(0.0)
}

/// Never negative: two clocks may differ.
pub fn seconds(time: SignedDuration) -> f64 {
    time.as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_come_back_as_they_were_told() {
        let joined = ["Class", "GET /servers", "Status", "200"].join(&BETWEEN.to_string());
        let read: Vec<_> = dimensions(&joined).collect();
        assert_eq!(read, [("Class", "GET /servers"), ("Status", "200")]);
        assert_eq!(dimensions("").count(), 0);
        assert_eq!(millis(SignedDuration::from_millis(-5)), 0.0);
        assert_eq!(seconds(SignedDuration::from_millis(1500)), 1.5);
    }
}
