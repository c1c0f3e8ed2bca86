//! What a rotation leaves as evidence: its keys, each node with what became of it, and what is
//! claimed in the end.

use std::collections::BTreeSet;

use nodeyard_domain::{
    evidence::{
        bundle::Bundle,
        verify::{Place, Verdict, verify},
    },
    id::JobId,
    job::JobState,
};
use nodeyard_testkit::{pause::run_to_end, signer};
use serde_json::{Value, json};

use crate::bench::Bench;

fn json_of(bundle: &Bundle) -> Value {
    serde_json::to_value(bundle).unwrap()
}

fn claims(bundle: &Bundle) -> Vec<(String, Value)> {
    let claim = |claim: &_| {
        let claim = serde_json::to_value(claim).unwrap();
        (claim["step"].as_str().unwrap().to_owned(), claim["verdict"].clone())
    };
    bundle.claims.iter().map(claim).collect()
}

fn verdicts(list: &[(&str, &str)]) -> Vec<(String, Value)> {
    list.iter().map(|(step, verdict)| ((*step).to_owned(), json!(verdict))).collect()
}

/// The facts of one kind.
fn facts<'a>(bundle: &'a Bundle, kind: &str) -> Vec<&'a Value> {
    bundle.entries.iter().filter(|entry| entry["fact"] == kind).collect()
}

/// Everything that facts of one kind name, by a member.
fn named(bundle: &Bundle, kind: &str) -> BTreeSet<String> {
    let nodes = facts(bundle, kind).into_iter().flat_map(|fact| fact["nodes"].as_array().unwrap());
    let name = |node: &Value| {
        let (id, reason) = (node.as_str(), node["reason"].as_str());
        id.map_or_else(
            || format!("{} {}", node["node_id"].as_str().unwrap(), reason.unwrap()),
            str::to_owned,
        )
    };
    nodes.map(name).collect()
}

#[test]
fn it_tells_of_the_key_and_of_each_node() {
    let mut bench = Bench::of_five();
    let id = bench.rotate();
    bench.live(1800);
    let bundle = bench.authentic(&id, "of five");
    let began = &bundle.entries[0];
    assert_eq!((&began["fact"], &began["key_version"]), (&json!("rotation_began"), &json!(2)));
    assert_eq!((&began["connection"], &began["job"]), (&json!("main"), &json!(id.to_string())));
    let made = facts(&bundle, "key_made");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["version"], 2);
    assert!(made[0]["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    let at = |list: &[usize]| list.iter().map(|at| bench.nodes[*at].to_string()).collect();
    assert_eq!(named(&bundle, "nodes_taken"), at(&[0, 3, 4]));
    assert_eq!(named(&bundle, "nodes_done"), at(&[0, 4]));
    let listed = [(1, "busy"), (2, "off"), (3, "unreachable")];
    let listed = listed.map(|(at, reason)| format!("{} {reason}", bench.nodes[at]));
    assert_eq!(named(&bundle, "nodes_listed"), listed.into_iter().collect());
    let kept = facts(&bundle, "keys_kept");
    assert_eq!((&kept[0]["newest"], &kept[0]["earlier"]), (&json!(2), &json!([1])));
    assert!(!facts(&bundle, "called").is_empty(), "what the provider was asked");
    let expected = [
        ("make_key", "held"),
        ("settle_nodes", "held"),
        ("reach_nodes", "failed"),
        ("keep_key", "held"),
        ("end_job", "held"),
    ];
    assert_eq!(claims(&bundle), verdicts(&expected), "three nodes have the old version");
    // Looks that change nothing have no entries.
    assert!(bundle.entries.len() < 40, "{}", bundle.entries.len());
}

#[test]
fn one_scenario_has_one_digest() {
    let digest = |wait: i64| {
        let mut bench = Bench::with_nodes(3);
        bench.world.clock.advance(jiff::SignedDuration::from_secs(wait));
        let id = bench.rotate();
        bench.live(600);
        let bundle = bench.authentic(&id, "of three");
        assert!(claims(&bundle).iter().all(|(_, verdict)| verdict == "held"));
        assert_eq!(bundle.claims.len(), 5);
        bundle.digest
    };
    let known = digest(0);
    assert_eq!(digest(7919), known);
    let mut bench = Bench::of_five();
    let id = bench.rotate();
    bench.live(1800);
    assert_ne!(bench.authentic(&id, "of five").digest, known, "another scenario");
}

#[test]
fn one_that_made_nothing_claims_so() {
    let mut bench = Bench::with_nodes(1);
    bench.world.provider.hide_marker(true);
    let id = bench.rotate();
    bench.live(30);
    bench.world.clock.advance(jiff::SignedDuration::from_hours(7));
    bench.live(300);
    assert_eq!(bench.state(&id), JobState::Failed);
    let bundle = bench.authentic(&id, "without a marker");
    let expected = [
        ("make_key", "failed"),
        ("settle_nodes", "failed"),
        ("reach_nodes", "failed"),
        ("keep_key", "held"),
        ("end_job", "failed"),
    ];
    assert_eq!(claims(&bundle), verdicts(&expected));
    let end = serde_json::to_value(bundle.claims.last().unwrap()).unwrap();
    assert_eq!(end["code"], "PROVIDER_UNAUTHORIZED");
    assert_eq!(facts(&bundle, "keys_kept")[0]["newest"], 1, "the version before stays");
}

#[test]
fn one_that_was_cancelled_claims_its_end_only() {
    let cancelled = |hops: usize| -> (JobId, Bench) {
        let mut bench = Bench::with_nodes(2);
        let id = bench.rotate();
        for _ in 0..hops {
            let wake = bench.world.queue.take().expect("a wake");
            run_to_end(bench.world.driver.handle(&wake)).unwrap();
        }
        assert!(run_to_end(bench.world.cancel(&id)));
        bench.live(600);
        (id, bench)
    };
    for hops in 0..3 {
        let (id, mut bench) = cancelled(hops);
        let bundle = bench.authentic(&id, &format!("cancelled after {hops}"));
        assert_eq!(claims(&bundle), verdicts(&[("end_job", "cancelled")]), "after {hops}");
    }
}

#[test]
fn whatever_is_altered_is_found() {
    let mut bench = Bench::of_five();
    let id = bench.rotate();
    bench.live(1800);
    let whole = json_of(&bench.authentic(&id, "of five"));
    let (_, key) = signer::public_key();
    let place = |altered: &Value| match verify(altered, Some(&key)) {
        Verdict::Broken { place, .. } => Some(place),
        _ => None,
    };
    let entries = whole["entries"].as_array().unwrap().len();
    for at in 0..entries {
        for (name, value) in whole["entries"][at].as_object().unwrap() {
            let mut altered = whole.clone();
            altered["entries"][at][name] = match value {
                Value::String(text) => json!(format!("{text}1")),
                Value::Array(items) => json!(items[..items.len().saturating_sub(1)]),
                other => json!({ "was": other }),
            };
            if altered != whole {
                assert_eq!(place(&altered), Some(Place::Chain), "{at}/{name}");
            }
        }
    }
    let mut altered = whole.clone();
    altered["claims"].as_array_mut().unwrap().pop();
    assert_eq!(place(&altered), Some(Place::Digest));
    let mut another = whole;
    another["job"] = json!(JobId::from_bits(1));
    assert_eq!(place(&another), Some(Place::Chain), "it is of one rotation");
}
