use nodeyard_domain::{
    job::{JobState, ParkReason},
    orphan::Resource,
    token::Scope,
    wake::WakeReason,
};
use serde_json::json;

use crate::{providers_check::server, support::World};

#[tokio::test]
async fn connects_a_project() {
    let world = World::new().await;
    let answer = world.connect("main", "rw:p1").await;
    insta::assert_snapshot!(answer.shown());
    assert!(!answer.text.contains("rw:p1"));
    assert_eq!(world.provider_token("main").await.as_deref(), Some("rw:p1"));
    assert_eq!(world.secrets.names("ssh-key/").len(), 1);
    assert_eq!(world.cloud.key_names(), ["nodeyard-test-main-1"]);
}

#[tokio::test]
async fn rotates_a_token_and_changes_caps() {
    let world = World::connected().await;
    let body = json!({
        "provider": "hetzner", "token": "rw:p1", "max_nodes": 3, "max_monthly": 20.5
    });
    let answer = world.put("/providers/main", body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["max_nodes"], 3);
    assert_eq!(answer.json["max_monthly"], 20.5);
    assert_eq!(world.cloud.key_names().len(), 1, "the managed key stays the same");
}

#[tokio::test]
async fn of_two_tokens_at_once_the_record_has_the_one_that_it_took() {
    let world = World::connected().await;
    for token in ["left", "right"] {
        world.cloud.accept(token, "rw", "p1");
    }
    let (left, right) = tokio::join!(world.connect("main", "left"), world.connect("main", "right"));
    let (won, lost) = if left.status == 200 { ("left", right) } else { ("right", left) };
    assert_eq!((lost.status, lost.code()), (409, "edit_conflict"));
    assert_eq!(world.provider_token("main").await.as_deref(), Some(won));

    for token in ["first", "second"] {
        world.cloud.accept(token, "rw", "p2");
    }
    let (first, second) =
        tokio::join!(world.connect("new", "first"), world.connect("new", "second"));
    let (won, lost) = if first.status == 201 { ("first", second) } else { ("second", first) };
    assert_eq!((lost.status, lost.code()), (409, "edit_conflict"));
    assert_eq!(world.provider_token("new").await.as_deref(), Some(won));
    assert_eq!(world.secrets.names("connection/new").len(), 2, "the other's secret is gone");
    assert_eq!(world.secrets.names("ssh-key/new").len(), 1, "and it never wrote a key");
}

#[tokio::test]
async fn a_bad_token_is_refused_and_the_old_one_stays() {
    let world = World::connected().await;
    for name in ["main", "new"] {
        let request = world
            .request("PUT", &format!("/providers/{name}"))
            .json(json!({"provider": "hetzner", "token": "stolen-and-wrong"}));
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (422, "provider_token_rejected"));
        assert!(!answer.text.contains("stolen-and-wrong"));
    }
    assert_eq!(world.provider_token("main").await.as_deref(), Some("rw:p1"));
}

#[tokio::test]
async fn a_first_token_that_only_reads_is_kept_as_degraded_without_a_key() {
    let world = World::new().await;
    let answer = world.connect("main", "ro:p1").await;
    insta::assert_snapshot!(answer.shown());
    assert!(world.cloud.key_names().is_empty());
    assert!(world.secrets.names("ssh-key/").is_empty());
    // A token that can write mends it, and makes the key then.
    let answer = world.connect("main", "rw:p1").await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("connected")));
    assert_eq!(world.secrets.names("ssh-key/").len(), 1);
}

#[tokio::test]
async fn rotating_to_a_token_that_only_reads_is_refused() {
    let world = World::connected().await;
    let body = json!({"provider": "hetzner", "token": "ro:p1"});
    let answer = world.refused(world.request("PUT", "/providers/main").json(body)).await;
    assert_eq!((answer.status, answer.code()), (422, "token_readonly"));
    assert_eq!(answer.json["errors"][0]["pointer"], "/token");
}

#[tokio::test]
async fn a_write_without_a_useful_answer_leaves_the_permission_unknown() {
    let world = World::new().await;
    let answer = world.connect("main", "later:p1").await;
    assert_eq!(answer.json["status"], "degraded");
    assert_eq!(answer.json["reason"], "permission_unknown");
    assert_eq!(answer.json["ssh_key"], json!(null));
    assert!(world.secrets.names("ssh-key/").is_empty());
}

#[tokio::test]
async fn a_token_of_another_project_is_refused() {
    let world = World::connected().await;
    let body = json!({"provider": "hetzner", "token": "rw:p2"});
    let answer = world.refused(world.request("PUT", "/providers/main").json(body)).await;
    assert_eq!((answer.status, answer.code()), (422, "different_project"));
    assert_eq!(world.cloud.key_names().len(), 1, "no litter in the other project");
}

#[tokio::test]
async fn a_token_that_was_not_seen_to_write_takes_no_others_place() {
    let world = World::connected().await;
    let body = json!({"provider": "hetzner", "token": "later:p1"});
    let answer = world.refused(world.request("PUT", "/providers/main").json(body)).await;
    assert_eq!((answer.status, answer.code()), (503, "provider_unavailable"));
    assert_eq!(world.provider_token("main").await.as_deref(), Some("rw:p1"));
}

#[tokio::test]
async fn a_project_with_servers_of_another_deployment_is_refused() {
    let world = World::new().await;
    world.cloud.put(server(7, "production"));
    let body = json!({"provider": "hetzner", "token": "rw:p1"});
    let answer = world.refused(world.request("PUT", "/providers/main").json(body)).await;
    assert_eq!((answer.status, answer.code()), (409, "project_already_connected"));
    assert!(answer.text.contains("production"), "{}", answer.text);
    assert!(world.cloud.key_names().is_empty(), "nothing was made there");
    // Our own, of a table that was lost, and other people's are no reason.
    for thing in [server(7, "test"), Resource { labels: Default::default(), ..server(8, "") }] {
        world.cloud.put(thing);
    }
    let answer = world.connect("main", "rw:p1").await;
    assert_eq!((answer.status, &answer.json["servers_seen"]), (201, &json!(2)));
}

#[tokio::test]
async fn a_project_belongs_to_one_connection() {
    let world = World::connected().await;
    for token in ["rw:p1", "ro:p1"] {
        let body = json!({"provider": "hetzner", "token": token});
        let answer = world.refused(world.request("PUT", "/providers/new").json(body)).await;
        assert_eq!((answer.status, answer.code()), (409, "project_already_connected"));
    }
    assert_eq!(world.connect("second", "rw:p2").await.status, 201);
}

#[tokio::test]
async fn an_outage_changes_nothing() {
    let world = World::connected().await;
    world.cloud.set_down(true);
    for name in ["main", "new"] {
        let body = json!({"provider": "hetzner", "token": "rw:p1"});
        let request = world.request("PUT", &format!("/providers/{name}")).json(body);
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (503, "provider_unavailable"));
    }
}

#[tokio::test]
async fn a_good_token_wakes_the_jobs_that_wait_for_one() {
    let world = World::connected().await;
    let (_, parked) = world.node(json!({})).await;
    let (_, busy) = world.node(json!({})).await;
    for (job, waiting) in [(&parked, Some(ParkReason::ProviderToken)), (&busy, None)] {
        world
            .commit(&job.id, |job, _| {
                (job.state, job.waiting_on) = (JobState::Running, waiting);
            })
            .await;
    }
    world.queue.lose_all();
    assert_eq!(world.connect("main", "rw:p1").await.status, 200);
    let wakes = world.queue.messages();
    assert_eq!(wakes.len(), 1);
    assert_eq!((&wakes[0].wake.job_id, wakes[0].wake.reason), (&parked.id, WakeReason::Resume));
}

#[tokio::test]
async fn bodies_are_checked_and_values_never_repeated() {
    let world = World::connected().await;
    let mut shown = Vec::new();
    for body in [
        json!({}),
        json!({"provider": "hetzner", "token": 5_551_234}),
        json!({"provider": "hetzner", "token": ""}),
        json!({"provider": "hetzner", "token": "two words"}),
        json!({"provider": "hetzner", "token": "t".repeat(513)}),
        json!({"provider": "hetzner", "token": "rw:p9", "secret": "x"}),
        json!({"provider": "hetzner", "token": "rw:p9", "max_nodes": -1}),
        json!({"provider": "hetzner", "token": "rw:p9", "max_nodes": 0, "max_monthly": 0}),
        json!({"provider": "local", "token": "rw:p9"}),
        json!("rw:p9"),
    ] {
        let answer = world.refused(world.request("PUT", "/providers/new").json(body)).await;
        for secret in ["5551234", "two words", "tttt", "rw:p9"] {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
        shown.push(format!("{} {} {}", answer.status, answer.code(), answer.json["errors"]));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test]
async fn names_and_callers_are_checked() {
    let world = World::connected().await;
    let body = json!({"provider": "hetzner", "token": "rw:p9"});
    let long = format!("/providers/{}", "a".repeat(41));
    for path in ["/providers/Main", "/providers/-a", long.as_str()] {
        let answer = world.refused(world.request("PUT", path).json(body.clone())).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{path}");
    }
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    let request = world.request("PUT", "/providers/new").json(body.clone()).token("ny_operator");
    assert_eq!(world.refused(request).await.code(), "forbidden");
    world.put_token("ny_other", &[Scope::Admin], Some(&["other"])).await;
    let request = world.request("PUT", "/providers/new").json(body).token("ny_other");
    assert_eq!(world.refused(request).await.code(), "provider_not_found");
}
