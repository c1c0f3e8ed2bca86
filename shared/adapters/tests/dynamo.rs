//! The job store on a real emulator process, held to the promises of every job store.
//!
//! Needs `NODEYARD_PYTHON`: the interpreter of an environment that has ministack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod emulator;

use std::sync::atomic::{AtomicU32, Ordering};

use emulator::Emulator;
use nodeyard_adapters::dynamo::DynamoStore;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_its_promises() {
    let Some(emulator) = Emulator::start().await else { return };
    let config = emulator.config();
    let tables = AtomicU32::new(0);
    nodeyard_testkit::conformance::hold(async || {
        let table = format!("nodeyard-{}", tables.fetch_add(1, Ordering::Relaxed));
        emulator.create_table(&table).await;
        DynamoStore::new(&config, table)
    })
    .await;
}
