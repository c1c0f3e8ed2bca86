//! What `SECURITY.md` says of the roles, held by the template.

use crate::template::{grants, read};

fn may(role: &str, action: &str, resource: &str) -> bool {
    grants(&read(), role).iter().any(|it| it.action == action && it.resource == resource)
}

const READ: &str = "secretsmanager:GetSecretValue";

#[test]
fn no_role_reaches_both_the_provider_and_the_nodes() {
    for role in ["ApiRole", "WorkerRole", "HealthRole", "TaskRole", "TaskExecutionRole"] {
        let (tokens, keys) = (may(role, READ, "connection tokens"), may(role, READ, "ssh keys"));
        assert!(!(tokens && keys), "{role}");
        assert_eq!(keys, role == "TaskRole", "{role}");
        assert_eq!(tokens, ["ApiRole", "WorkerRole", "HealthRole"].contains(&role), "{role}");
    }
    for role in ["ApiRole", "TaskRole", "TaskExecutionRole", "ScheduleRole"] {
        assert!(!may(role, READ, "deployment key"), "{role}");
    }
    for role in ["WorkerRole", "HealthRole", "TaskRole"] {
        assert!(!may(role, READ, "bootstrap secret"), "{role}");
    }
    for role in ["ApiRole", "WorkerRole", "HealthRole", "TaskRole", "TaskExecutionRole"] {
        let signs = may(role, "kms:Sign", "evidence key");
        assert_eq!(signs, ["WorkerRole", "HealthRole"].contains(&role), "{role}");
    }
}

#[test]
fn no_role_changes_itself_reads_others_or_deletes_the_table() {
    let template = read();
    for role in
        ["ApiRole", "WorkerRole", "HealthRole", "TaskRole", "TaskExecutionRole", "ScheduleRole"]
    {
        for grant in grants(&template, role) {
            let service = grant.action.split(':').next().unwrap();
            let known = [
                "dynamodb",
                "sqs",
                "secretsmanager",
                "kms",
                "events",
                "ecs",
                "logs",
                "ecr",
                "lambda",
            ];
            let passes = grant.action == "iam:PassRole" && role == "WorkerRole";
            assert!(known.contains(&service) || passes, "{role}: {}", grant.action);
            for word in
                ["Policy", "DeleteTable", "UpdateTable", "Scan", "UpdateFunction", "ListSecrets"]
            {
                assert!(!grant.action.contains(word), "{role}: {}", grant.action);
            }
        }
    }
}

/// Every role of the template and every secret has its row in `SECURITY.md`.
#[test]
fn every_role_and_every_secret_has_its_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    let template = read();
    let resources = template["Resources"].as_object().unwrap();
    for (name, resource) in resources {
        let kind = resource["Type"].as_str().unwrap();
        if ["AWS::IAM::Role", "AWS::SecretsManager::Secret", "AWS::KMS::Key"].contains(&kind) {
            let named = format!("`{name}`");
            assert!(rows.iter().any(|row| row.contains(&named)), "no row about {name}");
        }
    }
    for other in ["provider token", "managed SSH key", "API token"] {
        assert!(rows.iter().any(|row| row.contains(other)), "no row about a {other}");
    }
}
