//! A job as callers see it. Everything here changes only with the job's version, so that the
//! version can be the entity tag.

use jiff::Timestamp;
use nodeyard_domain::{
    code::Retry,
    job::{Job, JobError, JobKind, JobState, ParkReason, Phase, Step},
    rotation::{Listed, ListedReason, Rotation, RotationStep},
    run::Recap,
    timeline::{Source, TimelineEntry},
    work::Work,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::names;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    #[schema(example = "job-0123456789abcdef0123456789abcdef")]
    id: String,
    #[schema(schema_with = names::job_kind)]
    kind: KindWord,
    #[schema(schema_with = names::job_state)]
    state: JobState,
    /// The job has ended and will not change any more.
    done: bool,
    #[schema(schema_with = names::step)]
    step: StepWord,
    #[schema(schema_with = names::phase)]
    phase: Phase,
    /// A rough share of the way, in percent.
    progress: u8,
    /// Why the job cannot go on at present.
    #[schema(schema_with = names::park_reason_or_null)]
    waiting_on: Option<ParkReason>,
    /// Attempts at creating the server so far.
    attempts: u32,
    error: Option<JobErrorView>,
    /// Ansible's recap of the last run that ended.
    result: Option<RecapView>,
    /// Absent for a `key_rotation`, which is on a connection.
    node_id: Option<String>,
    /// What a `key_rotation` has come to.
    rotation: Option<RotationView>,
    connection: String,
    /// The name of the token that asked for the job.
    actor: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    deadline_at: Timestamp,
    links: JobLinks,
}

/// What kinds of jobs are called.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum KindWord {
    OnNode(JobKind),
    OnConnection(&'static str),
}

/// What steps of jobs are called.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum StepWord {
    OnNode(Step),
    Rotation(RotationStep),
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rotation)]
pub struct RotationView {
    /// The version of the managed key that is made.
    key_version: u32,
    /// Nodes that let that version in and no other, by this rotation.
    done: u32,
    /// Nodes that are being configured for it.
    open: usize,
    /// How many nodes keep an older version for now. The next job on each of them catches up.
    listed_total: u32,
    /// The first of them; all are in the timeline.
    listed: Vec<ListedView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedNode)]
pub struct ListedView {
    node_id: String,
    #[schema(schema_with = names::listed_reason)]
    reason: ListedReason,
}

impl From<&Rotation> for RotationView {
    fn from(rotation: &Rotation) -> Self {
        let listed = |listed: &Listed| ListedView {
            node_id: listed.node_id.to_string(),
            reason: listed.reason,
        };
        Self {
            key_version: rotation.key_version,
            done: rotation.done,
            open: rotation.opened.len(),
            listed_total: rotation.listed_total,
            listed: rotation.listed.iter().map(listed).collect(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobError)]
pub struct JobErrorView {
    /// Stable; match on this.
    #[schema(value_type = String, example = "PROVIDER_CAPACITY_EXHAUSTED")]
    code: &'static str,
    detail: String,
    #[schema(value_type = String)]
    sentence: &'static str,
    /// What you can do about it.
    #[schema(value_type = String)]
    guidance: &'static str,
    /// `never`, `after_delay` (once the cause is mended) or `with_back_off`.
    #[schema(schema_with = names::retry)]
    retry: Retry,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recap)]
pub struct RecapView {
    ok: u32,
    changed: u32,
    failed: u32,
    unreachable: u32,
    skipped: u32,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JobLinks {
    #[serde(rename = "self")]
    this: String,
    node: Option<String>,
    timeline: String,
    log: String,
    evidence: String,
}

impl From<&JobError> for JobErrorView {
    fn from(error: &JobError) -> Self {
        Self {
            code: error.code.as_str(),
            detail: error.detail.clone(),
            sentence: error.code.sentence(),
            guidance: error.code.guidance(),
            retry: error.code.retry(),
        }
    }
}

impl From<Recap> for RecapView {
    fn from(recap: Recap) -> Self {
        let Recap { ok, changed, failed, unreachable, skipped } = recap;
        Self { ok, changed, failed, unreachable, skipped }
    }
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        let this = format!("/jobs/{}", job.id);
        Self {
            id: job.id.to_string(),
            kind: KindWord::OnNode(job.kind),
            state: job.state,
            done: job.state.is_terminal(),
            step: StepWord::OnNode(job.step),
            phase: job.phase,
            progress: job.progress(),
            waiting_on: job.waiting_on,
            attempts: job.attempt,
            error: job.error.as_ref().map(JobErrorView::from),
            result: job.recap.map(RecapView::from),
            node_id: Some(job.node_id.to_string()),
            rotation: None,
            connection: job.connection.to_string(),
            actor: job.actor.clone(),
            created_at: job.created_at,
            updated_at: job.updated_at,
            finished_at: job.finished_at,
            deadline_at: job.deadline_at,
            links: JobLinks {
                node: Some(format!("/nodes/{}", job.node_id)),
                timeline: format!("{this}/timeline"),
                log: format!("{this}/log"),
                evidence: format!("{this}/evidence"),
                this,
            },
        }
    }
}

impl From<&Work> for JobView {
    fn from(work: &Work) -> Self {
        match work {
            Work::OnNode(job) => Self::from(&**job),
            Work::Rotation(rotation) => Self::from(&**rotation),
        }
    }
}

impl From<&Rotation> for JobView {
    fn from(rotation: &Rotation) -> Self {
        let this = format!("/jobs/{}", rotation.id);
        Self {
            id: rotation.id.to_string(),
            kind: KindWord::OnConnection(names::KEY_ROTATION),
            state: rotation.state,
            done: rotation.state.is_terminal(),
            step: StepWord::Rotation(rotation.step),
            phase: Phase::Forward,
            progress: rotation.progress(),
            waiting_on: rotation.waiting_on,
            attempts: 0,
            error: rotation.error.as_ref().map(JobErrorView::from),
            result: None,
            node_id: None,
            rotation: Some(RotationView::from(rotation)),
            connection: rotation.connection.to_string(),
            actor: rotation.actor.clone(),
            created_at: rotation.created_at,
            updated_at: rotation.updated_at,
            finished_at: rotation.finished_at,
            deadline_at: rotation.deadline_at,
            links: JobLinks {
                node: None,
                timeline: format!("{this}/timeline"),
                log: format!("{this}/log"),
                evidence: format!("{this}/evidence"),
                this,
            },
        }
    }
}

/// One line of a job's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct TimelineView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who wrote it.
    #[schema(schema_with = names::timeline_source)]
    source: Source,
    message: String,
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
}

impl From<TimelineEntry> for TimelineView {
    fn from(entry: TimelineEntry) -> Self {
        Self { at: entry.at, source: entry.source, message: entry.message, fields: entry.fields }
    }
}

/// A piece of a run's log, redacted.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPiece {
    pub text: String,
}
