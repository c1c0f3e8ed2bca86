//! The user guide's examples, run as they are written.

use serde_json::Value;

use crate::bench::Bench;

#[tokio::test]
async fn every_curl_line_of_the_guide_works() {
    let bench = Bench::new().await;
    bench.running("web-1").await;
    let guide = include_str!("../../README.md");
    let mut ran = 0;
    for line in guide.lines().filter_map(|line| line.strip_prefix("$ curl ")) {
        let Some((before, rest)) = line.split_once("$S") else { continue };
        let method = before.trim().strip_prefix("-X ").unwrap_or("POST");
        let (path, body) = rest.split_once(" -d '").unwrap();
        let body: Value = serde_json::from_str(body.strip_suffix('\'').unwrap()).unwrap();
        let (status, answer) = bench.control(method, path, Some(body)).await;
        assert_eq!(status, 200, "{line}: {answer}");
        ran += 1;
    }
    assert!(ran > 10, "{ran}");
}
