#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ConnectionReason as Reason;
use ConnectionStatus as Status;

use super::*;
use crate::connection::ProviderKind;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

fn connection(permission: Permission) -> Connection {
    Connection {
        name: "main".parse().unwrap(),
        version: 1,
        provider: ProviderKind::Hetzner,
        status: Status::Connected,
        reason: None,
        permission,
        key: Some(key(7)),
        token: None,
        key_stem: None,
        retired: Vec::new(),
        rotation: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: at(0),
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: at(0),
    }
}

fn key(provider_id: u64) -> ManagedKey {
    ManagedKey { version: 1, provider_id, fingerprint: "a".into(), public_key: "b".into() }
}

fn good() -> Connection {
    connection(Permission::ReadWrite)
}

fn report(permission: Permission) -> Result<TokenReport, ProviderFailure> {
    let rate_budget = Some(RateBudget { limit: 3600, remaining: 9 });
    Ok(TokenReport { permission, rate_budget, key: None, sees_marker: true })
}

fn failed(class: FailureClass, code: &str) -> Result<TokenReport, ProviderFailure> {
    Err(ProviderFailure::new(class, code, "message"))
}

/// Status and reason after one check, and after a second of the same.
fn twice(
    of: &Connection,
    seen: &Result<TokenReport, ProviderFailure>,
) -> [(Status, Option<Reason>); 2] {
    let once = of.judged(seen.clone(), at(300));
    let again = once.judged(seen.clone(), at(600));
    assert_eq!((once.checked_at, again.checked_at), (at(300), at(600)));
    [once, again].map(|judged| (judged.status, judged.reason))
}

#[test]
fn never_connected() {
    assert!(NOTHING_CONNECTED.contains("PUT /providers/{name}"));
}

#[test]
fn valid_and_writable() {
    let judged = connection(Permission::Unknown).judged(report(Permission::ReadWrite), at(1));
    assert_eq!((judged.status, judged.reason), (Status::Connected, None));
    assert_eq!(judged.permission, Permission::ReadWrite);
    assert_eq!(judged.rate_budget.unwrap().remaining, 9);
    assert!(judged.accepts_nodes());
}

#[test]
fn the_key_is_taken_from_a_write_that_succeeded_and_from_nothing_else() {
    let seen = |permission| {
        let report = report(permission).unwrap();
        Ok(TokenReport { key: Some(key(8)), ..report })
    };
    let id = |judged: Connection| judged.key.unwrap().provider_id;
    assert_eq!(id(good().judged(seen(Permission::ReadWrite), at(1))), 8);
    for permission in [Permission::ReadOnly, Permission::Unknown] {
        assert_eq!(id(good().judged(seen(permission), at(1))), 7, "{permission:?}");
    }
}

#[test]
fn read_only() {
    let bad = (Status::Degraded, Some(Reason::TokenReadonly));
    for known in [Permission::Unknown, Permission::ReadWrite, Permission::ReadOnly] {
        assert_eq!(twice(&connection(known), &report(Permission::ReadOnly)), [bad, bad]);
    }
}

#[test]
fn permission_never_shown() {
    let bad = (Status::Degraded, Some(Reason::PermissionUnknown));
    assert_eq!(twice(&connection(Permission::Unknown), &report(Permission::Unknown)), [bad, bad]);
}

#[test]
fn a_write_that_told_nothing_once_takes_nothing_away() {
    let bad = (Status::Degraded, Some(Reason::PermissionUnknown));
    assert_eq!(twice(&good(), &report(Permission::Unknown)), [(Status::Connected, None), bad]);
    let judged = good().judged(report(Permission::Unknown), at(1));
    assert_eq!(judged.permission, Permission::ReadWrite, "it has written before");
}

#[test]
fn revoked() {
    let bad = (Status::Disconnected, Some(Reason::Unauthorized));
    let refused = failed(FailureClass::Unauthorized, "unauthorized");
    assert_eq!(twice(&good(), &refused), [bad, bad]);
    assert!(!good().judged(refused, at(1)).accepts_nodes());
}

#[test]
fn wrong_project() {
    let bad = (Status::Degraded, Some(Reason::MarkerMissing));
    for permission in [Permission::ReadWrite, Permission::ReadOnly, Permission::Unknown] {
        let report = report(permission).unwrap();
        let blind = Ok(TokenReport { sees_marker: false, ..report });
        assert_eq!(twice(&good(), &blind), [bad, bad]);
        assert_eq!(good().judged(blind, at(1)).permission, Permission::ReadWrite);
    }
}

#[test]
fn an_outage_shows_from_the_second_check_on_and_leaves_the_token_alone() {
    for (class, code, reason) in [
        (FailureClass::Unknown, "connection", Reason::ProviderUnreachable),
        (FailureClass::Unknown, "timeout", Reason::ProviderUnreachable),
        (FailureClass::Unknown, "server_error", Reason::ProviderUnavailable),
        (FailureClass::Unknown, "maintenance", Reason::ProviderMaintenance),
        (FailureClass::RateLimited, "rate_limit_exceeded", Reason::RateLimited),
        (FailureClass::Drift, "drift", Reason::ApiDrift),
    ] {
        let down = failed(class, code);
        let bad = (Status::Degraded, Some(reason));
        assert_eq!(twice(&good(), &down), [(Status::Connected, None), bad], "{code}");
        assert!(reason.is_outage());
        let judged = good().judged(down.clone(), at(1)).judged(down, at(2));
        assert_eq!(
            (judged.permission, judged.key.as_ref()),
            (Permission::ReadWrite, good().key.as_ref())
        );
        // One good check is the end of it.
        let back = judged.judged(report(Permission::ReadWrite), at(3));
        assert_eq!((back.status, back.reason, back.failed_checks), (Status::Connected, None, 0));
    }
}

#[test]
fn failed_checks_in_between_start_anew() {
    let down = || failed(FailureClass::Unknown, "server_error");
    let mut flapping = good();
    for round in 0..10 {
        flapping =
            flapping.judged(down(), at(round)).judged(report(Permission::ReadWrite), at(round));
        assert_eq!(flapping.status, Status::Connected);
    }
}

#[test]
fn what_is_wrong_with_a_token_stays_said_through_an_outage() {
    let down = failed(FailureClass::Unknown, "connection");
    for (seen, status, reason) in [
        (
            failed(FailureClass::Unauthorized, "unauthorized"),
            Status::Disconnected,
            Reason::Unauthorized,
        ),
        (report(Permission::ReadOnly), Status::Degraded, Reason::TokenReadonly),
    ] {
        let bad = good().judged(seen, at(1));
        let told = (status, Some(reason));
        assert_eq!(twice(&bad, &down), [told, told]);
    }
    // An outage that turns into another says so.
    let mut down = good();
    for code in ["server_error", "server_error", "maintenance"] {
        down = down.judged(failed(FailureClass::Unknown, code), at(1));
    }
    assert_eq!(down.reason, Some(Reason::ProviderMaintenance));
}

/// Whatever the order of checks, only a write of this token makes it writable.
#[test]
fn a_read_only_token_is_never_called_writable_in_any_order() {
    let refused = report(Permission::ReadOnly);
    let unproved = report(Permission::Unknown);
    let down = failed(FailureClass::Unknown, "server_error");
    let throttled = failed(FailureClass::RateLimited, "rate_limit_exceeded");
    let all = [refused, unproved, down, throttled];
    for order in 0..4_usize.pow(6) {
        let mut judged = connection(Permission::Unknown);
        judged.status = Status::Degraded;
        for turn in 0..6 {
            let seen = all[order / 4_usize.pow(turn) % 4].clone();
            judged = judged.judged(seen, at(i64::from(turn)));
            assert_ne!(judged.permission, Permission::ReadWrite);
            assert!(!judged.accepts_nodes());
        }
    }
}

#[test]
fn each_reason_says_what_to_do() {
    let mut told = std::collections::BTreeSet::new();
    for reason in Reason::ALL {
        assert!(told.insert(reason.guidance()), "{reason:?}");
        assert!(reason.guidance().ends_with('.') && reason.guidance().len() > 30);
    }
}
