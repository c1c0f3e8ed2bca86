//! A world whose workers are polled by hand: wakes are handed out, hops go on poll by poll,
//! workers die, container tasks end.
//!
//! Must not: choose anything by itself. What happens next is the drill's to say.

mod doors;
pub mod judge;
mod proof;
pub mod tasks;
mod told;
pub mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    rc::Rc,
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    audit::{self, Action, Outcome, Resource},
    connection::{Connection, ManagedKey},
    id::{JobId, NodeId},
    job::{Job, JobKind},
    orphan::ResourceKind,
    ownership,
    spec::NodeSpec,
    wake::Wake,
};
use nodeyard_engine::{
    Clock as _, Driver, Handled,
    check::check,
    driver::DriverError,
    evidence::sign_left,
    orphan::{OrphanCheck, OrphanStore as _, confirm},
    queue::WakeQueue as _,
    rotation::destroy_unused_keys,
    store::{AuditEntry, JobStore as _},
    sweep::{GRACE_SECS, sweep},
};
use nodeyard_testkit::{
    pause::run_to_end,
    world::{DEPLOYMENT, Setup, SimulatedDriver, World, name},
};

use crate::executor::{Executor, Polled};

/// A worker's invocation is ended after this long, in seconds (the template's time-out).
pub const TIME_OUT_SECS: i64 = 60;
/// The most wakes of one batch (the template's batch size).
pub const BATCH: usize = 10;

/// A wake in a worker's hands.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub worker: usize,
    pub wake: Wake,
    pub receipt: u64,
    pub since: Timestamp,
    /// The worker does not get on before this time.
    pub stalled_until: Option<Timestamp>,
}

/// What a future in flight is.
#[derive(Debug, Clone)]
pub enum Tag {
    Hop(Delivery),
    Sweep,
    /// The check of the connection and the orphan check.
    Check,
    /// A container task tells its result.
    Telling {
        job: JobId,
        number: u32,
    },
}

pub enum Ended {
    Hop(Result<Handled, DriverError>),
    /// A sweep or a check: what did not work is done again the next time.
    Scheduled,
    /// A container task is over.
    Told,
}

/// One function instance: it works on one batch at a time.
pub struct Worker {
    pub driver: Rc<SimulatedDriver>,
    /// Wakes of the batch that come last, one by one.
    last: Vec<Delivery>,
}

/// How often what was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub hops: u64,
    /// Hops that told an error: their wakes come again.
    pub errors: u64,
    pub panics: u64,
    pub killed: u64,
}

pub struct Stage {
    pub world: World,
    pub workers: Vec<Worker>,
    pub hops: Executor<Tag, Ended>,
    pub tally: Tally,
    /// Panics that nobody planted.
    pub panics: Vec<String>,
    /// Jobs whose callers were told that they are cancelled.
    pub cancelled: BTreeSet<JobId>,
    /// Servers that the orphan check found to belong to nobody: what is mended was broken.
    pub sighted: BTreeSet<String>,
    doors: doors::Doors,
}

impl Stage {
    pub fn new(setup: Setup, workers: usize) -> Self {
        let world = run_to_end(World::build(setup));
        let workers = (0..workers).map(|_| worker_of(&world)).collect();
        Self {
            world,
            workers,
            hops: Executor::default(),
            tally: Tally::default(),
            panics: Vec::new(),
            cancelled: BTreeSet::new(),
            sighted: BTreeSet::new(),
            doors: doors::Doors::default(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    pub fn advance_millis(&self, millis: i64) {
        self.world.clock.advance(SignedDuration::from_millis(millis));
    }

    pub fn provision(&mut self, change: impl FnOnce(&mut NodeSpec)) -> (JobId, NodeId) {
        run_to_end(self.world.provision(change))
    }

    /// Accepts a job on a node that exists; `None` when the node is busy.
    pub fn work(&mut self, kind: JobKind, node: &NodeId) -> Option<JobId> {
        run_to_end(self.world.work(kind, node))
    }

    /// `None` when a rotation is not accepted now.
    pub fn rotate_key(&mut self) -> Option<JobId> {
        run_to_end(self.world.rotate_key())
    }

    pub fn cancel(&mut self, job: &JobId) {
        if run_to_end(self.world.cancel(job)) {
            self.cancelled.insert(job.clone());
        }
    }

    /// There is news for a job, and its wake is lost.
    pub fn set_news(&self, job: &JobId) {
        // The observer's handle has no faults.
        let _ = run_to_end(self.world.store.set_news(job, self.now()));
    }

    /// True while a worker has a batch.
    pub fn is_busy(&self, worker: usize) -> bool {
        self.hops.tags().any(|tag| matches!(tag, Tag::Hop(hop) if hop.worker == worker))
    }

    /// Hands a worker the visible wake at `index`.
    pub fn deliver(&mut self, worker: usize, index: usize) -> Option<Wake> {
        let received = self.world.queue.receive(index)?;
        let hop = Delivery {
            worker,
            wake: received.wake,
            receipt: received.receipt,
            since: self.now(),
            stalled_until: None,
        };
        let driver = self.workers[worker].driver.clone();
        let (wake, told) = (hop.wake.clone(), hop.wake.clone());
        let run = async move { Ended::Hop(driver.handle_in_company(&wake).await) };
        self.hops.start(Tag::Hop(hop), run);
        Some(told)
    }

    fn deliver_alone(&mut self, hop: Delivery) {
        let driver = self.workers[hop.worker].driver.clone();
        let wake = hop.wake.clone();
        self.hops.start(Tag::Hop(hop), async move { Ended::Hop(driver.handle(&wake).await) });
    }

    /// Begins a sweep, as the schedule does.
    pub fn begin_sweep(&mut self) {
        let driver = self.workers[0].driver.clone();
        self.hops.start(Tag::Sweep, async move {
            let now = driver.clock.now();
            let _ = sweep(&driver.store, &driver.queue, &driver.events, now).await;
            let _ = sign_left(&driver.store, &driver.secrets, now).await;
            Ended::Scheduled
        });
    }

    /// Begins a check of the connection and of what nobody accounts for, as the schedule does.
    pub fn begin_check(&mut self) {
        let driver = self.workers[0].driver.clone();
        self.hops.start(Tag::Check, async move {
            let Driver { store, provider, secrets, clock, deployment, .. } = &*driver;
            if let Ok(Some(connection)) = store.connection(&name()).await {
                let checked =
                    check(store, secrets, provider, deployment, &connection, clock.now()).await;
                if let Ok(connection) = checked {
                    let now = clock.now();
                    let _ = destroy_unused_keys(store, secrets, provider, &connection, now).await;
                }
            }
            let _ = OrphanCheck { store, provider, secrets, clock, deployment }.run().await;
            Ended::Scheduled
        });
    }

    /// Polls one future in flight once, and sees to what its end asks for.
    pub fn poll(&mut self, index: usize) {
        match self.hops.poll(index) {
            Polled::Pending => {}
            Polled::Done { tag: Tag::Hop(hop), output: Ended::Hop(result) } => {
                self.tally.hops += 1;
                match result {
                    Ok(Handled::ToBeAlone) => self.workers[hop.worker].last.push(hop.clone()),
                    Ok(_) => drop(self.world.queue.ack(hop.receipt)),
                    // Reported alone: the wake comes again.
                    Err(_) => self.tally.errors += 1,
                }
                self.next_of_batch(hop.worker);
            }
            Polled::Done { tag: Tag::Check, .. } => self.note_sightings(),
            Polled::Done { .. } => {}
            Polled::Panicked { tag, message } => {
                self.tally.panics += 1;
                if !message.contains("planted") {
                    self.panics.push(message);
                }
                if let Tag::Hop(hop) = tag {
                    self.next_of_batch(hop.worker);
                }
            }
        }
    }

    fn note_sightings(&mut self) {
        let orphans = run_to_end(self.world.store.orphans()).unwrap_or_default();
        let books = self.world.provider.books();
        // Somebody else may make servers that look like ours, and what a listing shows may be gone
        // before the records are read.
        let is_ours = |id: u64| {
            let found = books.servers.iter().find(|server| server.id == id);
            found.is_some_and(|server| server.ours && server.gone_at.is_none())
        };
        let servers = orphans
            .into_iter()
            .filter(|orphan| orphan.kind == ResourceKind::Server && is_ours(orphan.provider_id));
        self.sighted.extend(servers.map(|orphan| {
            format!("the orphan check found server {} ({:?})", orphan.provider_id, orphan.reason)
        }));
    }

    /// An admin says that table and project belong together: left-overs are removed again.
    pub fn confirm_project(&self) {
        let resource = Resource::all(audit::ResourceKind::Orphan);
        let (now, action) = (self.now(), Action::OrphanConfirm);
        let audit = AuditEntry::of_system(now, action, resource, Outcome::Done);
        // The observer's handle has no faults.
        let _ = run_to_end(confirm(&self.world.store, &audit));
    }

    fn next_of_batch(&mut self, worker: usize) {
        if !self.is_busy(worker)
            && let Some(hop) = self.workers[worker].last.pop()
        {
            self.deliver_alone(hop);
        }
    }

    /// A worker's process ends where it stands: its wakes come again when they were hidden long
    /// enough. Another process takes its place.
    pub fn kill(&mut self, worker: usize) {
        self.tally.killed += 1;
        let mut index = 0;
        while let Some(tag) = self.hops.tag(index) {
            if matches!(tag, Tag::Hop(hop) if hop.worker == worker) {
                self.hops.kill(index);
            } else {
                index += 1;
            }
        }
        self.workers[worker] = worker_of(&self.world);
    }

    /// A wake comes once more, to another worker: there is no receipt for it.
    pub fn deliver_copy(&mut self, worker: usize, wake: &Wake) {
        self.deliver_alone(Delivery {
            worker,
            wake: wake.clone(),
            receipt: 0,
            since: self.now(),
            stalled_until: None,
        });
    }

    /// Polls everything to its end that is no worker's hop.
    pub fn run_others(&mut self) {
        while let Some(index) = self.hops.position(|tag| !matches!(tag, Tag::Hop(_))) {
            self.poll(index);
        }
    }

    /// Where a worker's hop is among what is in flight.
    pub fn hop_of(&self, worker: usize) -> Option<usize> {
        self.hops.position(|tag| matches!(tag, Tag::Hop(hop) if hop.worker == worker))
    }

    /// The histories of some jobs, for people.
    pub fn histories(&self, is_told: impl Fn(&Job) -> bool) -> String {
        let mut text = String::new();
        for job in self.world.store.all_jobs().iter().filter(|job| is_told(job)) {
            let Job { id, kind, node_id, state, created_at, deadline_at, .. } = job;
            let undo = job.undo_deadline_at;
            let _ = writeln!(text, "{id} {kind:?} on {node_id} {state:?}");
            let _ = writeln!(text, "  from {created_at}, until {deadline_at}, undo {undo:?}");
            for entry in self.world.store.history(id) {
                let _ = writeln!(text, "  {} {}", entry.at, entry.message);
            }
        }
        text
    }

    /// Whether a sweep would find anything.
    pub fn has_overdue(&self) -> bool {
        let now = self.now();
        let overdue = now - SignedDuration::from_secs(GRACE_SECS);
        let store = &self.world.store;
        store.with_jobs(|jobs| {
            jobs.values().any(|job| job.look_at().is_some_and(|at| at <= overdue))
        }) || store.with_nodes(|nodes| {
            nodes.values().any(|node| node.release_at.is_some_and(|at| at <= now))
        }) || store.all_rotations().iter().any(|it| it.look_at().is_some_and(|at| at <= overdue))
            || store.has_due_event(overdue)
            || !store.unsigned_now().is_empty()
    }

    /// Nothing is left to do, and no wake is on its way.
    pub fn is_settled(&self) -> bool {
        self.world.store.is_at_rest() && self.world.queue.next_visible_at().is_none()
    }

    /// How far a worker's clock is off, in seconds.
    pub fn set_skew(&self, worker: usize, secs: i64) {
        self.workers[worker].driver.clock.set_skew(SignedDuration::from_secs(secs));
    }

    fn connection(&self) -> Option<Connection> {
        let store = &self.world.store;
        run_to_end(store.connection(&name())).ok().flatten()
    }

    /// The id of the managed key on record.
    pub fn key_id(&self) -> Option<u64> {
        Some(self.connection()?.key?.provider_id)
    }

    /// An admin confirms the project: the managed key is made again if it is not there. True when
    /// that made another key.
    pub fn make_key(&self) -> bool {
        let Some(connection) = self.connection() else { return false };
        let Some(known) = &connection.key else { return false };
        let name = ManagedKey::name(DEPLOYMENT, &connection.name, known.version);
        let key = Some(self.world.provider.managed_key_again(&name, known));
        let is_another = connection.key != key;
        // The observer's handle has no faults.
        let _ =
            run_to_end(self.world.store.swap_connection(&Connection { key, ..connection }, &[]));
        is_another
    }

    /// Sends a wake without delay, as callers do.
    pub fn send(&self, wake: &Wake) {
        // The observer's handle has no faults.
        let _ = run_to_end(self.world.queue.send(wake, 0));
    }
}

fn worker_of(world: &World) -> Worker {
    Worker { driver: Rc::new(world.worker()), last: Vec::new() }
}

/// Labels as a server of the node has them, with a nonce that is none of its attempts'.
pub fn forged_labels(node: &NodeId) -> BTreeMap<String, String> {
    ownership::labels(DEPLOYMENT, node, "0123456789abcdef0123456789abcdef")
}
