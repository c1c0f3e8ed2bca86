//! Answers of AWS: stored items above all, which another release may have written, and the cursors
//! that callers send back.

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use nodeyard_adapters::{
    config::TaskPlace, dynamo::DynamoStore, ecs::EcsRunner, secrets::SecretsManager, sqs::SqsQueue,
};
use nodeyard_domain::{
    acceptance,
    audit::{Action, AuditEntry, Outcome, Resource},
    connection::StoredToken,
    id::{JobId, NodeId, TokenId},
    pace::Pace,
    run::Run,
    timeline::{Source, TimelineEntry},
    token::{Scope, Token},
    wake::{Wake, WakeReason},
};
use nodeyard_drills::random::Random;
use nodeyard_engine::{
    orphan::OrphanStore as _,
    queue::WakeQueue as _,
    runner::Runner as _,
    secrets::Secrets as _,
    store::{
        Acceptance, ApiStore as _, AuditFilter, JobFilter, JobStore as _, NodeFilter, PageError,
        PageRequest, RunStore as _,
    },
};
use nodeyard_testkit::{
    clock::SimulatedClock,
    provider::MemoryProvider,
    secrets::MemorySecrets,
    world::{connection, name, node_spec},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{hold, runtime_in_real_time};
use crate::{
    message::Message,
    mutation::{WORDS, mutate_message},
    parrot::Parrot,
    target::Target,
};

const CALLS: usize = 24;
/// The longest text of a log piece.
const MAX_PIECE_BYTES: usize = 64 * 1024;

pub(super) struct Stored {
    runtime: Runtime,
    parrot: Parrot,
    store: DynamoStore,
    runner: EcsRunner,
    queue: SqsQueue,
    config: SdkConfig,
    items: Vec<Value>,
}

impl Stored {
    pub(super) fn new() -> Self {
        let runtime = runtime_in_real_time();
        let parrot = runtime.block_on(Parrot::start()).expect("a port");
        let credentials = Credentials::new("fuzz", "fuzz", None, None, "fuzz");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url(parrot.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .build();
        let place = TaskPlace {
            cluster: "nodeyard-test".into(),
            task_definition: "nodeyard-test-ansible:1".into(),
            subnets: Vec::new(),
            security_groups: Vec::new(),
        };
        let store = DynamoStore::new(&config, "table");
        let runner = EcsRunner::new(&config, place);
        let queue = SqsQueue::new(&config, format!("{}/queue", parrot.endpoint()));
        let items = runtime.block_on(written(&store, &parrot));
        Self { runtime, parrot, store, runner, queue, config, items }
    }

    async fn call(&self, number: usize, body: &str) -> Result<String, String> {
        let Self { store, .. } = self;
        let (job, node) = (JobId::from_bits(1), NodeId::from_bits(2));
        let page = PageRequest { cursor: None, limit: 2 };
        match number % CALLS {
            0 | 1 => match store.load(&job).await {
                Ok(Some(loaded)) => comes_back(&loaded.job),
                other => outcome(other),
            },
            2 | 3 => match store.node(&node).await {
                Ok(Some(node)) => comes_back(&node),
                other => outcome(other),
            },
            4 => match store.run(&job, 1).await {
                Ok(Some(run)) => comes_back(&run),
                other => outcome(other),
            },
            5 => match store.connection(&name()).await {
                Ok(Some(connection)) => comes_back(&connection),
                other => outcome(other),
            },
            6 => outcome(store.pins(&node).await),
            7 => outcome(store.pace(&name(), jiff::Timestamp::UNIX_EPOCH).await),
            8 => outcome(store.tokens().await),
            9 => outcome(store.token_by_hash("00").await),
            10 => outcome(store.connections().await),
            11 => {
                let listed = store.nodes(&NodeFilter::default(), &page).await;
                self.goes_on(&listed.as_ref().ok().and_then(|it| it.next.clone())).await?;
                outcome(listed)
            }
            12 => {
                let filter = JobFilter { state: None, node: Some(node), connections: None };
                outcome(store.jobs(&filter, &page).await)
            }
            13 => outcome(store.timeline(&job, &page).await),
            14 => {
                let pieces = store.log(&job, &page).await;
                if let Ok(pieces) = &pieces {
                    let longest = pieces.items.iter().map(String::len).max().unwrap_or(0);
                    hold(longest <= MAX_PIECE_BYTES, || format!("a piece of {longest} bytes"))?;
                }
                outcome(pieces)
            }
            15 => outcome(store.audit_entries(&AuditFilter::default(), &page).await),
            16 => outcome(store.orphans().await),
            17 => outcome(store.orphan_state().await),
            18 => outcome(store.due(jiff::Timestamp::UNIX_EPOCH, 5).await),
            19 => outcome(self.runner.look(&run()).await),
            20 => outcome(self.runner.start(&run()).await),
            21 => {
                // A new one each time: what was read is cached.
                let secrets = SecretsManager::new(&self.config, "nodeyard/test");
                let now = jiff::Timestamp::UNIX_EPOCH;
                let key = MemoryProvider::new(SimulatedClock::default(), MemorySecrets::deployed());
                let mut connection = connection(now, key.managed_key());
                connection.token =
                    Some(StoredToken { secret: "main-1".into(), version: "v".into() });
                outcome(secrets.provider_token(&connection, false).await.map(drop))
            }
            22 => outcome(self.queue.send(&Wake::new(job, WakeReason::Due), 0).await),
            _ => {
                // What a caller sends as a cursor is one of ours, or refused before any query.
                let page = PageRequest { cursor: Some(body.to_owned()), limit: 2 };
                self.parrot.take_bodies();
                let listed = store.nodes(&NodeFilter::default(), &page).await;
                let refused = matches!(listed, Err(PageError::Cursor));
                let asked = !self.parrot.take_bodies().is_empty();
                hold(asked != refused, || format!("refused: {refused}, asked: {asked}"))?;
                outcome(listed)
            }
        }
    }

    /// A cursor that we gave is one that we take.
    async fn goes_on(&self, next: &Option<String>) -> Result<(), String> {
        let Some(cursor) = next else { return Ok(()) };
        let page = PageRequest { cursor: Some(cursor.clone()), limit: 2 };
        let again = self.store.nodes(&NodeFilter::default(), &page).await;
        hold(!matches!(again, Err(PageError::Cursor)), || format!("our own cursor {cursor:?}"))
    }
}

fn outcome<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<String, String> {
    match result {
        Ok(_) => Ok("ok".into()),
        Err(error) => {
            let told = error.to_string();
            // The error's own kind, without what it quotes.
            Ok(told.split([':', '`', '"']).next().unwrap_or_default().chars().take(24).collect())
        }
    }
}

/// A record that could be read can be written, and read again as the same.
fn comes_back<T>(record: &T) -> Result<String, String>
where
    T: PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let written = serde_json::to_string(record).map_err(|error| error.to_string())?;
    let again: T = serde_json::from_str(&written).map_err(|error| error.to_string())?;
    hold(again == *record, || format!("{record:?} came back as {again:?}"))?;
    Ok("record".into())
}

fn run() -> Run {
    let spec = node_spec();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let ids = (JobId::from_bits(1), NodeId::from_bits(2));
    let (_, node) = acceptance::provision(ids.0.clone(), ids.1, spec, "ci", None, now);
    Run { stop_requested: false, ..Run::tombstone(ids.0, 1, &node, now) }
}

/// Items as the store writes them, taken from its requests. What it makes of the answers does not
/// matter here.
async fn written(store: &DynamoStore, parrot: &Parrot) -> Vec<Value> {
    parrot.say(200, [], b"{}");
    let now = "2026-03-01T10:00:00.123456789Z".parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let ids = (JobId::from_bits(1), NodeId::from_bits(2));
    let (job, node) = acceptance::provision(ids.0.clone(), ids.1, node_spec(), "ci", None, now);
    let audit =
        AuditEntry::of_system(now, Action::NodeCreate, Resource::from(&node.id), Outcome::Accepted);
    let acceptance = Acceptance {
        job,
        new_node: Some(node),
        may_queue: false,
        idempotency: None,
        audit: audit.clone(),
    };
    let provider = MemoryProvider::new(SimulatedClock::default(), MemorySecrets::deployed());
    let connection = connection(now, provider.managed_key());
    let token = Token {
        id: TokenId::from_bits(3),
        name: "ci".into(),
        scopes: vec![Scope::Admin],
        connections: Some(vec![name()]),
        secret_hash: "00".into(),
        created_at: now,
        expires_at: Some(now),
    };
    let entry = TimelineEntry::new(now, Source::Run, "play: web").with("run", 1);
    let _ = store.accept(&acceptance).await;
    let _ = store.swap_connection(&connection, &[]).await;
    let _ = store.put_token(&token, false, &audit).await;
    let _ = store.put_run(&run()).await;
    let _ = store.append_timeline(&ids.0, &[entry]).await;
    let _ = store.append_log(&ids.0, 1, 0, "TASK [nftables] ok\n").await;
    let _ = store.swap_pace(&name(), &Pace::new(now)).await;
    let mut items = Vec::new();
    for body in parrot.take_bodies() {
        collect(&serde_json::from_slice(&body).unwrap_or_default(), &mut items);
    }
    assert!(items.len() >= 8, "{} items were written", items.len());
    items
}

/// Every `Item` in a request.
fn collect(request: &Value, items: &mut Vec<Value>) {
    match request {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "Item" {
                    items.push(value.clone());
                } else {
                    collect(value, items);
                }
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, items)),
        _ => {}
    }
}

impl Target for Stored {
    fn name(&self) -> &'static str {
        "stored"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let text = |text: &str| json!({ "S": text });
        let last = json!({"pk": text("node#x"), "sk": text("node"), "list_pk": text("node"),
            "list_sk": text("0001772366400123456789#node-x")});
        let task = json!({"taskArn": "arn:aws:ecs:eu-central-1:1:task/nodeyard-test/0123",
            "lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stoppedReason": "Essential container",
            "stopCode": "EssentialContainerExited", "startedBy": JobId::from_bits(1).as_str(),
            "containers": [{"name": "ansible", "exitCode": 0, "lastStatus": "STOPPED"}],
            "overrides": {"containerOverrides": [{"name": "ansible",
                "command": ["--job", JobId::from_bits(1).as_str(), "--run", "1"]}]}});
        let mut answers: Vec<(u16, Value)> = Vec::new();
        for item in &self.items {
            answers.push((200, json!({ "Item": item })));
            answers.push((
                200,
                json!({"Items": [item, item, item], "Count": 3, "LastEvaluatedKey": last}),
            ));
        }
        answers.extend([
            (200, json!({"SecretString": "a-token", "Name": "nodeyard/test/connection/main", "VersionId": "1"})),
            (200, json!({"taskArns": [task["taskArn"]], "tasks": [task], "failures": []})),
            (200, json!({"tasks": [], "failures": [{"arn": "x", "reason": "RESOURCE:MEMORY", "detail": "d"}]})),
            (200, json!({"MessageId": "1", "MD5OfMessageBody": "00"})),
            (400, json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "message": "m", "Item": self.items[0]})),
            (400, json!({"__type": "ResourceNotFoundException", "message": "m"})),
            (500, json!({"__type": "InternalServerError"})),
        ]);
        let mut seeds: Vec<Vec<u8>> = answers
            .into_iter()
            .map(|(status, body)| format!("{status}\n\n{body}").into_bytes())
            .collect();
        seeds.extend(WORDS.iter().map(|word| format!("200\n\n{word}").into_bytes()));
        seeds
    }

    fn mutate(&self, random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate_message(random, input, other)
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let message = Message::of(input);
        let status = std::str::from_utf8(message.first).ok().and_then(|it| it.trim().parse().ok());
        let status: u16 = status.filter(|status| (200..600).contains(status)).unwrap_or(200);
        let body = if matches!(status, 204 | 304) { b"" } else { message.body };
        let first = input
            .iter()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let number = first % CALLS;
        let text = String::from_utf8_lossy(body);
        // The service does not say the same page for ever.
        self.parrot.say_once(status, body, b"{}");
        let came_to = self.runtime.block_on(self.call(number, &text));
        self.parrot.take_bodies();
        let came_to = came_to.map_err(|what| format!("call {number}: {what}"))?;
        Ok(format!("{number} {came_to}"))
    }
}
