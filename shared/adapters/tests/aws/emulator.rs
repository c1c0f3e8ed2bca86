//! An emulator of AWS as a child process, on a free port of 127.0.0.1. There are two, of different
//! authors: what both agree on is less likely to be one's mistake.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType,
    },
};

/// They start in a second; a busy machine gets more.
const START_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub enum Program {
    Ministack,
    Moto,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Ministack => "ministack",
            Self::Moto => "moto_server",
        }
    }

    fn command(self, python: &Path, port: u16) -> Command {
        let port = port.to_string();
        let mut command = match self {
            Self::Ministack => {
                let mut command = Command::new(python.with_file_name(self.name()));
                command.env("GATEWAY_PORT", port).env("BIND_HOST", "127.0.0.1");
                command
            }
            // Not as it comes: the script says why.
            Self::Moto => {
                let mut command = Command::new(python);
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/moto_in_turn.py");
                command.args([script, &port]);
                command
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Makes a test of each function, on each of the emulators.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod ministack {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::emulator::Program::Ministack).await;
            })+
        }
        mod moto {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::emulator::Program::Moto).await;
            })+
        }
    };
}
pub(crate) use on_both;

pub struct Emulator {
    process: Child,
    endpoint: String,
}

impl Emulator {
    /// `None`, and a line that says so, where no environment has the emulator.
    pub async fn start(program: Program) -> Option<Self> {
        let name = program.name();
        let Some(python) = std::env::var_os("NODEYARD_PYTHON").map(PathBuf::from) else {
            println!("left out: {name}, NODEYARD_PYTHON names no interpreter");
            return None;
        };
        let path = python.with_file_name(name);
        if !path.exists() {
            println!("left out: {name}, {} does not exist", path.display());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = program.command(&python, port).spawn().expect("the emulator starts");
        let mut emulator = Self { process, endpoint: format!("http://127.0.0.1:{port}") };
        emulator.await_answer().await;
        Some(emulator)
    }

    async fn await_answer(&mut self) {
        let client = Client::new(&self.config());
        let give_up = Instant::now() + START_TIMEOUT;
        while client.list_tables().send().await.is_err() {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("the emulator ended at once: {status}");
            }
            assert!(Instant::now() < give_up, "the emulator does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url(&self.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// The table as the template makes it.
    pub async fn create_table(&self, name: &str) {
        let text = |name: &str| attribute(name, ScalarAttributeType::S);
        let index = |index: &str, hash: &str, range: &str, projected: ProjectionType| {
            GlobalSecondaryIndex::builder()
                .index_name(index)
                .set_key_schema(Some(keys(hash, range)))
                .projection(Projection::builder().projection_type(projected).build())
                .build()
                .unwrap()
        };
        Client::new(&self.config())
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(vec![
                text("pk"),
                text("sk"),
                text("due_shard"),
                attribute("due_at", ScalarAttributeType::N),
                text("poll_of"),
                attribute("poll_at", ScalarAttributeType::N),
                text("list_pk"),
                text("list_sk"),
            ]))
            .set_key_schema(Some(keys("pk", "sk")))
            .global_secondary_indexes(index("due", "due_shard", "due_at", ProjectionType::All))
            .global_secondary_indexes(index(
                "polls",
                "poll_of",
                "poll_at",
                ProjectionType::KeysOnly,
            ))
            .global_secondary_indexes(index("list", "list_pk", "list_sk", ProjectionType::All))
            .send()
            .await
            .expect("the table is made");
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

fn keys(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
        })
        .into()
}
