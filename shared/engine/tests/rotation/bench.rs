//! A world with nodes that let keys in, and container tasks that replace these keys.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    task::{Context, Poll, Waker},
};

use jiff::SignedDuration;
use nodeyard_domain::{
    code::Code,
    connection::Connection,
    evidence::{
        Chain,
        bundle::Bundle,
        verify::{Verdict, verify},
    },
    id::{JobId, NodeId},
    job::{JobKind, JobState},
    node::Node,
    readiness::{Finding, ReadinessCode},
    rotation::{ListedReason, Rotation},
    run::{Recap, Run, RunResult},
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock as _, evidence::GRACE_SECS, queue::WakeQueue as _, rotation::destroy_unused_keys,
    store::RunStore as _,
};
use nodeyard_testkit::{pause::run_to_end, signer, world::World};
use ssh_key::PrivateKey;

/// How long a container task takes, in seconds.
const RUN_SECS: i64 = 20;
/// What stands for the private half of the version that connecting made.
pub const FIRST: &str = "the first private half";

/// How far a container task comes before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    BeforeLogin,
    /// The node's list of keys is replaced, and nobody is told.
    KeysReplaced,
}

pub struct Bench {
    pub world: World,
    pub nodes: Vec<NodeId>,
    /// The keys each node lets in.
    doors: BTreeMap<NodeId, BTreeSet<String>>,
    /// Nodes that nobody reaches.
    pub dark: BTreeSet<NodeId>,
    /// Jobs whose container tasks do not end.
    pub held: BTreeSet<JobId>,
    /// What happens to the next task on a node.
    pub deaths: BTreeMap<NodeId, Death>,
    /// Polls of workers so far, and the one at which a worker dies.
    pub polls: Cell<usize>,
    pub kill_at: Option<usize>,
    /// Public halves by private ones: reading a key is slow.
    read: RefCell<BTreeMap<String, String>>,
}

fn words(line: &str) -> String {
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

impl Bench {
    /// So many nodes that are ready and let the first version in.
    pub fn with_nodes(count: usize) -> Self {
        let mut world = run_to_end(World::new());
        world.secrets.put("ssh-key/main-5eed5eed/1", FIRST);
        let ids: Vec<NodeId> = (0..count)
            .map(|at| run_to_end(world.provision(|spec| spec.name = format!("web-{at}"))).1)
            .collect();
        run_to_end(world.run_for(600)).unwrap();
        let first = words(&world.store.all_connections()[0].key.as_ref().unwrap().public_key);
        let doors = ids.iter().map(|id| (id.clone(), BTreeSet::from([first.clone()]))).collect();
        assert!(world.open_jobs().is_empty());
        Self {
            world,
            nodes: ids,
            doors,
            dark: BTreeSet::new(),
            held: BTreeSet::new(),
            deaths: BTreeMap::new(),
            polls: Cell::new(0),
            kill_at: None,
            read: RefCell::default(),
        }
    }

    /// Five nodes: the second is busy, the third off, the fourth in the dark.
    pub fn of_five() -> Self {
        let mut bench = Self::with_nodes(5);
        let busy = run_to_end(bench.world.work(JobKind::NodeConfigure, &bench.nodes[1])).unwrap();
        bench.held.insert(busy);
        assert!(bench.world.provider.power_off(bench.server(2)));
        // Switching off takes a moment, and the busy node's task starts meanwhile.
        bench.live(30);
        bench.dark.insert(bench.nodes[3].clone());
        bench
    }

    fn server(&self, at: usize) -> u64 {
        self.node(&self.nodes[at]).server.unwrap().id
    }

    pub fn node(&self, id: &NodeId) -> Node {
        self.world.store.with_nodes(|nodes| nodes[id].clone())
    }

    pub fn connection(&self) -> Connection {
        self.world.store.all_connections().remove(0)
    }

    pub fn rotate(&mut self) -> JobId {
        run_to_end(self.world.rotate_key()).expect("no other one is open")
    }

    pub fn rotation(&self, id: &JobId) -> Rotation {
        self.world.store.all_rotations().into_iter().find(|it| it.id == *id).unwrap()
    }

    /// The rotation's evidence, which is signed, if not by the worker then by the sweep.
    pub fn authentic(&mut self, id: &JobId, at: &str) -> Bundle {
        if self.world.store.unsigned_now().contains(id) {
            self.world.clock.advance(SignedDuration::from_secs(GRACE_SECS));
            run_to_end(self.world.sweep()).unwrap();
        }
        let bundle = Bundle::new(id, self.world.store.evidence_now(id)).unwrap();
        let told = serde_json::to_value(&bundle).unwrap();
        let verdict = verify(&told, Some(&signer::public_key().1));
        assert_eq!(verdict, Verdict::Authenticated, "{at}");
        assert_eq!(Some(&bundle.head), self.rotation(id).evidence.as_ref().map(Chain::head));
        bundle
    }

    pub fn reasons(&self, id: &JobId) -> BTreeMap<NodeId, ListedReason> {
        self.rotation(id).listed.into_iter().map(|it| (it.node_id, it.reason)).collect()
    }

    /// All nodes can be reached, and what was held goes on.
    pub fn mend(&mut self) {
        self.dark.clear();
        self.held.clear();
        for at in 0..self.nodes.len() {
            let server = self.server(at);
            self.world.provider.perform(&hetzner_sim::world::operation::Operation::Command(
                server,
                hetzner_sim::world::operation::Command::PowerOn,
            ));
        }
    }

    /// Lets time pass until nothing is open, or for so many seconds.
    pub fn live(&mut self, secs: i64) {
        let world = &self.world;
        let end = world.clock.now() + SignedDuration::from_secs(secs);
        let mut sweep_at = world.clock.now() + SignedDuration::from_secs(60);
        while self.world.clock.now() < end {
            while let Some(wake) = self.world.queue.take() {
                self.hop(&wake);
            }
            self.end_runs();
            let world = &self.world;
            let rotations = world.store.all_rotations();
            let is_over = rotations.iter().all(|rotation| rotation.state.is_terminal());
            if is_over && world.open_jobs().is_empty() {
                return;
            }
            world.clock.advance(SignedDuration::from_secs(1));
            if world.clock.now() >= sweep_at {
                sweep_at += SignedDuration::from_secs(60);
                run_to_end(world.sweep()).unwrap();
            }
        }
    }

    /// One wake; at every boundary it is looked whether each node can be logged in to. A worker
    /// that dies takes the wake along.
    fn hop(&self, wake: &Wake) {
        let mut hop = pin!(self.world.driver.handle(wake));
        let mut task = Context::from_waker(Waker::noop());
        loop {
            let at = self.polls.get();
            self.polls.set(at + 1);
            if self.kill_at == Some(at) {
                return;
            }
            let polled = hop.as_mut().poll(&mut task);
            self.nobody_is_locked_out();
            if let Poll::Ready(handled) = polled {
                handled.unwrap();
                return;
            }
        }
    }

    /// The public half of what is stored under a version.
    fn stored(&self, version: u32) -> Option<String> {
        let private = self.world.secrets.ssh_key_now(&self.connection().key_secret(version))?;
        if private == FIRST {
            return self.connection().key_of(1).map(|key| words(&key.public_key));
        }
        let read = |private: &String| {
            let pair = PrivateKey::from_openssh(private).unwrap();
            words(&pair.public_key().to_openssh().unwrap())
        };
        let mut known = self.read.borrow_mut();
        Some(known.entry(private.clone()).or_insert_with(|| read(&private)).clone())
    }

    fn opens(&self, versions: &[u32], node: &NodeId) -> bool {
        let doors = &self.doors[node];
        versions.iter().any(|version| self.stored(*version).is_some_and(|it| doors.contains(&it)))
    }

    /// What the next run on each node would offer lets it in.
    fn nobody_is_locked_out(&self) {
        let connection = self.connection();
        for id in &self.nodes {
            let offered = connection.key_versions_from(self.node(id).key_version);
            assert!(self.opens(&offered, id), "{id} is locked out: {offered:?} {connection:#?}");
        }
    }

    /// Whether the node lets this version in and nothing else.
    pub fn has_only(&self, node: &NodeId, version: u32) -> bool {
        self.stored(version).is_some_and(|key| self.doors[node] == BTreeSet::from([key]))
    }

    fn end_runs(&mut self) {
        for task in self.world.runner.tasks().into_iter().filter(|task| task.is_alive()) {
            let world = &self.world;
            let run = run_to_end(world.store.run(&task.job, task.number)).unwrap().unwrap();
            let is_over =
                task.started_at + SignedDuration::from_secs(RUN_SECS) <= world.clock.now();
            if !run.stop_requested && (!is_over || self.held.contains(&task.job)) {
                continue;
            }
            if let Some(result) = self.perform(&run) {
                run_to_end(self.world.store.finish_run(&run.job_id, run.number, &result)).unwrap();
            }
            self.world.runner.end(&run.job_id, run.number, None);
            let wake = Wake::new(run.job_id.clone(), WakeReason::Run);
            run_to_end(self.world.queue.send(&wake, 0)).unwrap();
        }
    }

    /// As the container task does it. `None`: it was killed.
    fn perform(&mut self, run: &Run) -> Option<RunResult> {
        if run.stop_requested {
            return Some(self.result(Some(Code::JobCancelled), None));
        }
        let off = self.world.provider.look(|world| {
            let server = world.server(run.server_id);
            server.is_some_and(|it| it.status != hetzner_sim::world::server::Status::Running)
        });
        let death = self.deaths.remove(&run.node_id);
        if death == Some(Death::BeforeLogin) {
            return None;
        }
        if self.dark.contains(&run.node_id) || off {
            return Some(self.result(Some(Code::NodeUnreachable), None));
        }
        assert!(self.opens(&run.key_versions, &run.node_id), "a run that cannot log in: {run:#?}");
        let newest = *run.key_versions.first().unwrap();
        let on = self.connection();
        assert_eq!(run.key_secret(newest), on.key_secret(newest), "it looks elsewhere: {run:#?}");
        let key = self.stored(newest).expect("the newest version can be read");
        self.doors.insert(run.node_id.clone(), BTreeSet::from([key]));
        self.nobody_is_locked_out();
        if death == Some(Death::KeysReplaced) {
            return None;
        }
        let proved = (run.key_versions.len() > 1).then_some(newest);
        Some(self.result(None, proved))
    }

    fn result(&self, code: Option<Code>, key_version: Option<u32>) -> RunResult {
        let finding = Finding {
            code: ReadinessCode::BootUnfinished,
            ok: true,
            warning: false,
            detail: String::new(),
        };
        RunResult {
            smokes: Vec::new(),
            tasks: None,
            code,
            message: String::new(),
            recap: Recap::default(),
            readiness: if code.is_none() { vec![finding] } else { Vec::new() },
            key_version,
            evidence: None,
            finished_at: self.world.clock.now(),
        }
    }

    /// What `health` does with the connection's versions, so many seconds later.
    pub fn destroy_after(&self, secs: i64) -> usize {
        let world = &self.world;
        world.clock.advance(SignedDuration::from_secs(secs));
        let connection = self.connection();
        let now = world.clock.now();
        let (store, secrets, provider) = (&world.store, &world.secrets, &world.provider);
        let destroyed = destroy_unused_keys(store, secrets, provider, &connection, now);
        let destroyed = run_to_end(destroyed).unwrap();
        self.nobody_is_locked_out();
        destroyed
    }

    /// Configures each node that is not on the newest version, and lets it end.
    pub fn catch_up(&mut self) {
        let newest = self.connection().key.unwrap().version;
        for id in self.nodes.clone() {
            if self.node(&id).key_version != newest {
                run_to_end(self.world.work(JobKind::NodeConfigure, &id)).expect("it is free");
            }
        }
        self.live(3600);
    }

    pub fn state(&self, id: &JobId) -> JobState {
        self.rotation(id).state
    }

    /// The names of the keys at the provider.
    pub fn keys_at_provider(&self) -> usize {
        self.world.provider.look(|world| world.ssh_keys().count())
    }
}
