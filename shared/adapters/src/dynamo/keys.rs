//! What items are called, and how times are written in keys.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use nodeyard_domain::{
    connection::ConnectionName,
    id::{EventId, JobId, NodeId},
    orphan::OrphanId,
};

pub(super) type Item = HashMap<String, AttributeValue>;

/// Jobs are spread over this many partitions of the index that the sweep reads.
const DUE_SHARDS: u32 = 4;
/// Where that index holds nodes: left-overs are few, so one partition does.
pub(super) const NODE_DUE_SHARD: &str = "node-due#0";
/// And where events: they are sent at once, so few wait.
pub(super) const EVENT_DUE_SHARD: &str = "event-due#0";

/// And where ended jobs whose evidence is unsigned: they are signed at once, so few wait.
pub(super) const UNSIGNED_DUE_SHARD: &str = "unsigned-due#0";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

pub(super) const TIMELINE_PREFIX: &str = "T#";
pub(super) const LOG_PREFIX: &str = "L#";
pub(super) const EVIDENCE_PREFIX: &str = "E#";
pub(super) const RUN_EVIDENCE_PREFIX: &str = "V#";
pub(super) const NODE_JOB_PREFIX: &str = "J#";
pub(super) const CONNECTIONS: &str = "CONNECTION";
pub(super) const TOKENS: &str = "TOKEN";
pub(super) const ORPHANS: &str = "ORPHAN";
pub(super) const JOB_LIST: &str = "JOB";
pub(super) const NODE_LIST: &str = "NODE";

/// What the sort keys of a run's own chain begin with.
pub(super) fn run_evidence_prefix(run: u32) -> String {
    format!("{RUN_EVIDENCE_PREFIX}{run:06}#")
}

impl Key {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(super) fn job(id: &JobId) -> Self {
        Self::new(job_partition(id), "JOB")
    }

    /// `writer` makes the key unique among entries of the same time, and orders them.
    pub(super) fn timeline(job: &JobId, at: Timestamp, writer: &str) -> Self {
        Self::new(job_partition(job), format!("{TIMELINE_PREFIX}{}#{writer}", sortable(at)))
    }

    pub(super) fn log(job: &JobId, run: u32, sequence: u32) -> Self {
        Self::new(job_partition(job), format!("{LOG_PREFIX}{run:06}#{sequence:08}"))
    }

    pub(super) fn run(job: &JobId, number: u32) -> Self {
        Self::new(job_partition(job), format!("RUN#{number:06}"))
    }

    /// A version is committed once, so its pieces are written once.
    pub(super) fn evidence(job: &JobId, version: u64, piece: usize) -> Self {
        let place = format!("{EVIDENCE_PREFIX}{version:012}#{piece:03}");
        Self::new(job_partition(job), place)
    }

    pub(super) fn run_evidence(job: &JobId, run: u32, first: u32) -> Self {
        Self::new(job_partition(job), format!("{}{first:08}", run_evidence_prefix(run)))
    }

    pub(super) fn signature(job: &JobId) -> Self {
        Self::new(job_partition(job), "SIGNATURE")
    }

    pub(super) fn node(id: &NodeId) -> Self {
        Self::new(node_partition(id), "NODE")
    }

    pub(super) fn node_job(node: &NodeId, job: &JobId, created_at: Timestamp) -> Self {
        let place = list_place(created_at, job.as_str());
        Self::new(node_partition(node), format!("{NODE_JOB_PREFIX}{place}"))
    }

    pub(super) fn event(id: &EventId) -> Self {
        Self::new(format!("EVENT#{id}"), "EVENT")
    }

    pub(super) fn connection(name: &ConnectionName) -> Self {
        Self::new(CONNECTIONS, name.as_str())
    }

    pub(super) fn catalogue(connection: &ConnectionName) -> Self {
        Self::new("CATALOGUE", connection.as_str())
    }

    pub(super) fn pace(connection: &ConnectionName) -> Self {
        Self::new("PACE", connection.as_str())
    }

    pub(super) fn token(hash: &str) -> Self {
        Self::new(TOKENS, hash)
    }

    pub(super) fn orphan(id: &OrphanId) -> Self {
        Self::new(ORPHANS, id.as_str())
    }

    pub(super) fn orphan_state() -> Self {
        Self::new("MARKER", "ORPHAN_CHECK")
    }

    pub(super) fn first_admin() -> Self {
        Self::new("MARKER", "FIRST_ADMIN")
    }

    pub(super) fn idempotency(key: &str) -> Self {
        Self::new(format!("IDEM#{key}"), "IDEM")
    }

    pub(super) fn is_job(&self) -> bool {
        self.sk == "JOB"
    }

    pub(super) fn attributes(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pk, self.sk)
    }
}

pub(super) fn job_partition(id: &JobId) -> String {
    format!("JOB#{id}")
}

pub(super) fn node_partition(id: &NodeId) -> String {
    format!("NODE#{id}")
}

/// Nanoseconds since the epoch, padded so that text order is time order (until the year 2286).
pub(super) fn sortable(at: Timestamp) -> String {
    format!("{:019}", at.as_nanosecond().max(0))
}

/// A place in a list: by time, and by id among equals.
pub(super) fn list_place(at: Timestamp, id: &str) -> String {
    format!("{}#{id}", sortable(at))
}

pub(super) fn due_shard(job: &JobId) -> String {
    let digit = job.hex().chars().last().and_then(|last| last.to_digit(16)).unwrap_or(0);
    shard_name(digit % DUE_SHARDS)
}

pub(super) fn due_shards() -> impl Iterator<Item = String> {
    (0..DUE_SHARDS).map(shard_name)
}

fn shard_name(shard: u32) -> String {
    format!("due#{shard}")
}

/// Epoch seconds with nine decimals, as a number attribute: exact, where a double is not.
pub(super) fn exact_seconds(at: Timestamp) -> AttributeValue {
    let nanos = at.as_nanosecond().max(0);
    AttributeValue::N(format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000))
}

/// Reads what [`exact_seconds`] wrote; the store may have dropped zeros at its end.
pub(super) fn read_seconds(value: &AttributeValue) -> Option<Timestamp> {
    let text = value.as_n().ok()?;
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let padded = format!("{decimals:0<9}");
    if padded.len() != 9 {
        return None;
    }
    Timestamp::new(seconds.parse().ok()?, padded.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn index_times_are_exact_and_survive_dropped_zeros() {
        for text in
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.25Z"]
        {
            assert_eq!(read_seconds(&exact_seconds(at(text))), Some(at(text)));
        }
        let written = exact_seconds(at("2026-01-01T00:00:00.25Z"));
        assert_eq!(written.as_n().unwrap(), "1767225600.250000000");
        let returned = AttributeValue::N("1767225600.25".into());
        assert_eq!(read_seconds(&returned), Some(at("2026-01-01T00:00:00.25Z")));
        let whole = AttributeValue::N("1767225600".into());
        assert_eq!(read_seconds(&whole), Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(read_seconds(&AttributeValue::N("1.0000000001".into())), None);
        assert_eq!(read_seconds(&AttributeValue::S("1".into())), None);
    }

    #[test]
    fn keys_sort_by_time_and_number() {
        let job = JobId::from_bits(1);
        let early = Key::timeline(&job, at("1999-12-31T23:59:59Z"), "x");
        let late = Key::timeline(&job, at("2026-01-01T00:00:00.000000001Z"), "a");
        assert!(early.sk < late.sk && early.sk.len() == late.sk.len());
        assert!(Key::run(&job, 9).sk < Key::run(&job, 10).sk);
        assert!(Key::log(&job, 1, 99).sk < Key::log(&job, 2, 0).sk);
    }

    #[test]
    fn every_job_is_in_a_shard_that_the_sweep_reads() {
        let shards: Vec<String> = due_shards().collect();
        for other in [NODE_DUE_SHARD, EVENT_DUE_SHARD, UNSIGNED_DUE_SHARD] {
            assert!(!shards.iter().any(|shard| shard == other), "jobs and {other} do not mix");
        }
        for bits in 0..16 {
            assert!(shards.contains(&due_shard(&JobId::from_bits(bits))));
        }
    }
}
