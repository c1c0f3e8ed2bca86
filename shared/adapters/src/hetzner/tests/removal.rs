//! Deleting a server and proving it gone.

use nodeyard_domain::observation::FailureClass;

use super::*;

const SERVER: &str = "GET /servers/9";

/// A Primary IP and who has it.
fn address(assignee: Value) -> Reply {
    Reply::Json(200, json!({"primary_ip": {"id": 12, "assignee_id": assignee}}))
}

async fn remains(script: Vec<(&'static str, Reply)>) -> Result<Remains> {
    let world = calls(script).await;
    let remains = world.provider.remains(&world.connection, 9, &[11, 12]).await;
    world.listener.requests();
    remains
}

#[tokio::test]
async fn a_delete_is_one_call_and_its_refusals_are_told_apart() {
    let accepted = Reply::Json(200, json!({"action": {"id": 1}}));
    for (reply, expected) in [
        (accepted, None),
        (Reply::Text(204, ""), None),
        (gone(), Some(FailureClass::NotFound)),
        (error(423, "locked"), Some(FailureClass::Busy)),
        (error(423, "protected"), Some(FailureClass::Protected)),
        (error(403, "forbidden"), Some(FailureClass::ReadOnly)),
        (Reply::Drop, Some(FailureClass::Unknown)),
    ] {
        let world = calls(vec![("DELETE /servers/9", reply)]).await;
        let answer = world.provider.delete_server(&world.connection, 9).await;
        assert_eq!(answer.err().map(|failure| failure.class), expected);
        world.listener.requests();
    }
}

#[tokio::test]
async fn gone_is_server_and_addresses_absent_with_the_marker_in_sight() {
    let script = vec![
        (SERVER, gone()),
        (MARKER, marker()),
        ("GET /primary_ips/11", gone()),
        ("GET /primary_ips/12", gone()),
    ];
    assert_eq!(remains(script).await, Ok(Remains::Nothing));
}

#[tokio::test]
async fn a_server_that_answers_is_there_and_nothing_more_is_asked() {
    let there = Reply::Json(200, json!({"server": {"id": 9}}));
    assert_eq!(remains(vec![(SERVER, there)]).await, Ok(Remains::StillThere));
}

#[tokio::test]
async fn an_address_that_is_left_is_not_gone() {
    let script = vec![
        (SERVER, gone()),
        (MARKER, marker()),
        ("GET /primary_ips/11", gone()),
        ("GET /primary_ips/12", address(Value::Null)),
    ];
    assert_eq!(remains(script).await, Ok(Remains::PrimaryIps(vec![12])));
}

/// What somebody has put to another use is not ours to delete, nor to wait for.
#[tokio::test]
async fn an_address_that_another_has_is_no_longer_the_nodes() {
    let of_both = async |first: Value, second: Value| {
        remains(vec![
            (SERVER, gone()),
            (MARKER, marker()),
            ("GET /primary_ips/11", address(first)),
            ("GET /primary_ips/12", address(second)),
        ])
        .await
    };
    assert_eq!(of_both(json!(4), json!(5)).await, Ok(Remains::Nothing));
    assert_eq!(of_both(json!(4), Value::Null).await, Ok(Remains::PrimaryIps(vec![12])));
    assert_eq!(of_both(json!(4), json!(9)).await, Ok(Remains::StillThere), "not taken off yet");
    assert_eq!(of_both(Value::Null, json!(9)).await, Ok(Remains::PrimaryIps(vec![11])));
}

#[tokio::test]
async fn an_address_that_does_not_tell_whose_it_is_is_not_taken_for_ours() {
    for body in [json!({"id": 11}), json!({"id": 11, "assignee_id": "nobody"})] {
        let script = vec![
            (SERVER, gone()),
            (MARKER, marker()),
            ("GET /primary_ips/11", Reply::Json(200, json!({"primary_ip": body}))),
        ];
        assert_eq!(remains(script).await.unwrap_err().class, FailureClass::Drift);
    }
}

#[tokio::test]
async fn an_address_is_deleted_once_and_may_be_gone() {
    for (reply, expected) in [
        (Reply::Text(204, ""), None),
        (gone(), None),
        (Reply::Text(404, "<html>"), Some(FailureClass::Unknown)),
        (error(423, "locked"), Some(FailureClass::Busy)),
        (Reply::Drop, Some(FailureClass::Unknown)),
    ] {
        let world = calls(vec![("DELETE /primary_ips/11", reply)]).await;
        let answer = world.provider.delete_primary_ip(&world.connection, 11).await;
        assert_eq!(answer.err().map(|failure| failure.class), expected);
        world.listener.requests();
    }
}

/// A valid token of another project sees nothing of ours.
#[tokio::test]
async fn without_the_marker_404_proves_nothing() {
    assert_eq!(remains(vec![(SERVER, gone()), (MARKER, gone())]).await, Ok(Remains::MarkerMissing));
    let mut world = calls(vec![(SERVER, gone())]).await;
    world.connection.key = None;
    let remains = world.provider.remains(&world.connection, 9, &[]).await;
    assert_eq!(remains, Ok(Remains::MarkerMissing));
    world.listener.requests();
}

#[tokio::test]
async fn a_404_of_something_in_between_proves_nothing() {
    let failure = remains(vec![(SERVER, Reply::Text(404, "<html>"))]).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unknown);
    let script = vec![(SERVER, gone()), (MARKER, error(503, "unavailable"))];
    assert_eq!(remains(script).await.unwrap_err().class, FailureClass::Unknown);
}

/// The server's 404 was seen by one token, the marker by another.
#[tokio::test]
async fn a_token_replaced_on_the_way_voids_the_proof() {
    let script = vec![(SERVER, gone()), (MARKER, error(401, "unauthorized")), (MARKER, marker())];
    let world = world_with(Scenario::Calls(script), Vault::with(OLD, NEW)).await;
    let failure = world.provider.remains(&world.connection, 9, &[11]).await.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Busy, "token_replaced"));
    world.listener.requests();
}
