//! The wake queue, held to the promises of every wake queue.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_sqs::{
    Client,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use nodeyard_adapters::sqs::SqsQueue;
use nodeyard_domain::{
    id::JobId,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::queue::WakeQueue;
use nodeyard_testkit::conformance::queue::{Delivery, Ends, HIDDEN_SECS, MAX_RECEIVES};
use serde_json::{Value, json};

use crate::{
    answers::Answers,
    emulator::{Emulator, Program, on_both},
};

on_both!(the_queue_keeps_its_promises);

/// A queue with its dead letters, and the client that an event source would be.
struct Sqs {
    client: Client,
    queue: SqsQueue,
    url: String,
    dead_url: String,
}

impl Sqs {
    async fn new(emulator: &Emulator, number: u32) -> Self {
        let client = Client::new(&emulator.config());
        let made = client.create_queue().queue_name(format!("dead-{number}")).send().await.unwrap();
        let dead_url = made.queue_url.unwrap();
        let arn = QueueAttributeName::QueueArn;
        let asked = client.get_queue_attributes().queue_url(&dead_url).attribute_names(arn.clone());
        let known = asked.send().await.unwrap().attributes.unwrap();
        let redrive = json!({
            "deadLetterTargetArn": known[&arn], "maxReceiveCount": MAX_RECEIVES.to_string(),
        });
        let made = client
            .create_queue()
            .queue_name(format!("wakes-{number}"))
            .attributes(QueueAttributeName::VisibilityTimeout, HIDDEN_SECS.to_string())
            .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
            .send()
            .await
            .unwrap();
        let url = made.queue_url.unwrap();
        let queue = SqsQueue::new(&emulator.config(), &url);
        Self { client, queue, url, dead_url }
    }
}

impl Ends for Sqs {
    type Queue = SqsQueue;

    fn sender(&self) -> &SqsQueue {
        &self.queue
    }

    async fn receive(&self, within_secs: i64) -> Option<Delivery> {
        let count = MessageSystemAttributeName::ApproximateReceiveCount;
        let call = self.client.receive_message().queue_url(&self.url);
        let call = call.wait_time_seconds(i32::try_from(within_secs).unwrap());
        let answer = call.message_system_attribute_names(count.clone()).send().await.unwrap();
        let message = answer.messages().first()?;
        let receives = &message.attributes().unwrap()[&count];
        Some(Delivery {
            wake: serde_json::from_str(message.body().unwrap()).unwrap(),
            receives: receives.parse().unwrap(),
            receipt: message.receipt_handle().unwrap().to_owned(),
        })
    }

    async fn acknowledge(&self, receipt: &str) {
        let call = self.client.delete_message().queue_url(&self.url);
        call.receipt_handle(receipt).send().await.unwrap();
    }

    async fn dead_letters(&self) -> usize {
        let call = self.client.receive_message().queue_url(&self.dead_url);
        let answer = call.max_number_of_messages(10).wait_time_seconds(2).send().await.unwrap();
        answer.messages().len()
    }
}

async fn the_queue_keeps_its_promises(on: Program) {
    let Some(emulator) = Emulator::start(on).await else { return };
    let queues = AtomicU32::new(0);
    nodeyard_testkit::conformance::queue::hold(async || {
        Sqs::new(&emulator, queues.fetch_add(1, Ordering::Relaxed)).await
    })
    .await;
}

fn wake() -> Wake {
    Wake::new(JobId::from_bits(1), WakeReason::Run)
}

#[tokio::test]
async fn a_wake_is_sent_as_the_functions_read_it() {
    let answers = Answers::start(vec![(200, json!({"MessageId": "1"}))]).await;
    let queue = SqsQueue::new(&answers.config(), "http://127.0.0.1/000000000000/wakes");
    // Without a digest of the body the SDK refuses the answer; what was sent is what counts here.
    let _ = queue.send(&wake(), 90).await;
    let (operation, sent) = &answers.requests()[0];
    assert_eq!((operation.as_str(), &sent["DelaySeconds"]), ("SendMessage", &json!(90)));
    let body: Value = serde_json::from_str(sent["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"job_id": JobId::from_bits(1), "reason": "run"}));
}
