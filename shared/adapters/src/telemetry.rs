//! Logging: JSON lines on standard output, filtered by `NODEYARD_LOG`.

use std::sync::Once;

use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt as _,
    util::SubscriberInitExt,
};

const DEFAULT_FILTER: &str = "info";

static STARTED: Once = Once::new();

/// Starts logging with a tracing filter such as `info,nodeyard_engine=debug`; later calls do
/// nothing. A filter that cannot be read is replaced by `info`, and said to be.
pub fn init(filter: Option<&str>) {
    STARTED.call_once(|| {
        let wanted = filter.unwrap_or(DEFAULT_FILTER);
        let (filter, unreadable) = match EnvFilter::builder().parse(wanted) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        };
        // A subscriber that somebody else has set stays: losing our format must not end a function.
        let _ = subscriber(filter, std::io::stdout).try_init();
        if let Some(error) = unreadable {
            tracing::warn!(%error, "NODEYARD_LOG cannot be read; logging at info");
        }
    });
}

/// Never more than debug, whatever the filter says: at trace, the crates we are built on write down
/// whole requests and answers, and with them tokens.
fn subscriber<W>(filter: EnvFilter, writer: W) -> impl SubscriberInitExt
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
        .with(LevelFilter::DEBUG)
}

/// Starts logging with the filter of `NODEYARD_LOG`: before the configuration is parsed, so that
/// its problems are logged too.
pub fn init_from_env() {
    init(std::env::var("NODEYARD_LOG").ok().as_deref());
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

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
        let subscriber = subscriber(EnvFilter::new("trace"), move || writer.clone());
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
}
