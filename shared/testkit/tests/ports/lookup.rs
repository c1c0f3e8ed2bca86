//! Looking servers up: many at once, and never a 404 that proves nothing.

use nodeyard_domain::id::NodeId;
use nodeyard_engine::provider::{Lookup, Provider as _, Remains};
use nodeyard_testkit::{pause::run_to_end, provider::TOKEN, world::name};

use crate::bench::Bench;

#[test]
fn fifty_nodes_are_listed_with_one_call() {
    let bench = Bench::new();
    let nodes: Vec<NodeId> = (0..60).map(|node| NodeId::from_bits(node << 96)).collect();
    for node in 0..60 {
        bench.create(node).unwrap();
    }
    bench.world.provider.take_name("somebody-elses");
    let listed = |nodes: &[NodeId]| {
        run_to_end(bench.provider().servers(&bench.on, "test", nodes)).unwrap().len()
    };
    assert_eq!((listed(&nodes), listed(&nodes[..50]), listed(&nodes[..2])), (60, 50, 2));
    assert_eq!(bench.world.provider.books().by_route["GET /servers?label_selector"], 4);
    assert_eq!(run_to_end(bench.provider().servers(&bench.on, "other", &nodes)).unwrap(), []);
}

#[test]
fn with_a_token_of_another_project_nothing_is_absent_or_gone() {
    let bench = Bench::new();
    let id = bench.running(1);
    bench.world.provider.hide_marker(true);
    assert_eq!(bench.find("web-1").unwrap(), Lookup::MarkerMissing);
    let server = || run_to_end(bench.provider().server(&bench.on, id)).unwrap();
    assert_eq!(server(), Lookup::MarkerMissing);
    assert_eq!(bench.remains(id, &[]).unwrap(), Remains::MarkerMissing);
    let key = bench.on.key.as_ref().unwrap();
    assert!(!run_to_end(bench.provider().sees_key(&bench.on, key)).unwrap());

    bench.world.provider.hide_marker(false);
    assert!(matches!(server(), Lookup::Found(_)));
    assert_eq!(bench.find("web-2").unwrap(), Lookup::Absent);
    assert!(bench.world.provider.remove_key(key.provider_id));
    assert_eq!(bench.find("web-2").unwrap(), Lookup::MarkerMissing);
}

#[test]
fn what_one_token_missed_another_does_not_prove() {
    use hetzner_sim::Access;
    let bench = Bench::new();
    let cloud = &bench.world.provider;
    cloud.add_token("of-another", "another", Access::ReadWrite);
    bench.world.secrets.put_token(&name(), "of-another");
    // The first call is made with the one, and it is revoked before the second.
    let find = bench.provider().find_server(&bench.on, "web-1");
    let mut find = std::pin::pin!(find);
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..4 {
        assert!(std::future::Future::poll(find.as_mut(), &mut task).is_pending());
    }
    assert_eq!(cloud.books().calls, 1, "listed with the first token");
    cloud.revoke("of-another", true);
    bench.world.secrets.put_token(&name(), TOKEN);
    let failure = run_to_end(find).unwrap_err();
    assert_eq!(failure.code, "token_replaced");
}
