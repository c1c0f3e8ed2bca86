//! The short form: for each target a fixed number of inputs of one seed, so that a change is judged
//! by its own faults. New seeds are the long form's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use nodeyard_fuzz::{
    run::{End, drive},
    targets::{self, NAMES, named, node_words::hear},
};

const FIXED_SEED: u64 = 1;
/// However slow the machine is.
const MOST_TIME: Duration = Duration::from_secs(30);

fn short(name: &str, executions: u64) {
    let mut target = named(name).expect("a target");
    let report = drive(target.as_mut(), FIXED_SEED, End { executions, time: MOST_TIME });
    println!("{}", report.text());
    assert!(report.crash.is_none(), "{}", report.text());
    assert!(report.executions > 10 && report.kinds.len() > 1, "{}", report.text());
}

macro_rules! targets {
    ($($test:ident: $name:literal, $executions:literal;)+) => {
        $(
            #[test]
            fn $test() {
                short($name, $executions);
            }
        )+

        #[test]
        fn every_target_has_its_short_form() {
            assert_eq!(NAMES, [$($name),+]);
            assert!(NAMES.iter().all(|name| targets::named(name).is_some_and(|it| it.name() == *name)));
        }
    };
}

targets! {
    wakes: "wake", 1_500;
    batches: "batch", 500;
    task_states: "task-state", 600;
    schedules: "schedule", 300;
    words: "words", 1_500;
    user_data: "user-data", 1_000;
    api_events: "api-event", 400;
    api_requests: "api-request", 1_000;
    answers_of_the_provider: "hetzner", 250;
    stored_items: "stored", 300;
    words_of_nodes: "node-words", 200;
}

/// A node that does not stop: what it says is dropped as it comes once enough is kept, so more of it
/// takes longer and no more memory.
#[tokio::test(start_paused = true)]
async fn endless_output_takes_bounded_memory() {
    // Lines that the log keeps, events that the timeline keeps, and one line without an end.
    let event = format!(
        "{{\"event\":\"task\",\"task\":\"{}\",\"status\":\"failed\"}}\n",
        "x".repeat(9_000)
    );
    let endless = vec![b'x'; 1_000_000];
    for said in [event.as_bytes(), &endless] {
        let kept = hear(said, 16 * 1024, (24 << 20) / said.len(), 0).await.unwrap();
        assert!(kept.log_bytes < 21 << 20 && kept.entries <= 402, "{}", kept.log_bytes);
        let peak = nodeyard_fuzz::run::peak_memory();
        assert!(peak < 80 << 20, "{peak} bytes");
    }
}
