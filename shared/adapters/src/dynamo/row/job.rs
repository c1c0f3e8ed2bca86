//! The job's item.

use jiff::Timestamp;
use nodeyard_domain::{
    id::EffectId,
    job::{Job, JobState},
};
use nodeyard_engine::store::StoreError;
use serde::{Deserialize, Serialize};

use super::{Item, Key, item, job_expiry};
use crate::dynamo::{
    keys::{JOB_LIST, due_shard, exact_seconds, list_place},
    text::Text,
};

/// The fence, and the flags that others set without moving it, stand beside the document.
#[derive(Serialize, Deserialize)]
pub(in crate::dynamo) struct JobRow {
    job: Text<Job>,
    version: u64,
    state: JobState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<EffectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_requested_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    news_at: Option<Timestamp>,
    crashes: u32,
    list_pk: String,
    list_sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_shard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl JobRow {
    /// The whole item. A job that has ended is in no sweep's way, and has its end of life.
    pub(in crate::dynamo) fn item(job: &Job) -> Result<Item, StoreError> {
        let look_at = job.look_at();
        let row = Self {
            job: Text(job.clone()),
            version: job.version,
            state: job.state,
            sent_at: job.sent_at,
            cancel_requested_at: job.cancel_requested_at,
            news_at: job.news_at,
            crashes: job.crashes,
            list_pk: JOB_LIST.to_owned(),
            list_sk: list_place(job.created_at, job.id.as_str()),
            due_shard: look_at.map(|_| due_shard(&job.id)),
            expires_at: job
                .state
                .is_terminal()
                .then(|| job_expiry(job.finished_at.unwrap_or(job.updated_at))),
        };
        let mut item = item(&Key::job(&job.id), &row)?;
        if let Some(look_at) = look_at {
            item.insert("due_at".to_owned(), exact_seconds(look_at));
        }
        Ok(item)
    }

    pub(in crate::dynamo) fn into_job(self) -> Job {
        let Text(mut job) = self.job;
        job.version = self.version;
        job.sent_at = self.sent_at;
        job.cancel_requested_at = self.cancel_requested_at;
        job.news_at = self.news_at;
        job.crashes = self.crashes;
        job
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use jiff::SignedDuration;
    use nodeyard_domain::{
        id::{JobId, NodeId},
        job::JobKind,
    };

    use super::*;
    use crate::dynamo::row::read;

    fn job() -> Job {
        Job::new(
            JobId::from_bits(1),
            JobKind::NodeProvision,
            NodeId::from_bits(2),
            "main".parse().unwrap(),
            "ci",
            600,
            "2026-01-01T00:00:00.000000001Z".parse().unwrap(),
        )
    }

    fn back(item: Item) -> Job {
        read::<JobRow>(item).unwrap().into_job()
    }

    #[test]
    fn a_job_comes_back_as_it_was() {
        let mut job = job();
        job.sent_at = Some(EffectId(1));
        job.crashes = 3;
        job.news_at = Some(job.created_at);
        assert_eq!(back(JobRow::item(&job).unwrap()), job);
    }

    #[test]
    fn flags_set_beside_the_document_go_before_it() {
        let mut item = JobRow::item(&job()).unwrap();
        item.insert("crashes".into(), AttributeValue::N("4".into()));
        item.insert("sent_at".into(), AttributeValue::N("1".into()));
        item.insert("news_at".into(), AttributeValue::S("2026-01-01T00:00:05Z".into()));
        let job = back(item);
        assert_eq!((job.crashes, job.sent_at), (4, Some(EffectId(1))));
        assert_eq!(job.news_at, Some("2026-01-01T00:00:05Z".parse().unwrap()));
    }

    #[test]
    fn only_a_job_that_has_ended_leaves_the_sweep_and_expires() {
        let mut job = job();
        let open = JobRow::item(&job).unwrap();
        assert!(open.contains_key("due_shard") && open.contains_key("due_at"));
        assert!(!open.contains_key("expires_at"));
        job.state = JobState::Succeeded;
        let end = job.created_at + SignedDuration::from_secs(60);
        job.finished_at = Some(end);
        let ended = JobRow::item(&job).unwrap();
        assert!(!ended.contains_key("due_shard") && !ended.contains_key("due_at"));
        let expiry = (end.as_second() + 90 * 86_400).to_string();
        assert_eq!(ended["expires_at"], AttributeValue::N(expiry));
    }
}
