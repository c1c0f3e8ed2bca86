//! Figures as lines of CloudWatch's embedded metric format: what writes a log makes metrics, and
//! nothing has to be called.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write as _;

use jiff::Timestamp;
use nodeyard_engine::metric;
use serde_json::{Map, Value, json};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::{Context, Filter},
};

const NAMESPACE: &str = "Nodeyard";
const DEPLOYMENT: &str = "Deployment";

/// Whether an event is a figure.
pub(super) fn is_figure(metadata: &Metadata<'_>) -> bool {
    metadata.target() == metric::TARGET
}

/// Writes figures, each as a line, whatever the filter of the log.
pub(super) struct Figures<W> {
    pub deployment: String,
    pub writer: W,
}

/// Nothing but figures.
pub(super) struct Only;

impl<S> Filter<S> for Only {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_figure(metadata)
    }
}

impl<S, W> Layer<S> for Figures<W>
where
    S: Subscriber,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut figure = Figure::default();
        event.record(&mut figure);
        let mut line = figure.line(&self.deployment, Timestamp::now()).to_string();
        line.push('\n');
        // A figure that cannot be written must not end a function.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

#[derive(Debug, Default)]
struct Figure {
    metric: String,
    unit: String,
    value: f64,
    dimensions: String,
}

impl Figure {
    fn line(&self, deployment: &str, at: Timestamp) -> Value {
        let mut members = Map::new();
        members.insert(DEPLOYMENT.to_owned(), deployment.into());
        let mut names = vec![DEPLOYMENT];
        for (name, value) in metric::dimensions(&self.dimensions) {
            names.push(name);
            members.insert(name.to_owned(), value.into());
        }
        let directive = json!({
            "Namespace": NAMESPACE,
            "Dimensions": [names],
            "Metrics": [{ "Name": self.metric, "Unit": self.unit }],
        });
        let about = json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": [directive] });
        members.insert(self.metric.clone(), self.value.into());
        members.insert("_aws".to_owned(), about);
        Value::Object(members)
    }
}

impl Visit for Figure {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "value" {
            self.value = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "metric" => self.metric = value.to_owned(),
            "unit" => self.unit = value.to_owned(),
            "dimensions" => self.dimensions = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
