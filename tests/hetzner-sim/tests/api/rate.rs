//! The request budget.

use hetzner_sim::actor::Deed;
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn the_budget_is_told_spent_and_refilled_by_the_second() {
    let bench = Bench::new().await;
    let first = bench.get("/servers").await;
    assert_eq!(first.number("ratelimit-limit"), 3600);
    assert_eq!(first.number("ratelimit-remaining"), 3599);
    let now = first.number("ratelimit-reset") - 1;
    bench.set(json!({"rate": {"limit": 3}}));
    for left in [2, 1, 0] {
        let answer = bench.get("/locations").await;
        assert_eq!((answer.status, answer.number("ratelimit-remaining")), (200, left));
    }
    let over = bench.get("/locations").await;
    assert_eq!((over.status, over.code()), (429, "rate_limit_exceeded"));
    assert_eq!(over.number("ratelimit-remaining"), 0);
    assert_eq!(over.number("ratelimit-reset"), now + 3, "when it is full, not when one is free");
    bench.pass(1);
    assert_eq!(bench.get("/locations").await.status, 200);
    assert_eq!(bench.get("/locations").await.status, 429);
    bench.pass(100);
    assert_eq!(bench.get("/locations").await.number("ratelimit-remaining"), 2);
    assert_eq!(bench.counts().rate_limited, 2);
}

#[tokio::test]
async fn refusals_cost_too() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/servers/7").await.number("ratelimit-remaining"), 3599);
    let denied = bench.call_as("reader", "DELETE", "/servers/7", None).await;
    assert_eq!(denied.number("ratelimit-remaining"), 3598, "one budget for the project");
}

#[tokio::test]
async fn a_project_shares_its_budget_and_no_other_suffers() {
    let bench = Bench::new().await;
    let eat = Deed::EatBudget { project: "shop".to_owned(), requests: None };
    bench.sim.act(eat).unwrap();
    for token in ["main", "reader"] {
        assert_eq!(bench.call_as(token, "GET", "/servers", None).await.status, 429);
    }
    assert_eq!(bench.call_as("other", "GET", "/servers", None).await.status, 200);
}

#[tokio::test]
async fn each_token_has_its_own_budget_if_so_set() {
    let bench = Bench::new().await;
    bench.set(json!({"rate": {"scope": "token", "limit": 1}}));
    assert_eq!(bench.get("/servers").await.status, 200);
    assert_eq!(bench.get("/servers").await.status, 429);
    assert_eq!(bench.call_as("reader", "GET", "/servers", None).await.status, 200);
}

#[tokio::test]
async fn calls_without_a_token_are_counted() {
    let bench = Bench::new().await;
    bench.set(json!({"rate": {"limit": 2, "refill_per_sec": 0.5}}));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.raw(None, "GET", "/servers", None).await.unwrap().0);
    }
    assert_eq!(statuses, [401, 401, 429]);
    assert_eq!(bench.get("/servers").await.status, 200);
}
