//! A batch: one record's trouble never harms the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use nodeyard_domain::{
    job::Step,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::store::JobStore as _;
use nodeyard_testkit::{provider::CreateFault, world::World};
use nodeyard_worker::{RecordError, handle_batch};

fn record(id: &str, body: String) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.message_id = Some(id.to_owned());
    message.body = Some(body);
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_and_an_unreadable_record_are_reported_alone() {
    let mut world = World::new().await;
    let (panics, _) = world.provision(|_| {}).await;
    world.drain_until(&panics, Step::CreateServer).await;
    world.queue.lose_all();
    let (innocent, _) = world.provision(|_| {}).await;
    world.provider.fault(CreateFault::Panics);

    let wake = |job| serde_json::to_string(&Wake::new(job, WakeReason::Due)).unwrap();
    let mut event = SqsEvent::default();
    event.records = vec![
        record("panics", wake(panics.clone())),
        record("unreadable", "{}".to_owned()),
        record("innocent", wake(innocent.clone())),
    ];
    let response = handle_batch(Arc::new(world.driver), event).await;

    let mut failed: Vec<_> =
        response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["panics", "unreadable"]);
    let moved = world.store.load(&innocent).await.unwrap().unwrap().job;
    assert_eq!(moved.step, Step::CreateServer, "the innocent job has moved on");
    let crashed = world.store.load(&panics).await.unwrap().unwrap().job;
    assert_eq!((crashed.crashes, crashed.sent_at.is_some()), (1, true), "the claim outlives it");
}

/// Whoever puts a secret into a message must not find it in our log.
#[test]
fn what_is_said_of_an_unreadable_message_does_not_repeat_it() {
    let job = "job-00000000000000000000000000000001";
    for body in [
        format!(r#"{{"job_id":"{job}","reason":"hunter2"}}"#),
        r#"{"job_id":"hunter2","reason":"due"}"#.to_owned(),
        "hunter2".to_owned(),
    ] {
        let error = RecordError::from(serde_json::from_str::<Wake>(&body).unwrap_err()).to_string();
        assert!(error.starts_with("the message is not a wake (line 1, column "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
