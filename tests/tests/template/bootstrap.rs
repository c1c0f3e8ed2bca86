//! What the code and the image are uploaded to.

use nodeyard_tests::template::read;
use serde_json::{Value, json};

use crate::place;

fn findings(template: &Value) -> Vec<&'static str> {
    let bucket = &template["Resources"]["CodeBucket"]["Properties"];
    let repository = &template["Resources"]["TaskRepository"]["Properties"];
    let statement =
        &template["Resources"]["CodeBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0];
    let closed =
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    let rules = [
        (
            closed.iter().all(|it| bucket["PublicAccessBlockConfiguration"][it] == true),
            "the bucket is not private",
        ),
        (
            bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"].is_array(),
            "the bucket is not encrypted",
        ),
        (bucket["VersioningConfiguration"]["Status"] == "Enabled", "the bucket keeps no versions"),
        (
            statement["Effect"] == "Deny"
                && statement["Principal"] == "*"
                && statement["Action"] == "s3:*"
                && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}}),
            "the bucket answers without TLS",
        ),
        (repository["ImageTagMutability"] == "IMMUTABLE", "a tag can become another image"),
        (repository["ImageScanningConfiguration"]["ScanOnPush"] == true, "images are not scanned"),
        (
            repository["LifecyclePolicy"]["LifecyclePolicyText"]
                .as_str()
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .is_some_and(|policy| policy["rules"][0]["action"]["type"] == "expire"),
            "images are kept for ever",
        ),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, finding)| finding).collect()
}

#[test]
fn bucket_and_repository_are_as_they_have_to_be_and_what_is_not_is_found() {
    let template = read("infra/bootstrap.yaml");
    assert_eq!(findings(&template), Vec::<&str>::new());
    let bucket = "/Resources/CodeBucket/Properties";
    let repository = "/Resources/TaskRepository/Properties";
    for (pointer, value) in [
        (format!("{bucket}/PublicAccessBlockConfiguration/BlockPublicPolicy"), json!(false)),
        (format!("{bucket}/BucketEncryption"), Value::Null),
        (format!("{bucket}/VersioningConfiguration/Status"), json!("Suspended")),
        ("/Resources/CodeBucketPolicy".to_owned(), Value::Null),
        (format!("{repository}/ImageTagMutability"), json!("MUTABLE")),
        (format!("{repository}/ImageScanningConfiguration/ScanOnPush"), json!(false)),
        (format!("{repository}/LifecyclePolicy"), Value::Null),
    ] {
        let mut broken = template.clone();
        place(&mut broken, &pointer, value);
        assert_eq!(findings(&broken).len(), 1, "{pointer}");
    }
}
