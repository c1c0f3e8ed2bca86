//! The wake queue.

use aws_sdk_sqs::Client;
use nodeyard_adapters::sqs::SqsQueue;
use nodeyard_domain::{
    id::JobId,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::queue::WakeQueue;
use serde_json::{Value, json};

use crate::{answers::Answers, emulator::Emulator};

fn wake() -> Wake {
    Wake::new(JobId::from_bits(1), WakeReason::Run)
}

#[tokio::test]
async fn a_wake_arrives_as_it_was_sent() {
    let Some(emulator) = Emulator::start().await else { return };
    let client = Client::new(&emulator.config());
    let made = client.create_queue().queue_name("wakes").send().await.unwrap();
    let url = made.queue_url.unwrap();
    SqsQueue::new(&emulator.config(), &url).send(&wake(), 0).await.unwrap();
    let call = client.receive_message().queue_url(&url).wait_time_seconds(5);
    let received = call.send().await.unwrap();
    let body: Value = serde_json::from_str(received.messages()[0].body().unwrap()).unwrap();
    assert_eq!(body, json!({"job_id": JobId::from_bits(1), "reason": "run"}));
}

#[tokio::test]
async fn a_wait_is_a_delay_of_the_message() {
    let answers = Answers::start(vec![(200, json!({"MessageId": "1"}))]).await;
    let queue = SqsQueue::new(&answers.config(), "http://127.0.0.1/000000000000/wakes");
    // Without a digest of the body the SDK refuses the answer; what was sent is what counts here.
    let _ = queue.send(&wake(), 90).await;
    let (operation, sent) = &answers.requests()[0];
    assert_eq!((operation.as_str(), &sent["DelaySeconds"]), ("SendMessage", &json!(90)));
}
