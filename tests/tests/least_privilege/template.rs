//! The roles of the template: what each may do, on which resources.

use std::collections::BTreeMap;

use nodeyard_tests::template::parse;
use serde_json::{Value, json};

/// The template.
pub fn read() -> Value {
    nodeyard_tests::template::read("infra/template.yaml")
}

/// One thing that a role may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub action: String,
    /// In one word, where it is one of ours; else as the template has it.
    pub resource: String,
}

/// Everything that a role may do.
///
/// # Panics
/// On a form of policy that this does not know: it could hide a grant.
pub fn grants(template: &Value, role: &str) -> Vec<Grant> {
    let role = &template["Resources"][role];
    assert_eq!(role["Type"], "AWS::IAM::Role", "{role}");
    let properties = role["Properties"].as_object().unwrap();
    let known = ["AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"];
    assert!(properties.keys().all(|name| known.contains(&name.as_str())), "{properties:?}");
    let managed = list(&properties.get("ManagedPolicyArns").cloned().unwrap_or_default());
    // AWS's own policies grant more than we know of.
    let managed = managed.iter().map(|policy| {
        let name = policy["Ref"].as_str().expect("a policy of the template");
        &template["Resources"][name]["Properties"]["PolicyDocument"]
    });
    let own = role["Properties"]["Policies"].as_array().into_iter().flatten();
    let documents = managed.chain(own.map(|policy| &policy["PolicyDocument"]));
    let mut grants = Vec::new();
    for statement in documents.flat_map(|document| list(&document["Statement"])) {
        let members = statement.as_object().unwrap();
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        assert!(members.keys().all(|name| known.contains(&name.as_str())), "{statement}");
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                let action = action.as_str().expect("an action").to_owned();
                assert!(!action.contains('*'), "{action} says more than one thing");
                grants.push(Grant { action, resource: word(&resource) });
            }
        }
    }
    grants.sort();
    grants
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// The resources of the template, in one word.
fn word(resource: &Value) -> String {
    let arn = |rest: &str| format!("arn:${{AWS::Partition}}:{rest}");
    let secret = |name: &str| {
        let place = "${AWS::Region}:${AWS::AccountId}";
        json!({ "Sub": arn(&format!("secretsmanager:{place}:secret:nodeyard/${{Deployment}}/{name}/*")) })
    };
    let words = BTreeMap::from([
        ("table", json!({"GetAtt": "Table.Arn"})),
        ("indexes", json!({"Sub": "${Table.Arn}/index/*"})),
        ("wakes", json!({"GetAtt": "WakeQueue.Arn"})),
        ("bus", json!({"GetAtt": "EventBus.Arn"})),
        ("connection tokens", secret("connection")),
        ("ssh keys", secret("ssh-key")),
        ("bootstrap secret", json!({"Ref": "BootstrapSecret"})),
        ("evidence key", json!({"GetAtt": "EvidenceKey.Arn"})),
        ("deployment key", json!({"Ref": "DeploymentKey"})),
    ]);
    words
        .iter()
        .find(|(_, known)| *known == resource)
        .map_or_else(|| resource.to_string(), |(word, _)| (*word).to_owned())
}

#[test]
fn a_grant_cannot_hide_behind_a_form_that_is_not_read() {
    let role = |policy: &str| {
        let text = format!(
            "Resources:\n  R:\n    Type: AWS::IAM::Role\n    Properties:\n      {policy}\n"
        );
        std::panic::catch_unwind(|| grants(&parse(&text), "R"))
    };
    let statement = |text: &str| {
        role(&format!("Policies: [{{PolicyName: p, PolicyDocument: {{Statement: {text}}}}}]"))
    };
    let good = statement("{Effect: Allow, Action: 's3:GetObject', Resource: !GetAtt Table.Arn}");
    let expected = Grant { action: "s3:GetObject".into(), resource: "table".into() };
    assert_eq!(good.unwrap(), [expected]);
    for wrong in [
        "{Effect: Allow, Action: 's3:*', Resource: x}",
        "{Effect: Allow, NotAction: 's3:GetObject', Resource: x}",
        "{Effect: Deny, Action: 's3:GetObject', Resource: x}",
    ] {
        assert!(statement(wrong).is_err(), "{wrong}");
    }
    assert!(role("ManagedPolicyArns: ['arn:aws:iam::aws:policy/AdministratorAccess']").is_err());
    assert!(role("PermissionsBoundary: x").is_err());
}
