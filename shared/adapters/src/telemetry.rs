//! Logging: JSON lines on standard output, filtered by `NODEYARD_LOG`.

use std::sync::Once;

use tracing_subscriber::EnvFilter;

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
        let _ = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_ansi(false)
            .with_env_filter(filter)
            .try_init();
        if let Some(error) = unreadable {
            tracing::warn!(%error, "NODEYARD_LOG cannot be read; logging at info");
        }
    });
}

/// Starts logging with the filter of `NODEYARD_LOG`: before the configuration is parsed, so that
/// its problems are logged too.
pub fn init_from_env() {
    init(std::env::var("NODEYARD_LOG").ok().as_deref());
}
