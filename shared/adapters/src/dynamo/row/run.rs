//! The run's item.

use nodeyard_domain::run::{Run, RunResult};
use nodeyard_engine::store::StoreError;
use serde::{Deserialize, Serialize};

use super::{Item, Key, child_expiry, item};
use crate::dynamo::text::Text;

/// What is set after the record was written stands beside the document.
#[derive(Serialize, Deserialize)]
pub(in crate::dynamo) struct RunRow {
    run: Text<Run>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    stop_requested: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Text<RunResult>>,
    expires_at: i64,
}

impl RunRow {
    pub(in crate::dynamo) fn item(run: &Run) -> Result<Item, StoreError> {
        let row = Self {
            task: run.task.clone(),
            stop_requested: run.stop_requested,
            result: run.result.clone().map(Text),
            expires_at: child_expiry(run.created_at),
            run: Text(run.clone()),
        };
        item(&Key::run(&run.job_id, run.number), &row)
    }

    pub(in crate::dynamo) fn into_run(self) -> Run {
        let Text(mut run) = self.run;
        run.task = self.task;
        run.stop_requested = self.stop_requested;
        run.result = self.result.map(|text| text.0);
        run
    }
}
