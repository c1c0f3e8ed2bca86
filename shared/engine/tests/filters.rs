//! What the lists of nodes and jobs leave out: everything that is set has to hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::Timestamp;
use nodeyard_domain::{
    acceptance,
    id::{JobId, NodeId},
    job::{Job, JobState},
    node::{Node, NodeStatus},
    spec::{NodeSpec, Profile},
    work::Work,
};
use nodeyard_engine::store::{JobFilter, NodeFilter};
use nodeyard_testkit::world::{name, node_spec};

fn work() -> (Job, Node) {
    let labels = [("team".to_owned(), "a".to_owned())].into();
    let spec = NodeSpec { labels, profile: Profile::base(), ..node_spec() };
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    acceptance::provision(JobId::from_bits(1), NodeId::from_bits(2), spec, "ada", None, now)
}

#[test]
fn a_node_is_listed_where_all_that_is_set_holds() {
    let (_, node) = work();
    let label = |key: &str, value: Option<&str>| Some((key.to_owned(), value.map(str::to_owned)));
    let right = NodeFilter {
        status: Some(NodeStatus::Acquiring),
        connections: Some(vec!["other".parse().unwrap(), name()]),
        profile: Some(Profile::base()),
        label: label("team", Some("a")),
    };
    let any_value = NodeFilter { label: label("team", None), ..right.clone() };
    for listing in [NodeFilter::default(), right.clone(), any_value] {
        assert!(listing.matches(&node), "{listing:?}");
    }
    for leaving_out in [
        NodeFilter { status: Some(NodeStatus::Ready), ..right.clone() },
        NodeFilter { connections: Some(vec!["other".parse().unwrap()]), ..right.clone() },
        NodeFilter { connections: Some(Vec::new()), ..right.clone() },
        NodeFilter { profile: Some(Profile::web()), ..right.clone() },
        NodeFilter { label: label("team", Some("b")), ..right.clone() },
        NodeFilter { label: label("stage", None), ..right },
    ] {
        assert!(!leaving_out.matches(&node), "{leaving_out:?}");
    }
}

#[test]
fn a_job_is_listed_where_all_that_is_set_holds() {
    let (job, node) = work();
    let right = JobFilter {
        state: Some(JobState::Queued),
        node: Some(node.id),
        connections: Some(vec![name()]),
    };
    let job = Work::OnNode(Box::new(job));
    assert!(JobFilter::default().matches(&job) && right.matches(&job));
    for leaving_out in [
        JobFilter { state: Some(JobState::Running), ..right.clone() },
        JobFilter { node: Some(NodeId::from_bits(3)), ..right.clone() },
        JobFilter { connections: Some(vec!["other".parse().unwrap()]), ..right },
    ] {
        assert!(!leaving_out.matches(&job), "{leaving_out:?}");
    }
}
