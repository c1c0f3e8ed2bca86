//! The bus, held to the promises of every bus; a queue is its subscriber.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use nodeyard_adapters::eventbridge::EventBridge;
use nodeyard_domain::{
    event::{Change, Event, SOURCE, VERSION},
    id::EventId,
};
use nodeyard_engine::event::Events as _;
use nodeyard_testkit::conformance::events::{Received, Subscribed};
use serde_json::{Value, json};

use crate::{
    answers::Answers,
    emulator::{Emulator, Program, on_both},
};

on_both!(the_bus_keeps_its_promises);

/// How long one look at the subscriber's queue lasts, in seconds.
const LOOK_SECS: i32 = 2;
/// Looks that find nothing before no more is expected.
const PATIENCE: u32 = 3;

struct Bus {
    bus: EventBridge,
    queues: aws_sdk_sqs::Client,
    url: String,
}

impl Bus {
    async fn new(emulator: &Emulator, number: u32) -> Self {
        let (config, name) = (emulator.config(), format!("bus-{number}"));
        let queues = aws_sdk_sqs::Client::new(&config);
        let made = queues.create_queue().queue_name(format!("subscriber-{number}")).send().await;
        let url = made.unwrap().queue_url.unwrap();
        let arn = QueueAttributeName::QueueArn;
        let asked = queues.get_queue_attributes().queue_url(&url).attribute_names(arn.clone());
        let arn = asked.send().await.unwrap().attributes.unwrap().remove(&arn).unwrap();
        let client = aws_sdk_eventbridge::Client::new(&config);
        client.create_event_bus().name(&name).send().await.unwrap();
        let pattern = json!({"source": [SOURCE]}).to_string();
        let rule = client.put_rule().name("all").event_bus_name(&name).event_pattern(pattern);
        rule.send().await.unwrap();
        let target = Target::builder().id("queue").arn(arn).build().unwrap();
        let targets = client.put_targets().rule("all").event_bus_name(&name).targets(target);
        targets.send().await.unwrap();
        Self { bus: EventBridge::new(&config, name), queues, url }
    }

    async fn look(&self) -> Vec<Received> {
        let call = self.queues.receive_message().queue_url(&self.url);
        let call = call.max_number_of_messages(10).wait_time_seconds(LOOK_SECS);
        let mut came = Vec::new();
        for message in call.send().await.unwrap().messages() {
            let delete = self.queues.delete_message().queue_url(&self.url);
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            came.push(Received {
                source: body["source"].as_str().unwrap().to_owned(),
                kind: body["detail-type"].as_str().unwrap().to_owned(),
                detail: body["detail"].clone(),
            });
        }
        came
    }
}

impl Subscribed for Bus {
    type Bus = EventBridge;

    fn bus(&self) -> &EventBridge {
        &self.bus
    }

    async fn receive(&self, count: usize) -> Vec<Received> {
        let mut came = Vec::new();
        let mut empty = 0;
        while came.len() < count && empty < PATIENCE {
            let more = self.look().await;
            empty = if more.is_empty() { empty + 1 } else { 0 };
            came.extend(more);
        }
        // One more than expected would be there by now.
        came.extend(self.look().await);
        came
    }
}

async fn the_bus_keeps_its_promises(on: Program) {
    let Some(emulator) = Emulator::start(on).await else { return };
    let buses = AtomicU32::new(0);
    nodeyard_testkit::conformance::events::hold(async || {
        Bus::new(&emulator, buses.fetch_add(1, Ordering::Relaxed)).await
    })
    .await;
}

fn event(bits: u128) -> Event {
    let connection = "main".parse().unwrap();
    let change =
        Change::ApiDrift { connection, answer: "Server".into(), difference: "at name".into() };
    let at = "2026-11-23T10:00:00.5Z".parse().unwrap();
    Event { version: VERSION, id: EventId::from_bits(bits), at, change }
}

#[tokio::test]
async fn an_event_is_put_as_subscribers_know_it() {
    let answers = Answers::start(vec![(200, json!({"Entries": [{"EventId": "1"}]}))]).await;
    let put = EventBridge::new(&answers.config(), "nodeyard-main").put(&[event(1)]).await;
    assert_eq!(put, [Ok(())]);
    let (operation, sent) = &answers.requests()[0];
    assert_eq!(operation, "PutEvents");
    let entry = &sent["Entries"][0];
    assert_eq!(
        (&entry["EventBusName"], &entry["Source"], &entry["DetailType"]),
        (&json!("nodeyard-main"), &json!(SOURCE), &json!("ApiDrift"))
    );
    assert_eq!(entry["Time"].as_f64(), Some(1_795_428_000.0));
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, serde_json::to_value(event(1)).unwrap());
}

#[tokio::test]
async fn entries_are_told_apart_when_some_are_refused() {
    let answer = json!({"FailedEntryCount": 1, "Entries": [
        {"EventId": "1"},
        {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"},
        {"EventId": "3"},
    ]});
    let answers = Answers::start(vec![(200, answer)]).await;
    let bus = EventBridge::new(&answers.config(), "main");
    let put = bus.put(&[event(1), event(2), event(3), event(4)]).await;
    assert_eq!(put.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false]);
    assert!(put[1].as_ref().unwrap_err().0.contains("ThrottlingException: slow down"));
    assert!(put[3].is_err(), "an answer that does not tell of it is none");
}

#[tokio::test]
async fn a_bus_that_does_not_answer_is_not_asked_again() {
    let taken: Vec<Value> = (0..10).map(|id| json!({"EventId": id.to_string()})).collect();
    let refusal = json!({"__type": "InternalException", "message": "later"});
    let answers =
        Answers::start(vec![(200, json!({"Entries": taken})), (500, refusal), (500, json!({}))]);
    let answers = answers.await;
    let events: Vec<Event> = (0..35).map(event).collect();
    let put = EventBridge::new(&answers.config(), "main").put(&events).await;
    let taken: Vec<bool> = put.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [[true; 10].as_slice(), &[false; 25]].concat());
    assert_eq!(answers.requests().len(), 2);
}
