//! Each fault of the provider does what its name says: with effect or without, and told as what.

use nodeyard_domain::observation::{FailureClass, ServerStatus};
use nodeyard_engine::provider::{ActionState, Provider as _};
use nodeyard_testkit::{faults::Fault, pause::run_to_end};

use crate::bench::{Bench, class};

#[test]
fn a_create_fails_in_every_way() {
    let unknown = Some(FailureClass::Unknown);
    for (fault, told, made_at_once, made_in_the_end) in [
        (Fault::CreateAnswerLost, unknown, true, true),
        (Fault::CreateUnreadable, unknown, true, true),
        (Fault::CreateBadGateway, unknown, true, true),
        (Fault::CreateLandsLate, unknown, false, true),
        (Fault::CreateDropped, unknown, false, false),
        (Fault::CallDropped, unknown, false, false),
        (Fault::ServerError, unknown, false, false),
        (Fault::Maintenance, unknown, false, false),
        (Fault::Throttled, Some(FailureClass::RateLimited), false, false),
        (Fault::CreateActionFails, None, true, true),
        (Fault::CreateStuck, None, true, true),
        (Fault::CallAnswerLost, None, true, true),
    ] {
        let bench = Bench::new();
        bench.world.faults.once(fault);
        assert_eq!(class(&bench.create(1)), told, "{fault:?}");
        let made = || bench.world.provider.books().made == 1;
        assert_eq!(made(), made_at_once, "{fault:?}");
        bench.pass(100);
        assert_eq!(made(), made_in_the_end, "{fault:?}");
        assert_eq!(bench.world.provider.books().creates_sent, 1, "{fault:?}");
    }
}

#[test]
fn an_action_fails_and_a_server_hangs() {
    let bench = Bench::new();
    let action =
        |id: u64| run_to_end(bench.provider().actions(&bench.on, &[id])).unwrap().remove(&id);
    bench.world.faults.once(Fault::CreateActionFails);
    let failed = bench.create(1).unwrap();
    bench.world.faults.once(Fault::CreateStuck);
    let stuck = bench.create(2).unwrap();
    bench.pass(3600);
    assert!(matches!(action(failed.action_id.unwrap()), Some(ActionState::Failed { .. })));
    assert_eq!(action(stuck.action_id.unwrap()), Some(ActionState::Running));
    let status = |name| bench.found(name).unwrap().status;
    assert_eq!(status("web-1"), ServerStatus::Other("off".into()));
    assert_eq!(status("web-2"), ServerStatus::Other("initializing".into()));
    bench.delete(stuck.server.id).unwrap();

    bench.world.faults.once(Fault::DeleteActionFails);
    bench.delete(failed.server.id).unwrap();
    bench.pass(10);
    assert_eq!(status("web-1"), ServerStatus::Other("off".into()), "the deletion failed");
    bench.world.faults.once(Fault::DeleteAnswerLost);
    assert_eq!(class(&bench.delete(failed.server.id)), Some(FailureClass::Unknown));
    bench.pass(10);
    assert!(bench.world.provider.books().alive.is_empty(), "the deletion had begun");
}

#[test]
fn reads_fail_too_and_nothing_is_sent_while_the_cloud_is_down() {
    let bench = Bench::new();
    bench.create(1).unwrap();
    for fault in [Fault::CallAnswerLost, Fault::CallUnreadable, Fault::ServerError] {
        bench.world.faults.once(fault);
        assert_eq!(class(&bench.find("web-1")), Some(FailureClass::Unknown), "{fault:?}");
    }
    bench.world.faults.once(Fault::SecretsUnavailable);
    assert!(bench.found("web-1").is_some(), "the token is cached");
    let fresh = bench.world.worker();
    let found = run_to_end(fresh.provider.find_server(&bench.on, "web-1"));
    assert_eq!(class(&found), Some(FailureClass::Busy));

    bench.world.provider.set_down(true);
    assert_eq!(class(&bench.create(2)), Some(FailureClass::Unknown));
    bench.world.provider.set_down(false);
    bench.world.provider.set_maintenance(true);
    assert_eq!(class(&bench.create(2)), Some(FailureClass::Unknown));
    bench.world.provider.set_maintenance(false);
    assert_eq!(bench.world.provider.books().made, 1);
    bench.create(2).unwrap();
}
