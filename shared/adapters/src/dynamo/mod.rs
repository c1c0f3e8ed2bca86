//! The job store on DynamoDB: one table, all of it.
//!
//! | item | `pk` | `sk` | lives |
//! | --- | --- | --- | --- |
//! | job | `JOB#<id>` | `JOB` | 90 days after its end |
//! | rotation of a connection's key | `JOB#<id>` | `JOB` | 90 days after its end |
//! | timeline entry | `JOB#<id>` | `T#<time>#<writer>` | 120 days |
//! | log piece, compressed | `JOB#<id>` | `L#<run>#<sequence>` | 120 days |
//! | run | `JOB#<id>` | `RUN#<number>` | 120 days |
//! | evidence of a commit, compressed | `JOB#<id>` | `E#<version>#<piece>` | 120 days |
//! | evidence of a run, compressed | `JOB#<id>` | `V#<run>#<number of its first entry>` | 120 days |
//! | signature, or that there is none yet | `JOB#<id>` | `SIGNATURE` | 120 days |
//! | node, with its host key pins | `NODE#<id>` | `NODE` | 120 days after it is gone |
//! | a node's job, by name | `NODE#<id>` | `J#<time>#<job>` | 120 days |
//! | connection | `CONNECTION` | `<name>` | until removed |
//! | its pace, shared by its jobs | `PACE` | `<name>` | as long |
//! | API token | `TOKEN` | `<hash>` | until removed |
//! | that an admin token was stored | `MARKER` | `FIRST_ADMIN` | for ever |
//! | orphan | `ORPHAN` | `<kind>-<id>@<connection>` | while it is seen |
//! | the orphan check's own record | `MARKER` | `ORPHAN_CHECK` | for ever |
//! | event that waits to be sent | `EVENT#<id>` | `EVENT` | until it is sent |
//! | idempotency record | `IDEM#<hash>` | `IDEM` | 120 days |
//! | audit entry | `AUDIT` | `E#<time>#<hash of the entry>` | 120 days |
//!
//! Index `due` (`due_shard`, `due_at`): jobs that have not ended, at the time the sweep has to look
//! at them, in epoch seconds with nine decimals (exact, so that a stamp can be conditional on it);
//! in a shard of their own, free nodes that something is left behind of, at the time of their next
//! release; in others, events at the time they are to be sent, and ended jobs whose evidence is
//! unsigned. Index `polls` (`poll_of`, `poll_at`): jobs whose next effect is a shared poll, by
//! connection. Index `list` (`list_pk`, `list_sk`): jobs and nodes by time of acceptance. All are
//! eventually consistent; everything a worker decides on is read from the table, consistently.
//!
//! Documents are kept as JSON text, byte for byte what the domain's types serialise to (DynamoDB
//! would rewrite numbers). What others set without moving a version, what conditions name and
//! what the indexes need are attributes beside the document; they go before what it says.

mod accept;
mod api_store;
mod audit;
mod change;
mod cursor;
mod error;
mod evidence;
mod index;
mod job_store;
mod keys;
mod list;
mod log_text;
mod node_change;
mod orphan_store;
mod outbox;
mod pace;
mod rotation;
mod row;
mod run_store;
mod table;
mod text;
mod token;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;

use table::Table;

/// The three views of the job store, for the worker, the container task and the API.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    table: Table,
}

impl DynamoStore {
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { table: Table::new(Client::new(config), table.into()) }
    }
}
