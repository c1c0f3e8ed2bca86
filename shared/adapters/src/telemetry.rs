//! Logging: JSON lines on standard output, filtered by `NODEYARD_LOG`; and figures among them, which
//! no filter keeps back: alarms are made of them.

mod emf;

use std::sync::Once;

use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt,
};

use self::emf::{Figures, Only, is_figure};

const DEFAULT_FILTER: &str = "info";

static STARTED: Once = Once::new();

/// Starts logging with a tracing filter such as `info,nodeyard_engine=debug`; later calls do
/// nothing. A filter that cannot be read is replaced by `info`, and said to be.
pub fn init(filter: Option<&str>, deployment: &str) {
    STARTED.call_once(|| {
        let wanted = filter.unwrap_or(DEFAULT_FILTER);
        let (filter, unreadable) = match EnvFilter::builder().parse(wanted) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        };
        // A subscriber that somebody else has set stays: losing our format must not end a function.
        let _ = subscriber(filter, deployment, std::io::stdout).try_init();
        if let Some(error) = unreadable {
            tracing::warn!(%error, "NODEYARD_LOG cannot be read; logging at info");
        }
    });
}

/// Never more than debug, whatever the filter says: at trace, the crates we are built on write down
/// whole requests and answers, and with them tokens.
fn subscriber<W>(filter: EnvFilter, deployment: &str, writer: W) -> impl SubscriberInitExt
where
    W: for<'writer> MakeWriter<'writer> + Clone + Send + Sync + 'static,
{
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false)
        .with_writer(writer.clone())
        .with_filter(filter.and(filter_fn(|metadata| !is_figure(metadata))));
    let figures = Figures { deployment: deployment.to_owned(), writer };
    registry().with(lines).with(figures.with_filter(Only)).with(LevelFilter::DEBUG)
}

/// Starts logging with the filter of `NODEYARD_LOG`: before the configuration is parsed, so that
/// its problems are logged too.
pub fn init_from_env() {
    let deployment = std::env::var("NODEYARD_DEPLOYMENT").unwrap_or_default();
    init(std::env::var("NODEYARD_LOG").ok().as_deref(), &deployment);
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use nodeyard_engine::metric::{self, Metric};
    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_logged_at_trace_whatever_the_filter_says() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(EnvFilter::new("trace"), "main", move || writer.clone());
        let guard = subscriber.set_default();
        tracing::debug!("told");
        tracing::trace!("hunter2");
        let span = tracing::trace_span!("request", body = "hunter2");
        span.in_scope(|| tracing::info!("told as well"));
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("told as well") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn figures_are_written_whatever_the_filter_says_and_once() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(EnvFilter::new("error"), "main", move || writer.clone());
        let guard = subscriber.set_default();
        tracing::info!("kept back");
        let dimensions = [("Class", "GET /servers"), ("Status", "200")];
        metric::tell(Metric::ProviderCalls, 1.0, &dimensions);
        metric::tell(Metric::OldestDueJobAge, 0.0, &[]);
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        let about = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            *about,
            json!({
                "Namespace": "Nodeyard",
                "Dimensions": [["Deployment", "Class", "Status"]],
                "Metrics": [{"Name": "ProviderCalls", "Unit": "Count"}],
            })
        );
        assert!(lines[0]["_aws"]["Timestamp"].as_i64().unwrap() > 1_700_000_000_000);
        let told = |name| &lines[0][name];
        assert_eq!((told("Deployment"), told("Status")), (&json!("main"), &json!("200")));
        assert_eq!(
            (told("ProviderCalls"), &lines[1]["OldestDueJobAge"]),
            (&json!(1.0), &json!(0.0))
        );
    }
}
