//! The job store, held to the promises of every job store.

use std::sync::atomic::{AtomicU32, Ordering};

use nodeyard_adapters::dynamo::DynamoStore;

use crate::emulator::{Emulator, Program, on_both};

on_both!(the_store_keeps_its_promises);

async fn the_store_keeps_its_promises(on: Program) {
    let Some(emulator) = Emulator::start(on).await else { return };
    let config = emulator.config();
    let tables = AtomicU32::new(0);
    nodeyard_testkit::conformance::hold(async || {
        let table = format!("nodeyard-{}", tables.fetch_add(1, Ordering::Relaxed));
        emulator.create_table(&table).await;
        DynamoStore::new(&config, table)
    })
    .await;
}
