//! A server from its creation to its end, and every answer on the way.

use std::time::Duration;

use hetzner_sim::{Fault, actor::Deed, journal::Filter, world::stock::Supply};
use nodeyard_domain::observation::FailureClass;
use nodeyard_engine::provider::{ActionState, CreateServer, Lookup, Provider as _, Remains};
use serde_json::json;

use crate::stack::{NAME, connected};

#[tokio::test]
async fn a_server_from_its_creation_to_its_end() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    assert_eq!(provider.sees_key(connection, stack.key()).await, Ok(true));
    assert_eq!(provider.find_server(connection, NAME).await, Ok(Lookup::Absent));

    let created = stack.create().await.unwrap();
    let action = created.action_id.unwrap();
    let states = provider.actions(connection, &[action, 1]).await.unwrap();
    assert_eq!(states, [(action, ActionState::Running)].into());
    let took = stack.end_of(action).await;
    let ActionState::Succeeded { took_secs: Some(took_secs) } = took else { panic!("{took:?}") };
    assert!((1..=60).contains(&took_secs), "{took_secs}");

    let found = stack.found(NAME).await;
    assert_eq!(found.labels["nodeyard/nonce"], "abc");
    assert_eq!(found.server.id, created.server.id);
    assert!(found.server.ipv4.is_some() && found.server.primary_ips.len() == 2);
    assert!(found.server.ipv6.as_deref().unwrap().ends_with("::1"));
    assert_eq!(found.server.server_type.as_deref(), Some("cx23"));
    assert_eq!(found.server.location.as_deref(), Some("fsn1"));
    stack.running(found.server.id).await;

    provider.delete_server(connection, found.server.id).await.unwrap();
    assert_eq!(stack.gone(&created).await, Remains::Nothing);
    let after = provider.delete_server(connection, found.server.id).await.unwrap_err();
    assert_eq!(after.class, FailureClass::NotFound);
    assert_eq!(provider.server(connection, found.server.id).await, Ok(Lookup::Absent));
    let counts = stack.simulator.counts(&Filter::default());
    assert_eq!(counts.create_posts[NAME], 1);
    assert_eq!((counts.rate_limited, counts.live_servers, counts.live_primary_ips), (0, 0, 0));
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_by_name_and_sent_once() {
    for fault in [
        Fault::AnswerLost,
        Fault::BadGateway { effect: true },
        Fault::Timeout { effect: true },
        Fault::Unreadable,
    ] {
        let stack = connected().await;
        stack.arm("POST", "/servers", fault);
        assert_eq!(stack.create().await, Err(FailureClass::Unknown));
        let found = stack.found(NAME).await;
        assert_eq!(found.labels["nodeyard/nonce"], "abc");
        let counts = stack.simulator.counts(&Filter::default());
        assert_eq!((counts.create_posts[NAME], counts.created_servers), (1, 1));
        // A second one is refused, and that is told apart.
        assert_eq!(stack.create().await, Err(FailureClass::NameTaken));
    }
}

#[tokio::test]
async fn a_create_answer_that_has_changed_still_gives_the_ids() {
    let gone = ["/server/status", "/server/public_net", "/server/image", "/action/status"];
    for fault in [
        Fault::UnknownEnum { pointers: Vec::new(), value: "a_new_word".into() },
        Fault::RemoveFields { pointers: gone.map(str::to_owned).into() },
        Fault::SetFields { fields: json!({"/server/name": 5}).as_object().unwrap().clone() },
    ] {
        let stack = connected().await;
        stack.arm("POST", "/servers", fault);
        let created = stack.create().await.unwrap();
        assert!(created.action_id.is_some());
        let found = stack.found(NAME).await;
        assert_eq!(found.server.id, created.server.id);
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let stack = connected().await;
    let simulator = &stack.simulator;
    for supply in [Supply::Out, Supply::OutUnseen, Supply::PlacementError] {
        assert!(simulator.set_stock("cx23", Some("fsn1"), supply) > 0);
        assert_eq!(stack.create().await, Err(FailureClass::NoCapacity), "{supply:?}");
    }
    simulator.set_stock("cx23", Some("fsn1"), Supply::Plenty);
    // cx23 is sold in Europe only.
    let body = CreateServer { location: "ash".into(), ..stack.body() };
    let failure = stack.provider.create_server(&stack.connection, &body).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NoCapacity, "{failure:?}");
    let body = CreateServer { image: "no-such-image".into(), ..stack.body() };
    let failure = stack.provider.create_server(&stack.connection, &body).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Invalid, "{failure:?}");
    // What the body names is not in the project.
    for body in [
        CreateServer { ssh_keys: vec![4_000_000_000], ..stack.body() },
        CreateServer { placement_group: Some(4_000_000_000), ..stack.body() },
    ] {
        let failure = stack.provider.create_server(&stack.connection, &body).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::NotFound, "{failure:?}");
    }
    simulator.change_settings(&json!({"limits": {"servers": 0}})).unwrap();
    let failure = stack.provider.create_server(&stack.connection, &stack.body()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Quota);
    assert!(failure.message.contains("server_limit"), "{}", failure.message);
    assert!(failure.correlation_id.is_some());
}

#[tokio::test]
async fn a_server_that_is_locked_or_protected_is_not_forced() {
    let stack = connected().await;
    let created = stack.create().await.unwrap();
    let delete = || stack.provider.delete_server(&stack.connection, created.server.id);
    assert_eq!(delete().await.unwrap_err().class, FailureClass::Busy);
    stack.end_of(created.action_id.unwrap()).await;
    stack.simulator.advance(Duration::from_secs(60));
    let protect = |on| Deed::Protect { project: "shop".into(), server: NAME.into(), on };
    stack.simulator.act(protect(true)).unwrap();
    assert_eq!(delete().await.unwrap_err().class, FailureClass::Protected);
    stack.simulator.act(protect(false)).unwrap();
    delete().await.unwrap();
    assert_eq!(stack.gone(&created).await, Remains::Nothing);
}

#[tokio::test]
async fn a_budget_that_is_eaten_pauses_for_seconds() {
    let stack = connected().await;
    stack.simulator.act(Deed::EatBudget { project: "shop".into(), requests: None }).unwrap();
    let failure = stack.provider.find_server(&stack.connection, NAME).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RateLimited);
    let pause = failure.pause_secs.unwrap();
    assert!((1..=5).contains(&pause), "{pause}");
    stack.simulator.advance(Duration::from_secs(pause.unsigned_abs()));
    assert_eq!(stack.provider.find_server(&stack.connection, NAME).await, Ok(Lookup::Absent));
}
