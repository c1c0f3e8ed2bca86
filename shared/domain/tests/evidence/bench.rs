//! A job's life by hand: observations in, a chain of evidence out; and a key to sign it with.

use std::{collections::BTreeMap, sync::OnceLock};

use aws_lc_rs::{
    digest::{Digest, SHA256},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    code::Code,
    evidence::{
        ALGORITHM, Call, Chain, Entry, Fact, Hash, Head, PublicKey, RunEvidence, Seen, Signature,
        bundle::{Bundle, Stored},
        canonical::hash_of,
        left_by_run, left_run,
    },
    id::{JobId, NodeId},
    job::{Job, JobKind},
    node::{Node, Server},
    observation::{Observation, Outcome, ServerStatus},
    placement::Rung,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
    spec::{NodeSpec, Profile},
    step::{Policy, Verdict, step},
};
use serde_json::{Map, Value};

pub struct Life {
    pub job: Job,
    pub node: Node,
    pub now: Timestamp,
    pub stored: Stored,
    /// What tells lives apart: ids, times, addresses.
    salt: u64,
}

pub fn playbooks() -> Hash {
    hash_of(b"the playbooks")
}

impl Life {
    pub fn new(kind: JobKind, salt: u64) -> Self {
        let now = Timestamp::from_second(1_800_000_000 + salt as i64 * 977).unwrap();
        let (job_id, node_id) =
            (JobId::from_bits(u128::from(salt) + 1), NodeId::from_bits(u128::from(salt) + 7));
        let rung = Rung { server_type: "cx23".into(), location: "fsn1".into() };
        let spec = NodeSpec {
            name: format!("shop-{salt}"),
            connection: "main".parse().unwrap(),
            profile: Profile::web(),
            vars: Map::new(),
            placement: vec![rung],
            image: "debian-13".into(),
            max_price: None,
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            labels: BTreeMap::new(),
            keep_on_failure: false,
            spread: false,
            prices: Vec::new(),
            deadline_secs: 1800,
        };
        let (mut job, node) = nodeyard_domain::acceptance::provision(
            job_id.clone(),
            node_id.clone(),
            spec,
            "ci",
            None,
            now,
        );
        if kind != JobKind::NodeProvision {
            job = nodeyard_domain::acceptance::on_node(job_id, kind, &node, "ci", None, now);
        }
        Self { job, node, now, stored: Stored::default(), salt }
    }

    pub fn server(&self) -> Server {
        Server {
            id: 4711 + self.salt,
            name: self.job.server_name.clone(),
            attempt: self.job.attempt,
            ipv4: Some(format!("198.18.0.{}", self.salt % 200)),
            ipv6: None,
            primary_ips: vec![7 + self.salt],
            server_type: None,
            location: None,
        }
    }

    /// One hop, `secs` after the last one.
    pub fn sees(&mut self, secs: i64, outcome: Outcome) -> &mut Self {
        self.now += SignedDuration::from_secs(secs);
        let intent = self.job.intent.clone().expect("the job is open");
        let calls = [Call {
            request: "GET /actions".into(),
            status: Some(200),
            failure: None,
            correlation_id: Some(format!("corr-{}-{}", self.salt, self.job.version)),
        }];
        let observation = Observation { effect: intent.id, outcome: outcome.clone() };
        let Verdict::Commit(mut decision) =
            step(&self.job, observation, &Policy::default(), self.now)
        else {
            panic!("{outcome:?} is no use to {:?}", self.job.step)
        };
        let asks = intent.effect.call_class(self.job.phase).is_some();
        let left = left_run(&self.job, &outcome)
            .and_then(|run| left_by_run(&self.job.id, run, self.stored.runs.get(&run)?));
        let seen = Seen {
            effect: Some(&intent.effect),
            outcome: &outcome,
            calls: if asks { &calls } else { &[] },
            left: left.as_ref(),
        };
        decision.give_evidence(&self.job, &self.node, seen);
        let entries = decision.evidence.iter().map(|entry| serde_json::to_value(entry).unwrap());
        self.stored.entries.extend(entries);
        decision.node.apply(&mut self.node, &self.job.id, self.now);
        self.job = Job { version: self.job.version + 1, ..decision.job };
        self
    }

    pub fn created(&mut self) -> &mut Self {
        let outcome =
            Outcome::Created { server: self.server(), action_id: Some(9), expect_secs: None };
        self.sees(1, outcome)
    }

    pub fn up(&mut self) -> &mut Self {
        let server = self.server();
        self.sees(9, Outcome::ActionSucceeded)
            .sees(2, Outcome::ServerSeen { server, status: ServerStatus::Running })
    }

    /// Facts of the open run go on record, in a chain of its own.
    fn write_run(&mut self, end: Option<Fact>) -> (u32, Head) {
        let run = self.job.run.unwrap().number;
        let mut chain = Chain::of_run(&self.job.id, run);
        let facts = [
            Fact::RunBegan {
                job: self.job.id.clone(),
                run,
                node: self.job.node_id.clone(),
                server: self.server().id.to_string(),
                profile: Profile::web(),
                playbooks: Some(playbooks()),
                release: "0.1.0".into(),
            },
            Fact::task_ended(
                "web",
                ("Install nginx", Some("nginx"), None),
                "changed",
                self.salt as f64 + 0.25,
                Some("nginx 1.26.3-2"),
            ),
            Fact::PlaybookEnded { playbook: "web".into(), recap: Recap::default() },
        ];
        let entries: Vec<Value> = facts
            .into_iter()
            .chain(end)
            .filter_map(|fact| chain.append(self.now, fact))
            .map(|entry: Entry| serde_json::to_value(entry).unwrap())
            .collect();
        self.stored.runs.insert(run, entries);
        (run, chain.head().clone())
    }

    /// The open run got on, and was stopped or lost then.
    pub fn cut_off(&mut self, outcome: Outcome) -> u32 {
        let (run, _) = self.write_run(None);
        self.sees(30, outcome);
        run
    }

    /// The open run ends, with a chain of its own.
    pub fn run(&mut self, code: Option<Code>, probes: &[(ReadinessCode, bool, bool)]) -> &mut Self {
        let (_, head) = self.write_run(Some(Fact::run_ended(code, "")));
        self.sees(
            60,
            Outcome::RunFinished(RunResult {
                smokes: Vec::new(),
                tasks: None,
                code,
                message: format!("after {} s", self.salt),
                recap: Recap { ok: 9, changed: 3, ..Recap::default() },
                readiness: probes
                    .iter()
                    .map(|(code, ok, warning)| Finding {
                        code: *code,
                        ok: *ok,
                        warning: *warning,
                        detail: format!("seen {}", self.salt),
                    })
                    .collect(),
                key_version: None,
                evidence: Some(RunEvidence {
                    chain: Some(head),
                    playbooks: Some(playbooks()),
                    release: "0.1.0".into(),
                }),
                finished_at: self.now,
            }),
        )
    }

    pub fn bundle(&self) -> Bundle {
        Bundle::new(&self.job.id, self.stored.clone()).unwrap()
    }

    pub fn signed(&mut self) -> Bundle {
        let head = self.job.evidence.as_ref().unwrap().head().hash.clone();
        self.stored.signature = Some(Signer::known().sign(&head));
        self.bundle()
    }
}

pub const READY: &[(ReadinessCode, bool, bool)] = &[
    (ReadinessCode::ServiceDown, true, false),
    (ReadinessCode::BootUnfinished, true, false),
    (ReadinessCode::RebootRequired, false, true),
];

/// A node that becomes ready at once.
pub fn ready(salt: u64) -> Life {
    let mut life = Life::new(JobKind::NodeProvision, salt);
    life.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted);
    life.up().run(None, READY);
    life
}

pub struct Signer(EcdsaKeyPair);

impl Signer {
    pub fn known() -> &'static Self {
        static KNOWN: OnceLock<Signer> = OnceLock::new();
        KNOWN.get_or_init(Self::another)
    }

    pub fn another() -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap())
    }

    fn public(&self) -> String {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        STANDARD.encode(der.as_ref())
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey::parse(&self.public()).unwrap()
    }

    pub fn sign(&self, head: &Hash) -> Signature {
        let digest = Digest::import_less_safe(&head.to_bytes(), &SHA256).unwrap();
        Signature {
            algorithm: ALGORITHM.into(),
            key_id: "key-1".into(),
            public_key: self.public(),
            signature: STANDARD.encode(self.0.sign_digest(&digest).unwrap().as_ref()),
            at: Timestamp::from_second(1_800_000_100).unwrap(),
        }
    }
}
