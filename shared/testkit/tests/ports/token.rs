//! Tokens and budgets: what a token opens, what a process believes of it, and what is left.

use hetzner_sim::Access;
use nodeyard_domain::{connection::Permission, observation::FailureClass};
use nodeyard_engine::provider::{Provider as _, ProviderCheck as _};
use nodeyard_testkit::{
    pause::run_to_end,
    provider::{PROJECT, TOKEN},
    world::name,
};

use crate::bench::{Bench, class};

#[test]
fn a_revoked_token_is_told_until_another_is_stored() {
    let bench = Bench::new();
    bench.find("web-1").unwrap();
    let cloud = &bench.world.provider;
    cloud.revoke_token(true);
    assert_eq!(class(&bench.find("web-1")), Some(FailureClass::Unauthorized));
    assert_eq!(class(&bench.create(1)), Some(FailureClass::Unauthorized));

    cloud.add_token("new", PROJECT, Access::ReadWrite);
    bench.world.secrets.put_token(&name(), "new");
    // The process still has the old one: a write is not sent twice, a read is.
    let refused = bench.create(1).unwrap_err();
    assert_eq!((refused.class, refused.code.as_str()), (FailureClass::Busy, "token_replaced"));
    assert_eq!(bench.found("web-1"), None);
    bench.create(1).unwrap();
    assert_eq!(cloud.books().made, 1);
}

#[test]
fn a_token_that_can_only_read_reads() {
    let bench = Bench::new();
    bench.world.provider.read_only(true);
    assert_eq!(bench.found("web-1"), None);
    assert_eq!(class(&bench.create(1)), Some(FailureClass::ReadOnly));
    // Also where the refusal comes as a bare 401.
    assert_eq!(bench.world.provider.books().made, 0);
}

#[test]
fn a_connection_without_a_token_makes_no_call() {
    let bench = Bench::new();
    let before = bench.world.provider.books().calls;
    let worker = bench.world.worker();
    let secrets = &worker.secrets;
    run_to_end(nodeyard_engine::secrets::Secrets::delete_provider_token(secrets, &bench.on))
        .unwrap();
    let found = run_to_end(worker.provider.find_server(&bench.on, "web-1"));
    assert_eq!(class(&found), Some(FailureClass::Unauthorized));
    assert_eq!(bench.world.provider.books().calls, before);
}

#[test]
fn a_spent_budget_is_told_with_a_pause_and_refills() {
    let bench = Bench::new();
    bench.find("web-1").unwrap();
    let seen = || bench.provider().seen_rate(&name()).unwrap();
    assert_eq!((seen().limit, seen().remaining), (3600, 3598));
    let other = bench.world.worker();
    assert_eq!(other.provider.seen_rate(&name()), None, "another process has seen nothing");

    bench.world.provider.drain_budget(None);
    let refused = bench.find("web-1").unwrap_err();
    assert_eq!((refused.class, refused.pause_secs), (FailureClass::RateLimited, Some(3)));
    assert_eq!((seen().remaining, bench.world.provider.books().throttled), (0, 1));
    bench.pass(2);
    bench.find("web-1").unwrap();
    bench.world.provider.throttle(1);
    assert_eq!(class(&bench.create(1)), Some(FailureClass::RateLimited));
    assert_eq!(bench.world.provider.books().throttled, 1, "a planted one is not counted");
}

#[test]
fn a_check_judges_as_the_real_one_does() {
    let bench = Bench::new();
    let key = bench.on.key.clone().unwrap();
    let report = |token: &str| {
        run_to_end(bench.provider().check_token(&token.into(), "", &key.public_key, Some(&key)))
    };
    let good = report(TOKEN).unwrap();
    assert_eq!((good.permission, good.sees_marker), (Permission::ReadWrite, true));
    assert_eq!(good.key, Some(key.clone()));
    assert_eq!(good.rate_budget.unwrap().remaining, 3598);
    bench.world.provider.read_only(true);
    assert_eq!(report(TOKEN).unwrap().permission, Permission::ReadOnly);
    bench.world.provider.read_only(false);
    bench.world.provider.hide_marker(true);
    let other = report(TOKEN).unwrap();
    assert_eq!(
        (other.permission, other.sees_marker, other.key),
        (Permission::Unknown, false, None)
    );
    assert_eq!(class(&report("nobodys")), Some(FailureClass::Unauthorized));
    // A first check makes the key.
    let token = TOKEN.into();
    let first = bench.provider().check_token(&token, "fresh", &key.public_key, None);
    let first = run_to_end(first).unwrap();
    assert_ne!(first.key.unwrap().provider_id, key.provider_id);
}

#[test]
fn the_catalogue_tells_of_stock() {
    use hetzner_sim::world::stock::Supply;
    let bench = Bench::new();
    bench.world.provider.set_stock("cx23", "fsn1", Supply::Out);
    let catalogue = run_to_end(bench.provider().catalogue(&TOKEN.into())).unwrap();
    let of = |location: &str| {
        let mut offers = catalogue.offers.iter();
        offers.find(|it| it.server_type == "cx23" && it.location == location).unwrap()
    };
    assert_eq!((of("fsn1").available, of("nbg1").available), (false, true));
    assert_eq!(of("nbg1").monthly_net, Some(2.99));
    assert!(catalogue.images.contains(&"debian-13".to_owned()));
    assert_eq!(catalogue.primary_ipv4_monthly_net["fsn1"], 0.5);
}
