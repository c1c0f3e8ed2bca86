//! The task's ports in memory, with the faults that a test asks for.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    connection::{Connection, ConnectionName, KeySecret, StoredToken},
    evidence::{Entry, Hash, Signature},
    host_key::HostPins,
    id::{JobId, NodeId},
    ownership::DeploymentKey,
    run::{Run, RunResult},
    spec::Profile,
    timeline::TimelineEntry,
    wake::Wake,
};
use nodeyard_engine::{
    Clock,
    queue::{QueueError, WakeQueue},
    secrets::{Secrets, SecretsError},
    store::{RunStore, RunWrite, StoreError},
};
use nodeyard_testkit::world::KEY_STEM;
use secrecy::SecretString;

/// What the world knows, and what went wrong on purpose.
#[derive(Debug)]
pub struct State {
    pub run: Run,
    pub pins: Option<HostPins>,
    pub timeline: Vec<TimelineEntry>,
    pub log: Vec<(u32, String)>,
    pub evidence: Vec<Entry>,
    pub results: Vec<RunResult>,
    pub wakes: Vec<Wake>,
    /// Versions of the managed key that exist, with their private halves.
    pub keys: Vec<(u32, String)>,
    /// What their secrets are called, before the version.
    pub keys_at: String,
    /// Calls to come that fail; of a write, after it was done.
    pub failing_pins: usize,
    /// Writes of pins so far, and the one at which the run stands still for ever: this file says
    /// that it does.
    pub pins_written: usize,
    pub stuck: Option<(usize, Stuck, PathBuf)>,
    pub failing_finish: usize,
    pub failing_timeline: usize,
    /// From when this file exists, the run's stop is requested.
    pub stop_once: Option<PathBuf>,
    /// From when this file exists, the run's deadline is over.
    pub late_once: Option<PathBuf>,
    /// The file that holds the host key the node shows: it must never be unpinned.
    pub shown_key: Option<PathBuf>,
}

/// Where in a write of pins a run stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    Before,
    After,
}

#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<State>>);

impl World {
    pub fn new(pins: HostPins) -> Self {
        let now = Timestamp::now();
        let run = Run {
            purpose: Default::default(),
            expected_tasks: None,
            traceparent: None,
            job_id: JobId::from_bits(0xa),
            number: 1,
            node_id: NodeId::from_bits(0xb),
            connection: "main".parse().unwrap(),
            server_id: pins.server_id,
            address: "198.18.0.10".into(),
            profile: Profile::web(),
            vars: serde_json::Map::new(),
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            key_versions: vec![1],
            key_stem: Some(KEY_STEM.into()),
            created_at: now,
            deadline_at: now + SignedDuration::from_hours(1),
            task: None,
            stop_requested: false,
            result: None,
        };
        Self(Arc::new(Mutex::new(State {
            run,
            pins: Some(pins),
            timeline: Vec::new(),
            log: Vec::new(),
            results: Vec::new(),
            wakes: Vec::new(),
            keys: vec![(1, "managed key 1".into())],
            keys_at: format!("ssh-key/{KEY_STEM}"),
            evidence: Vec::new(),
            failing_pins: 0,
            pins_written: 0,
            stuck: None,
            failing_finish: 0,
            failing_timeline: 0,
            stop_once: None,
            late_once: None,
            shown_key: None,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn stand_still(&self, at: Stuck) {
        let reached = {
            let state = self.state();
            let here = (state.pins_written, at);
            let stuck = state.stuck.as_ref();
            stuck.filter(|(write, at, _)| (*write, *at) == here).map(|(.., file)| file.clone())
        };
        if let Some(file) = reached {
            std::fs::write(file, "").unwrap();
            std::future::pending::<()>().await;
        }
    }

    /// The result of the last run.
    pub fn result(&self) -> RunResult {
        self.state().results.last().cloned().expect("a result is on record")
    }

    pub fn messages(&self) -> Vec<String> {
        self.state().timeline.iter().map(|entry| entry.message.clone()).collect()
    }

    pub fn log_text(&self) -> String {
        self.state().log.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The record of the run that follows.
    pub fn next_run(&self) {
        let mut state = self.state();
        state.run.number += 1;
        state.run.result = None;
    }
}

impl State {
    fn fails(calls: &mut usize) -> Result<(), StoreError> {
        if *calls == 0 {
            return Ok(());
        }
        *calls -= 1;
        Err(StoreError::Unavailable("as the test asked".into()))
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let state = self.state();
        match &state.late_once {
            Some(path) if path.exists() => state.run.deadline_at,
            _ => Timestamp::now(),
        }
    }
}

impl RunStore for World {
    async fn put_run(&self, _: &Run) -> Result<RunWrite, StoreError> {
        panic!("a task writes no run record")
    }

    async fn run(&self, job: &JobId, number: u32) -> Result<Option<Run>, StoreError> {
        let mut state = self.state();
        if state.stop_once.as_ref().is_some_and(|path| path.exists()) {
            state.run.stop_requested = true;
        }
        let known = state.run.job_id == *job && state.run.number == number;
        Ok(known.then(|| state.run.clone()))
    }

    async fn set_run_task(&self, _: &JobId, _: u32, _: &str) -> Result<(), StoreError> {
        panic!("a task does not name itself")
    }

    async fn stop_run(
        &self,
        _: &JobId,
        _: &NodeId,
        _: u32,
        _: Timestamp,
    ) -> Result<Option<Run>, StoreError> {
        panic!("a task does not ask itself to stop")
    }

    async fn finish_run(
        &self,
        job: &JobId,
        number: u32,
        result: &RunResult,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        assert_eq!((&state.run.job_id, state.run.number), (job, number));
        State::fails(&mut state.failing_finish)?;
        if state.run.result.is_some() {
            return Ok(false);
        }
        state.run.result = Some(result.clone());
        state.results.push(result.clone());
        Ok(true)
    }

    async fn pins(&self, node: &NodeId) -> Result<Option<HostPins>, StoreError> {
        let state = self.state();
        assert_eq!(&state.run.node_id, node);
        Ok(state.pins.clone())
    }

    async fn put_pins(
        &self,
        node: &NodeId,
        expected: Option<&HostPins>,
        pins: &HostPins,
    ) -> Result<bool, StoreError> {
        self.state().pins_written += 1;
        self.stand_still(Stuck::Before).await;
        {
            let mut state = self.state();
            assert_eq!(&state.run.node_id, node);
            if state.pins.as_ref() != expected {
                return Ok(false);
            }
            if let Some(shown) = &state.shown_key {
                let shown = std::fs::read_to_string(shown).unwrap();
                let is_pinned = pins.known_hosts("node").contains(shown.trim());
                assert!(is_pinned, "the node is locked out");
            }
            state.pins = Some(pins.clone());
            State::fails(&mut state.failing_pins)?;
        }
        self.stand_still(Stuck::After).await;
        Ok(true)
    }

    async fn append_timeline(
        &self,
        job: &JobId,
        entries: &[TimelineEntry],
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        assert_eq!(&state.run.job_id, job);
        assert!(!entries.is_empty(), "nothing is appended for nothing");
        State::fails(&mut state.failing_timeline)?;
        state.timeline.extend_from_slice(entries);
        Ok(())
    }

    async fn append_log(
        &self,
        job: &JobId,
        run: u32,
        sequence: u32,
        text: &str,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        assert_eq!((&state.run.job_id, state.run.number), (job, run));
        assert!(text.len() <= 48 * 1024, "a piece is bounded");
        state.log.push((sequence, text.to_owned()));
        Ok(())
    }

    async fn append_run_evidence(
        &self,
        job: &JobId,
        run: u32,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        assert_eq!((&state.run.job_id, state.run.number), (job, run));
        assert!(!entries.is_empty(), "nothing is appended for nothing");
        state.evidence.extend_from_slice(entries);
        Ok(true)
    }

    async fn run_evidence(&self, _: &JobId, _: u32) -> Result<Vec<serde_json::Value>, StoreError> {
        let value = |entry| serde_json::to_value(entry).expect("an entry serialises");
        Ok(self.state().evidence.iter().map(value).collect())
    }
}

impl WakeQueue for World {
    async fn send(&self, wake: &Wake, delay_secs: i64) -> Result<(), QueueError> {
        let mut state = self.state();
        assert_eq!(delay_secs, 0);
        assert!(state.run.result.is_some(), "the result is on record before the wake");
        state.wakes.push(wake.clone());
        Ok(())
    }
}

impl Secrets for World {
    async fn deployment_key(&self) -> Result<DeploymentKey, SecretsError> {
        panic!("the task's role may not read the deployment key")
    }

    async fn sign_evidence(&self, _: &Hash, _: Timestamp) -> Result<Signature, SecretsError> {
        panic!("the task's role may not sign")
    }

    async fn provider_token(&self, _: &Connection, _: bool) -> Result<SecretString, SecretsError> {
        panic!("the task's role may not read provider tokens")
    }

    async fn put_provider_token(
        &self,
        _: &ConnectionName,
        _: Option<&StoredToken>,
        _: &SecretString,
    ) -> Result<StoredToken, SecretsError> {
        panic!("the task writes no secret")
    }

    async fn delete_provider_token(&self, _: &Connection) -> Result<(), SecretsError> {
        panic!("the task deletes no secret")
    }

    async fn ssh_key(&self, key: &KeySecret) -> Result<SecretString, SecretsError> {
        let state = self.state();
        let is_asked = |version| format!("{}/{version}", state.keys_at) == key.to_string();
        let found = state.keys.iter().find(|(version, _)| is_asked(*version));
        found
            .map(|(_, text)| SecretString::from(text.as_str()))
            .ok_or_else(|| SecretsError::Missing(key.to_string()))
    }

    async fn put_ssh_key(&self, _: &KeySecret, _: &SecretString) -> Result<bool, SecretsError> {
        panic!("the task writes no secret")
    }

    async fn make_ssh_key(&self, _: &KeySecret, _: &str) -> Result<Option<String>, SecretsError> {
        panic!("the task writes no secret")
    }

    async fn destroy_ssh_key(&self, _: &KeySecret) -> Result<(), SecretsError> {
        panic!("the task destroys no secret")
    }

    async fn bootstrap(&self) -> Result<SecretString, SecretsError> {
        panic!("the task's role may not read the bootstrap secret")
    }
}
