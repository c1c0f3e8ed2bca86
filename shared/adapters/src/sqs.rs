//! The wake queue on SQS.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, error::DisplayErrorContext};
use nodeyard_domain::wake::{MAX_WAKE_DELAY_SECS, Wake};
use nodeyard_engine::queue::{QueueError, WakeQueue};

use crate::aws::sent;

#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }
}

impl WakeQueue for SqsQueue {
    async fn send(&self, wake: &Wake, delay_secs: i64) -> Result<(), QueueError> {
        let delay_secs = delay(delay_secs)?;
        let body = serde_json::to_string(wake).map_err(|error| QueueError(error.to_string()))?;
        let call = self.client.send_message().queue_url(&self.url);
        let call = call.message_body(body).delay_seconds(delay_secs);
        match sent(call.send()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(QueueError(DisplayErrorContext(&error).to_string())),
        }
    }
}

/// `DelaySeconds` holds 0 to 900. Cut to that, a wake would come early and be dropped.
fn delay(delay_secs: i64) -> Result<i32, QueueError> {
    let fits = (0..=MAX_WAKE_DELAY_SECS).contains(&delay_secs);
    let secs = i32::try_from(delay_secs).ok().filter(|_| fits);
    secs.ok_or_else(|| QueueError(format!("a delay of {delay_secs} s is refused")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_what_the_queue_takes() {
        let taken = [-5, 0, 7, 900, 901, i64::MAX].map(|secs| delay(secs).ok());
        assert_eq!(taken, [None, Some(0), Some(7), Some(900), None, None]);
    }
}
