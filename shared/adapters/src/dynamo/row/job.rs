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
    change::text,
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
    expires_at: Option<i64>,
}

impl JobRow {
    /// The whole item. A job that has ended has its end of life.
    pub(in crate::dynamo) fn item(job: &Job) -> Result<Item, StoreError> {
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
            expires_at: job
                .state
                .is_terminal()
                .then(|| job_expiry(job.finished_at.unwrap_or(job.updated_at))),
        };
        let mut item = item(&Key::job(&job.id), &row)?;
        item.extend(index_places(job));
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

/// Where the indexes have a job. One that has ended is in no sweep's way; one whose next effect is
/// a shared poll is found by whoever polls for the connection, unless it is parked.
fn index_places(job: &Job) -> Item {
    let mut places = Item::new();
    if let Some(look_at) = job.look_at() {
        places.insert("due_shard".to_owned(), text(due_shard(&job.id)));
        places.insert("due_at".to_owned(), exact_seconds(look_at));
    }
    let shares = job.intent.as_ref().is_some_and(|intent| intent.effect.is_shared());
    let goes_on = !job.state.is_terminal() && job.waiting_on.is_none();
    if let Some(due_at) = job.due_at.filter(|_| shares && goes_on) {
        places.insert("poll_of".to_owned(), text(job.connection.as_str()));
        places.insert("poll_at".to_owned(), exact_seconds(due_at));
    }
    places
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use jiff::SignedDuration;
    use nodeyard_domain::{
        id::{JobId, NodeId},
        job::{Effect, Intent, JobKind, ParkReason},
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

    #[test]
    fn only_a_shared_poll_that_goes_on_is_found_by_its_connection() {
        let polls = |job: &Job| {
            let item = JobRow::item(job).unwrap();
            assert_eq!(item.contains_key("poll_of"), item.contains_key("poll_at"));
            item.get("poll_of").cloned()
        };
        let mut job = job();
        assert_eq!(polls(&job), None, "a key is asked for by the job itself");
        let poll = Effect::PollAction { action_id: 7 };
        job.intent = Some(Intent { id: EffectId(2), effect: poll });
        assert_eq!(polls(&job), Some(text("main")));
        // News are the job's own: the poll keeps its time.
        job.news_at = Some(job.created_at - SignedDuration::from_secs(60));
        let item = JobRow::item(&job).unwrap();
        assert_eq!(item["poll_at"], exact_seconds(job.due_at.unwrap()));
        job.waiting_on = Some(ParkReason::RateBudget);
        assert_eq!(polls(&job), None, "parked");
        job.waiting_on = None;
        job.state = JobState::Failed;
        assert_eq!(polls(&job), None, "ended");
    }
}
