//! The job store in memory, as runs use it: the worker writes them, the container task finishes
//! them.

use jiff::Timestamp;
use nodeyard_domain::{
    evidence::Entry,
    host_key::HostPins,
    id::{JobId, NodeId},
    run::{Run, RunResult},
    timeline::TimelineEntry,
};
use nodeyard_engine::store::{RunStore, RunWrite, StoreError};
use serde_json::Value;

use super::{Failures, Items, MAX_ITEM_BYTES, MemoryStore, Result, WRITE, check_size};
use crate::faults::Fault;

const RUN: Failures = (Fault::RunUnavailable, Fault::RunAnswerLost);

impl Items {
    fn put_run(&mut self, run: &Run) -> RunWrite {
        let key = (run.job_id.clone(), run.number);
        if let Some(known) = self.runs.get(&key) {
            return RunWrite::Exists(Box::new(known.clone()));
        }
        self.runs.insert(key, run.clone());
        RunWrite::Written
    }

    fn stop_run(&mut self, job: &JobId, node: &NodeId, number: u32, now: Timestamp) -> Option<Run> {
        let key = (job.clone(), number);
        if let Some(run) = self.runs.get_mut(&key) {
            let before = run.clone();
            run.stop_requested = true;
            return Some(before);
        }
        let node = self.nodes.get(node)?;
        let tombstone = Run::tombstone(job.clone(), number, node, now);
        self.runs.insert(key, tombstone);
        None
    }

    fn finish_run(&mut self, job: &JobId, number: u32, result: &RunResult) -> bool {
        let run = self.runs.get_mut(&(job.clone(), number));
        let Some(run) = run.filter(|run| run.result.is_none()) else { return false };
        run.result = Some(result.clone());
        self.set_news(job, result.finished_at);
        true
    }
}

impl RunStore for MemoryStore {
    async fn put_run(&self, run: &Run) -> Result<RunWrite> {
        self.change(RUN, |items| Ok(items.put_run(run))).await
    }

    async fn run(&self, job: &JobId, number: u32) -> Result<Option<Run>> {
        let stored = |items: &Items| Ok(items.runs.get(&(job.clone(), number)).cloned());
        self.look(Fault::ReadUnavailable, stored).await
    }

    async fn set_run_task(&self, job: &JobId, number: u32, task: &str) -> Result<()> {
        self.change(RUN, |items| {
            if let Some(run) = items.runs.get_mut(&(job.clone(), number)) {
                run.task = Some(task.to_owned());
            }
            Ok(())
        })
        .await
    }

    async fn stop_run(
        &self,
        job: &JobId,
        node: &NodeId,
        number: u32,
        now: Timestamp,
    ) -> Result<Option<Run>> {
        self.change(RUN, |items| Ok(items.stop_run(job, node, number, now))).await
    }

    async fn finish_run(&self, job: &JobId, number: u32, result: &RunResult) -> Result<bool> {
        self.change(RUN, |items| Ok(items.finish_run(job, number, result))).await
    }

    async fn pins(&self, node: &NodeId) -> Result<Option<HostPins>> {
        self.look(Fault::ReadUnavailable, |items| Ok(items.pins.get(node).cloned())).await
    }

    async fn put_pins(
        &self,
        node: &NodeId,
        expected: Option<&HostPins>,
        pins: &HostPins,
    ) -> Result<bool> {
        self.change(RUN, |items| {
            let as_expected = items.pins.get(node) == expected;
            if as_expected {
                items.pins.insert(node.clone(), pins.clone());
            }
            Ok(as_expected)
        })
        .await
    }

    async fn append_timeline(&self, job: &JobId, entries: &[TimelineEntry]) -> Result<()> {
        for entry in entries {
            check_size(job.as_str(), entry, MAX_ITEM_BYTES)?;
        }
        self.change(WRITE, |items| {
            items.timeline.entry(job.clone()).or_default().extend(entries.iter().cloned());
            Ok(())
        })
        .await
    }

    async fn append_log(&self, job: &JobId, run: u32, sequence: u32, text: &str) -> Result<()> {
        if text.len() > MAX_ITEM_BYTES {
            return Err(StoreError::TooLarge { key: job.to_string(), bytes: text.len() });
        }
        self.change(WRITE, |items| {
            items.log.entry(job.clone()).or_default().insert((run, sequence), text.to_owned());
            Ok(())
        })
        .await
    }

    async fn append_run_evidence(&self, job: &JobId, run: u32, entries: &[Entry]) -> Result<bool> {
        check_size(job.as_str(), &entries, MAX_ITEM_BYTES)?;
        self.change(RUN, |items| Ok(items.add_run_evidence(job, run, entries))).await
    }

    async fn run_evidence(&self, job: &JobId, run: u32) -> Result<Vec<Value>> {
        self.look(Fault::ReadUnavailable, |items| Ok(items.own_chain(job, run))).await
    }
}
