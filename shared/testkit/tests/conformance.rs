//! The store in memory keeps the promises of every job store.

use nodeyard_testkit::{conformance, store::MemoryStore};

#[tokio::test]
async fn the_store_keeps_its_promises() {
    conformance::hold(async || MemoryStore::default()).await;
}
