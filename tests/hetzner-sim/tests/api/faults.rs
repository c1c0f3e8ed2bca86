//! Faults of the way: lost answers, gateways, delays.

use hetzner_sim::journal::{Filter, Late};
use serde_json::json;

use crate::bench::{Bench, draft};

fn on_create(fault: serde_json::Value) -> serde_json::Value {
    json!({"match": {"method": "POST", "path": "/servers"}, "fault": fault})
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_effect() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "answer_lost"})));
    let body = Some(draft("web-1").to_string());
    let lost = bench.raw(Some("main-secret"), "POST", "/servers", body.clone()).await;
    assert!(lost.is_err(), "the connection is closed without an answer");
    assert_eq!(bench.counts().live_servers, 1);
    let again = bench.raw(Some("main-secret"), "POST", "/servers", body).await.unwrap();
    assert_eq!(again.0, 409, "what was lost had happened");
    let entry = &bench.sim.journal(&Filter::default())[0];
    assert_eq!((entry.status, entry.effect), (None, true));
    assert_eq!(entry.faults, ["answer_lost"]);
    assert!(entry.created_id.is_some());
}

#[tokio::test]
async fn a_request_can_be_dropped_before_the_effect() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "drop"})));
    let body = Some(draft("web-1").to_string());
    assert!(bench.raw(Some("main-secret"), "POST", "/servers", body).await.is_err());
    assert_eq!(bench.counts().live_servers, 0);
    assert_eq!(bench.create("web-1").await, bench.create_of("web-1").await);
}

#[tokio::test]
async fn gateways_fail_with_and_without_effect() {
    let bench = Bench::new().await;
    for (kind, status, effect) in [
        ("bad_gateway", 502, false),
        ("bad_gateway", 502, true),
        ("timeout", 504, false),
        ("timeout", 504, true),
    ] {
        let name = format!("{}-{effect}", kind.replace('_', "-"));
        bench.arm(on_create(json!({"kind": kind, "effect": effect})));
        let answer = bench.post("/servers", &draft(&name)).await;
        assert_eq!((answer.status, answer.code()), (status, kind));
        let listed = bench.get(&format!("/servers?name={name}")).await;
        assert_eq!(listed.names("servers").len(), usize::from(effect), "{name}");
    }
}

#[tokio::test]
async fn a_create_can_land_after_its_504() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "lands_late", "after_secs": 30})));
    let answer = bench.post("/servers", &draft("web-1")).await;
    assert_eq!((answer.status, answer.code()), (504, "timeout"));
    bench.pass(29);
    assert!(bench.get("/servers?name=web-1").await.names("servers").is_empty());
    let pending = &bench.sim.journal(&Filter::default())[0];
    assert_eq!((pending.late, pending.effect), (Some(Late::Pending), false));
    assert_eq!(bench.counts().created_servers, 0);
    bench.pass(1);
    assert_eq!(bench.get("/servers?name=web-1").await.names("servers"), ["web-1"]);
    let landed = &bench.sim.journal(&Filter::default())[0];
    assert_eq!((landed.late, landed.effect), (Some(Late::Landed), true));
    assert_eq!(bench.counts().created_servers, 1);
}

#[tokio::test]
async fn a_late_create_finds_its_name_taken() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "lands_late", "after_secs": 30})));
    bench.post("/servers", &draft("web-1")).await;
    bench.create("web-1").await;
    bench.pass(30);
    assert_eq!(bench.counts().live_servers, 1);
    let late = &bench.sim.journal(&Filter::default())[0];
    assert_eq!((late.late, late.effect), (Some(Late::Refused), false));
}

#[tokio::test]
async fn a_slow_answer_waits_for_the_clock_and_its_effect_does_not() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "slow", "secs": 20})));
    let body = Some(draft("web-1").to_string());
    let (answer, ()) =
        tokio::join!(bench.raw(Some("main-secret"), "POST", "/servers", body), async {
            while bench.counts().live_servers == 0 {
                tokio::task::yield_now().await;
            }
            bench.pass(20);
        });
    assert_eq!(answer.unwrap().0, 201);
}

#[tokio::test]
async fn a_slow_request_takes_effect_even_when_nobody_waits() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "slow", "secs": 20, "before": true})));
    let body = Some(draft("web-1").to_string());
    let hit = async {
        while bench.sim.faults()[0].hit == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = bench.raw(Some("main-secret"), "POST", "/servers", body) => {
            panic!("nothing comes while the clock stands still: {answer:?}")
        }
        () = hit => {}
    }
    assert_eq!(bench.counts().live_servers, 0, "the caller has hung up");
    bench.pass(20);
    while bench.counts().live_servers == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn any_error_can_be_answered() {
    let bench = Bench::new().await;
    bench.arm(json!({
        "match": {"path_prefix": "/servers", "token": "main"},
        "nth": 2,
        "times": 2,
        "fault": {
            "kind": "error", "status": 503, "code": "maintenance",
            "message": "back soon", "details": {"until": "noon"},
        },
    }));
    assert_eq!(bench.get("/servers").await.status, 200);
    assert_eq!(bench.call_as("reader", "GET", "/servers", None).await.status, 200);
    for path in ["/servers", "/servers/7"] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, answer.code()), (503, "maintenance"));
        assert_eq!(answer.body["error"]["details"]["until"], "noon");
    }
    assert_eq!(bench.get("/servers").await.status, 200);
    let usual = json!({"kind": "error", "code": "resource_limit_exceeded"});
    bench.arm(json!({"fault": usual}));
    assert_eq!(bench.get("/locations").await.status, 403, "the usual status of the code");
}

#[tokio::test]
async fn rate_limits_can_be_claimed_for_one_name() {
    let bench = Bench::new().await;
    bench.arm(json!({
        "match": {"name": "web-2"}, "times": null, "fault": {"kind": "rate_limited"},
    }));
    assert_eq!(bench.post("/servers", &draft("web-1")).await.status, 201);
    for _ in 0..3 {
        assert_eq!(bench.post("/servers", &draft("web-2")).await.status, 429);
    }
    bench.sim.disarm_all();
    assert_eq!(bench.post("/servers", &draft("web-2")).await.status, 201);
}

impl Bench {
    /// The id of the server of that name.
    async fn create_of(&self, name: &str) -> u64 {
        let listed = self.get(&format!("/servers?name={name}")).await;
        listed.body["servers"][0]["id"].as_u64().unwrap()
    }
}
