//! What a node says: a playbook's output and events, through the container task's parsers.

use std::time::Duration;

use jiff::Timestamp;
use nodeyard_ansible_task::rehearsal::{Said, rehearse};
use nodeyard_domain::{
    host_key::is_public_key,
    id::{JobId, NodeId},
    run::Run,
    spec::Profile,
};
use nodeyard_engine::store::{ApiStore as _, PageRequest};
use nodeyard_testkit::{clock::SimulatedClock, store::MemoryStore};
use secrecy::SecretString;
use serde_json::{Map, json};
use tokio::runtime::Runtime;

use super::{hold, runtime};
use crate::target::{Limits, Target};

/// A line of the managed key that the run knows.
const SECRET_LINE: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";

/// The most a run may keep: its log's cap, and what is open beside it.
const MAX_LOG_BYTES: usize = (20 << 20) + (320 << 10);
const MAX_PIECE_BYTES: usize = 64 * 1024;
const MAX_ENTRIES: usize = 402;
const MAX_ENTRY_BYTES: usize = 16 * 1024;
const MAX_RESULT_BYTES: usize = 48 * 1024;

pub(super) struct NodeWords {
    runtime: Runtime,
}

impl NodeWords {
    pub(super) fn new() -> Self {
        Self { runtime: runtime() }
    }
}

fn run() -> Run {
    Run {
        purpose: Default::default(),
        expected_tasks: None,
        traceparent: None,
        job_id: JobId::from_bits(1),
        number: 1,
        node_id: NodeId::from_bits(2),
        connection: nodeyard_testkit::world::name(),
        server_id: 3,
        address: "198.18.0.10".into(),
        profile: Profile::web(),
        vars: Map::new(),
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        key_versions: vec![1],
        key_stem: None,
        created_at: Timestamp::UNIX_EPOCH,
        deadline_at: Timestamp::UNIX_EPOCH,
        task: None,
        stop_requested: false,
        result: None,
    }
}

/// What a run came to keep.
pub struct Kept {
    pub entries: usize,
    pub log_bytes: usize,
    pub kind: String,
}

/// Lets a node say something, `times` over, and looks at what was kept of it.
///
/// # Errors
/// When it is more than we promise, or something that must not be in it.
pub async fn hear(
    input: &[u8],
    piece: usize,
    times: usize,
    exit_code: i32,
) -> Result<Kept, String> {
    let (store, clock, run) = (MemoryStore::default(), SimulatedClock::default(), run());
    let secret = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET_LINE}\n-----END OPENSSH PRIVATE KEY-----\n"
    );
    let pieces = || std::iter::repeat_n(input, times).flat_map(|all| all.chunks(piece.max(1)));
    let playbook = if exit_code % 2 == 0 { "boot" } else { "web" };
    let said = Said { playbook, exit_code, output: pieces(), events: pieces() };
    let heard = rehearse((&store, &clock), &run, &SecretString::from(secret), said).await;

    let result = serde_json::to_string(&heard.result).map_err(|error| error.to_string())?;
    hold(result.len() <= MAX_RESULT_BYTES, || format!("a result of {} bytes", result.len()))?;
    hold(!result.contains(SECRET_LINE), || format!("the key is in the result: {result}"))?;
    hold(is_shown(&heard.result.message), || format!("in the message: {result}"))?;
    for finding in &heard.result.readiness {
        hold(is_shown(&finding.detail), || format!("in a finding: {result}"))?;
        hold(finding.detail.len() <= 2_000, || format!("{} bytes", finding.detail.len()))?;
    }
    let is_key = heard.host_key.as_deref().is_none_or(is_public_key);
    hold(is_key, || format!("{:?} would be pinned", heard.host_key))?;

    let entries = store.history(&run.job_id);
    hold(entries.len() <= MAX_ENTRIES, || format!("{} entries", entries.len()))?;
    for entry in &entries {
        let written = serde_json::to_string(entry).map_err(|error| error.to_string())?;
        hold(written.len() <= MAX_ENTRY_BYTES, || format!("an entry of {} bytes", written.len()))?;
        hold(!written.contains(SECRET_LINE), || format!("the key is in {written}"))?;
        hold(is_shown(&entry.message), || format!("in an entry: {written}"))?;
    }
    let page = PageRequest { cursor: None, limit: 10_000 };
    let pieces = store.log(&run.job_id, &page).await.map_err(|error| error.to_string())?.items;
    let log_bytes = pieces.iter().map(String::len).sum();
    hold(log_bytes <= MAX_LOG_BYTES, || format!("a log of {log_bytes} bytes"))?;
    for piece in &pieces {
        hold(piece.len() <= MAX_PIECE_BYTES, || format!("a piece of {} bytes", piece.len()))?;
        hold(!piece.contains(SECRET_LINE), || "the key is in the log".to_owned())?;
        hold(is_shown(piece), || "in the log".to_owned())?;
    }
    let code = heard.result.code.map_or("none", |code| code.as_str());
    let (entries, findings) = (entries.len(), heard.result.readiness.len().min(3));
    let kind = format!("{code}, {} entries, {findings} findings", entries.min(5));
    Ok(Kept { entries, log_bytes, kind })
}

/// Nothing in it is obeyed by a terminal.
fn is_shown(text: &str) -> bool {
    !text.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}')
}

impl Target for NodeWords {
    fn name(&self) -> &'static str {
        "node-words"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let play = json!({"event": "play", "play": "Profile web"});
        let task = json!({"event": "task", "play": "Profile web", "task": "Install nginx",
            "role": "web_nginx", "host": "node-1", "status": "changed", "seconds": 1.5, "item": "nginx"});
        let failed = json!({"event": "task", "task": "Wait for cloud-init", "status": "failed",
            "msg": "stderr: sudo: a password is required\u{1b}[2J", "ignored": false});
        let away = json!({"event": "task", "task": "t", "status": "unreachable",
            "msg": "Failed to connect to the host via ssh: Host key verification failed."});
        let custom = json!({"host_key_next": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvN4IGJdMXsQvpgYVgosqYBUvvdDJsCdsC30SLL6gCG",
            "readiness": [{"code": "disk_low", "ok": "True", "warning": false, "detail": "17 %"},
                {"code": "reboot_required", "ok": false, "warning": "True", "detail": "{{ x }}"}]});
        let stats = |failures: u32| {
            json!({"event": "stats", "custom": custom,
                "hosts": {"node-1": {"ok": 3, "changed": 1, "failures": failures, "unreachable": 0, "skipped": 2}}})
        };
        let key = format!("key: {SECRET_LINE} and on\r\n-----BEGIN RSA PRIVATE KEY-----\nQUJD\n");
        vec![
            format!("{play}\n{task}\n{}\n", stats(0)).into_bytes(),
            format!("{play}\n{failed}\n{}\n", stats(1)).into_bytes(),
            format!("{play}\n{away}\n").into_bytes(),
            format!(
                "{key}{}\n",
                json!({"event": "task", "task": key, "status": "failed", "msg": key})
            )
            .into_bytes(),
        ]
    }

    fn limits(&self) -> Limits {
        // A log waits in memory until it is stored; many short lines take a debug build a while.
        Limits { memory: 96 << 20, time: Duration::from_secs(15) }
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let sum: usize = input.iter().map(|byte| usize::from(*byte)).sum();
        let piece = [1_000_000, 16 * 1024, 7, 64][sum % 4];
        // Some say it again and again.
        let times = if sum.is_multiple_of(50) { (1 << 18) / input.len().max(1) + 1 } else { 1 };
        let exit_code = [0, 0, 2, 4, 1, 250, 6, 0][sum / 4 % 8];
        let kept = self.runtime.block_on(hear(input, piece, times, exit_code))?;
        Ok(format!("{exit_code}: {}", kept.kind))
    }
}
