//! How we talk to AWS: the SDK's own environment, with short time-outs and few retries.

use std::{pin::Pin, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};

/// One try may take this long; every call we make is small.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// A call with all its tries. Below the functions' time-out, so that an error is still reported.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries, the first included. What a call leaves undone is repaired by the queue and the sweep.
const MAX_ATTEMPTS: u32 = 3;

/// Loads region, credentials and endpoints from where the SDK looks for them (`AWS_REGION`,
/// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_ECS`, the role of the function or task).
pub async fn load() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .load()
        .await
}

/// A call of the SDK, on the heap: its futures are so large that a few of them inside each other
/// are more than a thread's stack holds in a debug build.
pub(crate) fn sent<F: Future>(call: F) -> Pin<Box<F>> {
    Box::pin(call)
}
