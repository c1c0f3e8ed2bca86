//! A run that says far more than anybody reads: it ends as any other, and what is kept of it is
//! bounded, says so, and can be paged through.

use std::time::Duration;

use nodeyard_domain::{
    host_key::{HostPins, first_host_key},
    job::{JobState, Step},
    node::NodeStatus,
    ownership::DeploymentKey,
};
use nodeyard_engine::store::{
    ApiStore, JobStore as _, Page, PageError, PageRequest, RunStore as _,
};
use nodeyard_testkit::world::World;

use crate::machine::Machine;

const EVENTS: usize = 50_000;
const OUTPUT_MB: usize = 20;
/// What a job's item may have at most; the store refuses four times as much.
const JOB_BYTES: usize = 8 * 1024;
/// What one item of timeline or log may have at most.
const CHUNK_BYTES: usize = 64 * 1024;
/// The longest page that the API gives.
const PAGE: usize = 100;

/// Events as the callback plugin writes them, and output as long as the cap of a log, with some to
/// spare.
fn flood() -> String {
    format!(
        "awk 'BEGIN {{ for (i = 0; i < {EVENTS}; i++) printf \"{{\\\"event\\\":\\\"task\\\",\
         \\\"play\\\":\\\"p\\\",\\\"task\\\":\\\"task %d\\\",\\\"role\\\":\\\"r\\\",\
         \\\"host\\\":\\\"n\\\",\\\"status\\\":\\\"changed\\\",\\\"seconds\\\":0.1}}\\n\", i }}' \
         >> \"$NODEYARD_EVENTS_FILE\"\n\
         yes 'changed: [node] => (item=a package of some name) {{\"rc\": 0, \"stdout\": \"\"}}' \
         | head -c {}\n",
        (OUTPUT_MB << 20) + 100_000
    )
}

/// All items of a list, each page asked for with the cursor of the one before.
async fn pages<T>(
    mut read: impl AsyncFnMut(PageRequest) -> Result<Page<T>, PageError>,
) -> (Vec<T>, usize) {
    let (mut items, mut count, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = read(PageRequest { cursor, limit: PAGE }).await.unwrap();
        assert!(page.items.len() <= PAGE);
        items.extend(page.items);
        count += 1;
        cursor = page.next;
        if cursor.is_none() {
            return (items, count);
        }
    }
}

#[tokio::test]
async fn a_job_with_50_000_events_and_20_mb_of_output_ends_well() {
    let mut world = World::new().await;
    let (job, node) = world.provision(|_| {}).await;
    for _ in 0..600 {
        world.drain().await.unwrap();
        let loaded = world.store.load(&job).await.unwrap().unwrap();
        if loaded.job.step == Step::AwaitRun {
            break;
        }
        world.clock.advance(jiff::SignedDuration::from_secs(1));
    }
    let run = world.store.run(&job, 1).await.unwrap().expect("the run was started");

    let mut machine = Machine::configured();
    machine.tempo.drain_limit = Duration::from_secs(60);
    let key = DeploymentKey::new(*b"deployment");
    let shown = first_host_key(&key, &node, 1).unwrap().public;
    machine.put("shown.key", &shown);
    machine.put("made.key", &shown);
    machine.hook("web", &flood());
    let known = world.store.pins(&node).await.unwrap();
    let pins = HostPins { replaced: true, ..HostPins::delivered(run.server_id, shown) };
    assert!(world.store.put_pins(&node, known.as_ref(), &pins).await.unwrap());

    let task = machine.task_over(world.store.clone(), world.queue.clone(), world.clock.clone());
    let request = nodeyard_ansible_task::args::Request { job: job.clone(), run: 1 };
    task.perform(&request, std::future::pending()).await.unwrap();
    machine.assert_nothing_is_left();
    world.drain().await.unwrap();

    let ended = world.store.load(&job).await.unwrap().unwrap();
    assert_eq!((ended.job.state, ended.job.error.clone()), (JobState::Succeeded, None));
    assert_eq!(ended.node.status, NodeStatus::Ready);
    let bytes = world.store.largest_job_bytes();
    assert!(bytes < JOB_BYTES, "{bytes}");

    let (entries, count) = pages(async |page| world.store.timeline(&job, &page).await).await;
    assert!((4..=6).contains(&count), "{count} pages for {} entries", entries.len());
    assert!(entries.iter().all(|it| serde_json::to_vec(it).unwrap().len() < CHUNK_BYTES));
    let of_tasks = entries.iter().filter(|it| it.message.starts_with("changed: task ")).count();
    let left_out = entries.iter().find_map(|it| it.fields.get("left_out")).unwrap();
    assert!(left_out.as_u64().unwrap() as usize >= EVENTS - of_tasks, "{left_out}");
    assert!(of_tasks > 200, "{of_tasks}");

    let (pieces, count) = pages(async |page| world.store.log(&job, &page).await).await;
    assert_eq!(count, pieces.len().div_ceil(PAGE));
    assert!(pieces.iter().all(|piece| piece.len() <= CHUNK_BYTES));
    let bytes: usize = pieces.iter().map(String::len).sum();
    let cap = OUTPUT_MB << 20;
    // The tail is kept as well.
    assert!((cap - CHUNK_BYTES..=cap + 6 * CHUNK_BYTES).contains(&bytes), "{bytes}");
    assert!(pieces.last().unwrap().contains("output of readiness"), "how it ended");
}
