//! The body of a queue message.

use nodeyard_domain::wake::Wake;
use serde_json::Value;

use super::hold;
use crate::{corpus, target::Target};

pub(super) struct WakeBody;

/// The bodies of the records in the sample events.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for event in corpus::events("worker-wakes") {
        let event: Value = serde_json::from_slice(&event).unwrap_or_default();
        let records = event["Records"].as_array().cloned().unwrap_or_default();
        bodies
            .extend(records.iter().filter_map(|it| Some(it["body"].as_str()?.as_bytes().to_vec())));
    }
    bodies
}

impl Target for WakeBody {
    fn name(&self) -> &'static str {
        "wake"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        bodies()
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Ok(wake) = serde_json::from_slice::<Wake>(input) else {
            return Ok("unreadable".into());
        };
        let written = serde_json::to_string(&wake).map_err(|error| error.to_string())?;
        let again = serde_json::from_str::<Wake>(&written).map_err(|error| error.to_string())?;
        hold(again == wake, || format!("{wake:?} came back as {again:?}"))?;
        hold(wake.job_id.as_str().len() == 36, || format!("{wake:?} is no job's"))?;
        Ok(format!("{:?}", wake.reason))
    }
}
