//! The figures that are told while something is done.

use std::sync::{Arc, Mutex, PoisonError};

use nodeyard_engine::metric;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber as _,
    span::{Attributes, Id, Record},
};

/// A figure as it was told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figure {
    pub metric: String,
    pub value: f64,
    /// Names and values in turn.
    pub dimensions: Vec<(String, String)>,
}

impl Figure {
    /// Whether it is of this metric and has exactly these values of its dimensions.
    pub fn is(&self, metric: &str, values: &[&str]) -> bool {
        let own: Vec<&str> = self.dimensions.iter().map(|(_, value)| value.as_str()).collect();
        self.metric == metric && own == values
    }
}

/// Does something, in this task, and listens.
pub async fn measured<T>(doing: impl Future<Output = T>) -> (T, Vec<Figure>) {
    let heard = Heard::default();
    let done = doing.with_subscriber(heard.clone()).await;
    let figures = heard.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (done, figures)
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Figure>>>);

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == metric::TARGET
    }
    fn event(&self, event: &Event<'_>) {
        let mut figure = Figure::default();
        event.record(&mut figure);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(figure);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Figure {
    fn record_f64(&mut self, _: &Field, value: f64) {
        self.value = value;
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "metric" => self.metric = value.to_owned(),
            "dimensions" => {
                let told = metric::dimensions(value);
                self.dimensions = told.map(|(name, it)| (name.to_owned(), it.to_owned())).collect();
            }
            _ => {}
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
