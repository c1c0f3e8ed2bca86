//! What each role may do in the template, held against the AWS calls that its program can make, in
//! both directions. The calls are read from the source: the operations in `shared/adapters`, the
//! port methods that lead to them, and who calls those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod facts;
mod source;
mod template;

use std::collections::BTreeSet;

use source::{called, functions, reached, texts};
use template::{Grant, grants, read};

/// A program, and what of the engine it enters.
struct Program {
    role: &'static str,
    folder: &'static str,
    engine: &'static [&'static str],
}

const PROGRAMS: &[Program] = &[
    Program {
        role: "ApiRole",
        folder: "functions/api",
        engine: &["admit.rs", "check.rs", "orphan/remove.rs"],
    },
    Program {
        role: "WorkerRole",
        folder: "functions/worker",
        engine: &[
            "driver.rs",
            "effect.rs",
            "poll.rs",
            "admit.rs",
            "event.rs",
            "evidence.rs",
            "exchange.rs",
            "rotation.rs",
            "rotation/effect.rs",
        ],
    },
    Program {
        role: "HealthRole",
        folder: "functions/health",
        engine: &[
            "sweep.rs",
            "event.rs",
            "evidence.rs",
            "check.rs",
            "admit.rs",
            "budget.rs",
            "orphan/check.rs",
            "orphan/groups.rs",
            "orphan/remove.rs",
            "orphan/view.rs",
            "rotation/destroy.rs",
            "watch.rs",
        ],
    },
    Program { role: "TaskRole", folder: "functions/ansible-task", engine: &[] },
];

/// Engine files that only declare: nothing in them calls a port.
const DECLARING: &[&str] = &[
    "lib.rs",
    "metric.rs",
    "orphan.rs",
    "provider.rs",
    "queue.rs",
    "runner.rs",
    "secrets.rs",
    "store.rs",
];

/// What a role has because of how its program is run, and not for a call that it makes.
const OF_THE_PLATFORM: &[(&str, &str, &str)] = &[
    // Functions write their logs with their own role.
    ("ApiRole", "logs:CreateLogStream", "{\"GetAtt\":\"ApiLogs.Arn\"}"),
    ("ApiRole", "logs:PutLogEvents", "{\"GetAtt\":\"ApiLogs.Arn\"}"),
    ("WorkerRole", "logs:CreateLogStream", "{\"GetAtt\":\"WorkerLogs.Arn\"}"),
    ("WorkerRole", "logs:PutLogEvents", "{\"GetAtt\":\"WorkerLogs.Arn\"}"),
    ("HealthRole", "logs:CreateLogStream", "{\"GetAtt\":\"HealthLogs.Arn\"}"),
    ("HealthRole", "logs:PutLogEvents", "{\"GetAtt\":\"HealthLogs.Arn\"}"),
    // The event source mapping takes wakes with the worker's role.
    ("WorkerRole", "sqs:ReceiveMessage", "wakes"),
    ("WorkerRole", "sqs:DeleteMessage", "wakes"),
    ("WorkerRole", "sqs:ChangeMessageVisibility", "wakes"),
    ("WorkerRole", "sqs:GetQueueAttributes", "wakes"),
];

/// Resources that cannot be said any closer, each with the action that needs them.
const EVERYTHING: &[(&str, &str)] = &[
    // Has no resource of its own; a condition names the cluster.
    ("WorkerRole", "ecs:ListTasks"),
    // Logging in to the registry is not about one repository (IAM reference of ECR).
    ("TaskExecutionRole", "ecr:GetAuthorizationToken"),
];

/// The text of a port's implementation that marks an operation, and what IAM calls it.
const OF_TABLE: &[(&str, &str, &str)] = &[
    ("self.table.get(", "dynamodb:GetItem", "table"),
    (".new_query()", "dynamodb:Query", "table"),
    (".index_name(", "dynamodb:Query", "indexes"),
    ("Write::put(", "dynamodb:PutItem", "table"),
    ("Write::update(", "dynamodb:UpdateItem", "table"),
    ("Write::delete(", "dynamodb:DeleteItem", "table"),
    ("Write::check(", "dynamodb:ConditionCheckItem", "table"),
    (".put_all(", "dynamodb:BatchWriteItem", "table"),
];

const OF_SECRETS: &[(&str, &str)] = &[
    (".get_secret_value()", "secretsmanager:GetSecretValue"),
    (".put_secret_value()", "secretsmanager:PutSecretValue"),
    (".create_secret()", "secretsmanager:CreateSecret"),
    (".delete_secret()", "secretsmanager:DeleteSecret"),
    ("key.sign(", "kms:Sign"),
    // Signing names the key by its public half.
    ("key.sign(", "kms:GetPublicKey"),
];

const SECRET_NAMES: &[(&str, &str)] = &[
    ("token_name(", "connection tokens"),
    ("key_name(", "ssh keys"),
    ("/deployment-key\"", "deployment key"),
    ("/bootstrap\"", "bootstrap secret"),
    ("self.signing", "evidence key"),
];

/// The four kinds of task resources are patterns of the template; only their actions are held here.
const OF_TASKS: &[(&str, &[&str])] = &[
    (".run_task()", &["ecs:RunTask", "iam:PassRole"]),
    (".list_tasks()", &["ecs:ListTasks"]),
    (".describe_tasks()", &["ecs:DescribeTasks"]),
    (".stop_task()", &["ecs:StopTask"]),
];

/// Every operation of an AWS client in the adapters. A new one has to be placed above.
const OPERATIONS: &[&str] = &[
    "batch_write_item",
    "create_secret",
    "delete_item",
    "delete_secret",
    "describe_tasks",
    "get_item",
    "get_public_key",
    "get_secret_value",
    "list_tasks",
    "put_events",
    "put_item",
    "put_secret_value",
    "query",
    "run_task",
    "send_message",
    "sign",
    "stop_task",
    "transact_write_items",
    "update_item",
];

fn all(place: &str) -> String {
    texts(place).into_iter().map(|(_, text)| text + "\n").collect()
}

/// The methods of a port's trait.
fn port(file: &str, name: &str) -> BTreeSet<String> {
    let text = all(&format!("shared/engine/src/{file}"));
    let at = text.find(&format!("pub trait {name}")).unwrap_or_else(|| panic!("no port {name}"));
    let end = text[at..].find("\n}").unwrap() + at;
    let names = text[at..end].split("    fn ").skip(1);
    names.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()).collect()
}

/// Everything that a program's own code and its part of the engine call.
fn calls(program: &Program) -> BTreeSet<String> {
    let own = all(&format!("{}/src", program.folder));
    let engine: String =
        program.engine.iter().map(|file| all(&format!("shared/engine/src/{file}"))).collect();
    // Of the engine, only what the program leads to.
    let functions = functions(&engine);
    let mut names = called(&own);
    let entered: Vec<String> =
        names.iter().filter(|it| functions.contains_key(*it)).cloned().collect();
    for name in entered {
        names.extend(called(&reached(&functions, &name)));
    }
    names
}

/// Every word in the program's own code and its part of the engine.
fn named_ports(program: &Program) -> String {
    let engine = program.engine.iter().map(|file| all(&format!("shared/engine/src/{file}")));
    all(&format!("{}/src", program.folder)) + &engine.collect::<String>()
}

/// What the calls of a program need.
fn needs(program: &Program) -> BTreeSet<(String, String)> {
    let main = all(&format!("{}/src/main.rs", program.folder));
    let calls = calls(program);
    let mut needs = BTreeSet::new();
    let mut need = |action: &str, resource: &str| {
        needs.insert((action.to_owned(), resource.to_owned()));
    };
    // A port that a program does not name is not called by it, whatever its methods are called.
    let named = named_ports(program);
    let methods = |ports: &[(&str, &str)]| -> BTreeSet<String> {
        let ports = ports.iter().filter(|(_, name)| named.contains(*name));
        let all = ports.flat_map(|(file, name)| port(file, name));
        all.filter(|method| calls.contains(method)).collect()
    };
    if main.contains("DynamoStore") {
        let store = functions(&all("shared/adapters/src/dynamo"));
        let ports = [
            ("store.rs", "JobStore"),
            ("store.rs", "RunStore"),
            ("store.rs", "ApiStore"),
            ("orphan.rs", "OrphanStore"),
            ("rotation.rs", "RotationStore"),
            ("event.rs", "Outbox"),
        ];
        for method in methods(&ports) {
            let text = reached(&store, &method);
            for (_, action, resource) in OF_TABLE.iter().filter(|(mark, ..)| text.contains(mark)) {
                need(action, resource);
            }
        }
    }
    if main.contains("SqsQueue") && !methods(&[("queue.rs", "WakeQueue")]).is_empty() {
        need("sqs:SendMessage", "wakes");
    }
    if main.contains("EventBridge") && !methods(&[("event.rs", "Events")]).is_empty() {
        need("events:PutEvents", "bus");
    }
    if main.contains("SecretsManager") {
        let secrets = functions(&all("shared/adapters/src/secrets.rs"));
        let mut called = methods(&[("secrets.rs", "Secrets")]);
        if main.contains("HetznerProvider") && !program.folder.ends_with("api") {
            // Sessions of the provider read the connection's token themselves.
            assert!(all("shared/adapters/src/hetzner").contains("secrets.provider_token("));
            called.insert("provider_token".into());
        }
        for method in called {
            let text = reached(&secrets, &method);
            let name = SECRET_NAMES.iter().find(|(mark, _)| secrets[&method].contains(mark));
            let (_, resource) = name.unwrap_or_else(|| panic!("which secret is {method} about?"));
            for (_, action) in OF_SECRETS.iter().filter(|(mark, _)| text.contains(mark)) {
                need(action, resource);
            }
        }
    }
    if main.contains("EcsRunner") {
        let tasks = functions(&all("shared/adapters/src/ecs.rs"));
        for method in methods(&[("runner.rs", "Runner")]) {
            let text = reached(&tasks, &method);
            for (_, actions) in OF_TASKS.iter().filter(|(mark, _)| text.contains(mark)) {
                actions.iter().for_each(|action| need(action, "tasks"));
            }
        }
    }
    needs
}

/// What the template grants a role, without what its platform needs.
fn granted(role: &str) -> BTreeSet<(String, String)> {
    let of_platform = |grant: &Grant| {
        OF_THE_PLATFORM.contains(&(role, grant.action.as_str(), grant.resource.as_str()))
    };
    let grants = grants(&read(), role).into_iter().filter(|grant| !of_platform(grant));
    let task = |action: &str| action.starts_with("ecs:") || action == "iam:PassRole";
    grants
        .map(|grant| {
            let resource = if task(&grant.action) { "tasks".into() } else { grant.resource };
            (grant.action, resource)
        })
        .collect()
}

#[test]
fn each_role_may_do_what_its_program_does_and_nothing_else() {
    let mut wrong = Vec::new();
    for program in PROGRAMS {
        let (needs, granted) = (needs(program), granted(program.role));
        assert!(needs.len() > 3, "{}: {needs:?}", program.role);
        for (action, resource) in needs.difference(&granted) {
            wrong.push(format!("{} lacks {action} on {resource}", program.role));
        }
        for (action, resource) in granted.difference(&needs) {
            wrong.push(format!("{} does not need {action} on {resource}", program.role));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_operation_and_every_part_of_the_engine_is_accounted_for() {
    let mut found = BTreeSet::new();
    for (path, text) in texts("shared/adapters/src") {
        // The provider's calls are no calls of AWS.
        if path.contains("/hetzner/") {
            continue;
        }
        let dense: String = text.split_whitespace().collect();
        for rest in dense.split("client.").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_lowercase() || *c == '_').collect();
            if rest[name.len()..].starts_with("()") {
                found.insert(name);
            }
        }
    }
    assert_eq!(found, OPERATIONS.iter().map(ToString::to_string).collect());
    for (path, text) in texts("shared/engine/src") {
        let file = path.strip_prefix("shared/engine/src/").unwrap();
        let entered = PROGRAMS.iter().any(|program| program.engine.contains(&file));
        assert!(entered != DECLARING.contains(&file), "who enters {file}?");
        assert!(entered || !text.contains(".await"), "{file} calls something");
    }
}

#[test]
fn a_call_that_is_not_granted_and_a_grant_that_is_not_called_are_found() {
    let worker = &PROGRAMS[1];
    let needs = needs(worker);
    let has = |action: &str, resource: &str| needs.contains(&(action.into(), resource.into()));
    assert!(has("secretsmanager:GetSecretValue", "connection tokens"));
    assert!(has("ecs:RunTask", "tasks") && has("dynamodb:UpdateItem", "table"));
    assert!(!has("secretsmanager:GetSecretValue", "ssh keys"));
    assert!(!has("secretsmanager:DeleteSecret", "connection tokens"));
    let task = self::needs(&PROGRAMS[3]);
    assert!(!task.iter().any(|(action, _)| action.starts_with("ecs:")), "{task:?}");
}

#[test]
fn no_grant_is_for_everything_unless_there_is_no_less() {
    let template = read();
    let roles = template["Resources"].as_object().unwrap();
    let roles = roles.iter().filter(|(_, it)| it["Type"] == "AWS::IAM::Role");
    let mut everything = Vec::new();
    let mut count = 0;
    for (role, _) in roles {
        count += 1;
        for grant in grants(&template, role) {
            if grant.resource == "\"*\"" {
                everything.push((role.clone(), grant.action));
            }
        }
    }
    let known: Vec<(String, String)> =
        EVERYTHING.iter().map(|(role, action)| ((*role).into(), (*action).into())).collect();
    everything.sort();
    let mut sorted = known;
    sorted.sort();
    assert_eq!(everything, sorted);
    assert_eq!(count, 6, "three functions, the task, its start, the schedule");
}
