//! What others read of the records: words, names, limits, and the fields that are left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    audit::{Resource, ResourceKind},
    connection::{
        Connection, ConnectionName, ConnectionStatus, ManagedKey, Permission, ProviderKind,
    },
    id::{EffectId, JobId, NodeId, TokenId},
    job::{Job, JobKind},
    observation::{FailureClass, ProviderFailure},
    orphan::OrphanId,
    pace::{Pace, SpreadGroup},
    readiness::ReadinessCode,
    run::Recap,
    spec::{self, Profile},
    token::{Scope, Token, same_hash},
    user_data,
};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn name() -> ConnectionName {
    "main".parse().unwrap()
}

fn connection() -> Connection {
    Connection {
        name: name(),
        version: 1,
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: None,
        token: None,
        key_stem: None,
        retired: Vec::new(),
        rotation: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: now(),
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: now(),
    }
}

fn job() -> Job {
    let node = NodeId::from_bits(2);
    Job::new(JobId::from_bits(1), JobKind::NodeProvision, node, name(), "ada", 60, now())
}

#[test]
fn a_resource_names_its_kind_and_its_id() {
    let of = |kind, id: &str| Resource { kind, id: Some(id.to_owned()) };
    let (node, job, token) = (NodeId::from_bits(1), JobId::from_bits(2), TokenId::from_bits(3));
    assert_eq!(Resource::from(&node), of(ResourceKind::Node, node.as_str()));
    assert_eq!(Resource::from(&job), of(ResourceKind::Job, job.as_str()));
    assert_eq!(Resource::from(&token), of(ResourceKind::Token, token.as_str()));
    assert_eq!(Resource::from(&name()), of(ResourceKind::Connection, "main"));
    let orphan = OrphanId::from_text("server-7@main").unwrap();
    assert_eq!(Resource::from(&orphan), of(ResourceKind::Orphan, "server-7@main"));
    let all = Resource::all(ResourceKind::Audit);
    assert_eq!(all, Resource { kind: ResourceKind::Audit, id: None });
}

#[test]
fn names_and_words_are_what_they_were() {
    assert_eq!(ManagedKey::name("prod", &name(), 2), "nodeyard-prod-main-2");
    assert_eq!(EffectId(7).to_string(), "e7");
    for (profile, word) in [(Profile::base(), "base"), (Profile::web(), "web")] {
        assert_eq!(serde_json::to_value(profile).unwrap(), word);
    }
    let codes = [
        ReadinessCode::AcquisitionInProgress,
        ReadinessCode::ProviderServerMissing,
        ReadinessCode::SshUnreachable,
        ReadinessCode::RebootRequired,
    ];
    let sentences = codes.map(ReadinessCode::guidance);
    for (index, sentence) in sentences.iter().enumerate() {
        assert!(sentence.ends_with('.') && sentence.contains(' '), "{sentence}");
        assert!(!sentences[..index].contains(sentence), "each has a sentence of its own");
    }
}

#[test]
fn the_ladder_of_who_gives_none_starts_with_the_cheapest() {
    let ladder = spec::default_ladder();
    let rungs: Vec<String> = ladder.iter().map(ToString::to_string).collect();
    assert_eq!((rungs.len(), ladder[0].server_type.as_str()), (5, "cx23"));
    let distinct: std::collections::BTreeSet<_> = rungs.iter().collect();
    assert_eq!(distinct.len(), rungs.len(), "{rungs:?}");
}

#[test]
fn limits_are_those_that_callers_know() {
    assert_eq!(spec::DEFAULT_DEADLINE_SECS, 1_800);
    assert_eq!(spec::DEADLINE_SECS, 300..=21_600);
    assert_eq!(spec::MAX_VARS_BYTES, 8_192);
    assert_eq!(user_data::MAX_USER_DATA_BYTES, 32_768);
    let (deadlines, known) = (
        [acceptance::CONFIGURE_DEADLINE_SECS, acceptance::RELEASE_DEADLINE_SECS],
        acceptance::ROTATION_DEADLINE_SECS,
    );
    assert_eq!((deadlines, known), ([1_800; 2], 21_600));
}

#[test]
fn what_says_nothing_is_left_out_of_records() {
    let written = |it: &Connection| serde_json::to_value(it).unwrap().get("failed_checks").cloned();
    let mut known = connection();
    assert_eq!(written(&known), None);
    known.failed_checks = 3;
    assert_eq!(written(&known), Some(3.into()));
    let written = |it: &Job| serde_json::to_value(it).unwrap().get("key_version").cloned();
    let mut job = job();
    assert_eq!(written(&job), None, "the version that was the only one once");
    job.key_version = 2;
    assert_eq!(written(&job), Some(2.into()));
}

#[test]
fn checks_that_tell_nothing_are_counted_on() {
    let mut known = connection();
    for failed_checks in 1..=4 {
        let failure = ProviderFailure::new(FailureClass::Unknown, "timeout", "no answer");
        known = known.judged(Err(failure), now() + SignedDuration::from_secs(300));
        assert_eq!(known.failed_checks, failed_checks);
    }
    assert_eq!(known.status, ConnectionStatus::Degraded);
}

#[test]
fn recaps_add_up_and_stay_at_their_most() {
    let one = Recap { ok: 1, changed: 2, failed: 3, unreachable: 4, skipped: 5 };
    let twice = Recap { ok: 2, changed: 4, failed: 6, unreachable: 8, skipped: 10 };
    assert_eq!(one.plus(one), twice);
    let most = Recap { ok: u32::MAX, ..one };
    assert_eq!(most.plus(one).ok, u32::MAX);
}

#[test]
fn a_token_sees_the_connections_it_names() {
    let token = |connections: Option<Vec<ConnectionName>>| Token {
        id: TokenId::from_bits(1),
        name: "ci".into(),
        scopes: vec![Scope::Read],
        connections,
        secret_hash: String::new(),
        created_at: now(),
        expires_at: None,
    };
    assert!(token(None).sees(&name()) && token(Some(vec![name()])).sees(&name()));
    assert!(!token(Some(vec!["other".parse().unwrap()])).sees(&name()));
    assert!(!token(Some(Vec::new())).sees(&name()));
}

#[test]
fn differences_of_hashes_never_cancel_out() {
    assert!(same_hash("abab", "abab"));
    assert!(!same_hash("abab", "baba") && !same_hash("aabb", "bbaa"));
}

#[test]
fn a_group_without_a_place_gives_none() {
    let mut pace = Pace::new(now());
    pace.groups = vec![SpreadGroup { id: 1, free: 0 }, SpreadGroup { id: 2, free: 1 }];
    assert_eq!((pace.take_place(), pace.take_place()), (Some(2), None));
}
