//! Servers come, run and go as in the simulator, and the books know of it.

use nodeyard_domain::observation::{FailureClass, ServerStatus};
use nodeyard_engine::provider::{ActionState, Lookup, Provider as _, Remains};
use nodeyard_testkit::pause::run_to_end;

use crate::bench::{Bench, class};

#[test]
fn a_server_is_locked_until_it_runs_and_there_until_it_is_gone() {
    let bench = Bench::new();
    let created = bench.create(1).unwrap();
    let (server, action) = (created.server, created.action_id.unwrap());
    assert_eq!((server.name.as_str(), server.attempt), ("web-1", 1));
    assert_eq!(
        (server.server_type.as_deref(), server.location.as_deref()),
        (Some("cx23"), Some("fsn1"))
    );
    assert_eq!((server.ipv4.as_deref(), server.primary_ips.len()), (Some("198.18.0.10"), 2));
    assert!(server.ipv6.unwrap().ends_with("::1"));

    let state = || run_to_end(bench.provider().actions(&bench.on, &[action, 7])).unwrap();
    assert_eq!(state().into_values().collect::<Vec<_>>(), [ActionState::Running]);
    assert_eq!(class(&bench.delete(server.id)), Some(FailureClass::Busy));
    bench.pass(10);
    assert_eq!(state().remove(&action), Some(ActionState::Succeeded { took_secs: Some(10) }));
    bench.pass(3);
    assert_eq!(bench.found("web-1").unwrap().status, ServerStatus::Running);

    bench.delete(server.id).unwrap();
    assert_eq!(bench.found("web-1").unwrap().status, ServerStatus::Deleting);
    assert_eq!(class(&bench.create(1)), Some(FailureClass::NameTaken), "until it is gone");
    bench.pass(4);
    assert_eq!(bench.remains(server.id, &server.primary_ips).unwrap(), Remains::Nothing);
    assert_eq!(class(&bench.delete(server.id)), Some(FailureClass::NotFound));

    let books = bench.world.provider.books();
    assert_eq!((books.made, books.creates_sent, books.alive.len()), (1, 2, 0));
    let made = &books.servers[0];
    assert_eq!(made.gone_at.unwrap().as_second() - made.made_at.as_second(), 17);
    assert!(made.ours && made.node().is_some() && made.nonce().is_some());
    assert_eq!(books.by_route["DELETE /servers/{id}"], 3);
    assert!(bench.world.provider.primary_ips().is_empty());
}

#[test]
fn the_books_know_when_something_happened_however_late_one_looks() {
    let bench = Bench::new();
    bench.world.provider.fault(nodeyard_testkit::provider::CreateFault::LandsLate(50));
    assert_eq!(class(&bench.create(1)), Some(FailureClass::Unknown));
    assert_eq!(bench.found("web-1"), None);
    let start = bench.world.provider.books();
    assert_eq!((start.made, start.creates_sent), (0, 1));
    bench.pass(3600);
    let books = bench.world.provider.books();
    let landed = books.servers[0].made_at.as_second();
    assert_eq!(landed, 1_800_000_000 + 50);
    assert_eq!(bench.found("web-1").unwrap().status, ServerStatus::Running);
}

#[test]
fn stock_quota_and_senseless_bodies_are_told_apart() {
    use hetzner_sim::world::stock::Supply;
    let bench = Bench::new();
    let create = |change: &dyn Fn(&mut nodeyard_engine::provider::CreateServer)| {
        let mut body = bench.body(9);
        change(&mut body);
        class(&run_to_end(bench.provider().create_server(&bench.on, &body)))
    };
    bench.world.provider.set_stock("cx23", "fsn1", Supply::Out);
    assert_eq!(create(&|_| ()), Some(FailureClass::NoCapacity));
    assert_eq!(create(&|body| body.location = "ash".into()), Some(FailureClass::NoCapacity));
    assert_eq!(create(&|body| body.image = "plan9".into()), Some(FailureClass::Invalid));
    assert_eq!(create(&|body| body.ssh_keys = vec![7]), Some(FailureClass::NotFound));
    assert_eq!(create(&|body| body.placement_group = Some(7)), Some(FailureClass::NotFound));
    bench.world.provider.limit_servers(Some(1));
    assert_eq!(create(&|body| body.location = "nbg1".into()), None);
    bench.world.provider.set_stock("cx23", "fsn1", Supply::Plenty);
    assert_eq!(class(&bench.create(2)), Some(FailureClass::Quota));
}

#[test]
fn a_group_is_made_once_and_holds_ten() {
    let bench = Bench::new();
    let make =
        |deployment| run_to_end(bench.provider().create_group(&bench.on, "spread", deployment));
    let group = make("test").unwrap();
    assert_eq!(make("test").unwrap(), group, "found again by its name and label");
    assert_eq!(class(&make("another")), Some(FailureClass::NameTaken), "not ours");
    for node in 0..11 {
        let mut body = bench.body(node);
        body.placement_group = Some(group);
        let made = run_to_end(bench.provider().create_server(&bench.on, &body));
        assert_eq!(class(&made), (node == 10).then_some(FailureClass::NoCapacity));
    }
    assert_eq!(bench.world.provider.groups()[&group], 10);
}

#[test]
fn what_a_second_actor_does_is_seen() {
    let bench = Bench::new();
    let cloud = &bench.world.provider;
    let foreign = cloud.take_name("web-9");
    assert_eq!(class(&bench.create(9)), Some(FailureClass::NameTaken));
    assert!(!cloud.books().servers[0].ours);
    let id = bench.running(1);
    assert!(cloud.protect(id, true));
    assert_eq!(class(&bench.delete(id)), Some(FailureClass::Protected));
    assert!(cloud.protect(id, false) && cloud.remove_server(id));
    bench.pass(4);
    assert_eq!(bench.found("web-1"), None);
    assert_eq!(cloud.books().alive, [foreign]);
}

#[test]
fn addresses_that_outlive_their_server_are_told_and_deleted() {
    let bench = Bench::new();
    let ips = bench.create(1).unwrap().server.primary_ips;
    bench.pass(13);
    let Some(found) = bench.found("web-1") else { panic!("no server") };
    bench.world.provider.keep_ips(found.server.id);
    bench.delete(found.server.id).unwrap();
    assert_eq!(bench.remains(found.server.id, &ips).unwrap(), Remains::StillThere);
    bench.pass(4);
    assert_eq!(bench.remains(found.server.id, &ips).unwrap(), Remains::PrimaryIps(ips.clone()));
    for ip in ips.iter().chain(&ips) {
        run_to_end(bench.provider().delete_primary_ip(&bench.on, *ip)).unwrap();
    }
    assert_eq!(bench.remains(found.server.id, &ips).unwrap(), Remains::Nothing);
}

#[test]
fn a_changed_body_of_one_attempt_is_noted() {
    let bench = Bench::new();
    bench.world.provider.fault(nodeyard_testkit::provider::CreateFault::Dropped);
    let mut body = bench.body(1);
    assert!(run_to_end(bench.provider().create_server(&bench.on, &body)).is_err());
    body.location = "nbg1".into();
    run_to_end(bench.provider().create_server(&bench.on, &body)).unwrap();
    assert_eq!(bench.world.provider.books().changed_bodies, 1);
    assert!(matches!(bench.find("web-1").unwrap(), Lookup::Found(_)));
}
