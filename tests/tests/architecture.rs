//! The invariants about what must be absent, held by reading the source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files below a folder with this ending, of which there is one at least.
fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let found = found(folder, ending);
    assert!(!found.is_empty(), "nothing ends in {ending} below {folder}");
    found
}

/// Every file below a folder with this ending, build output and the local stack's files left out.
fn found(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if name != "target" && name != ".nodeyard" && name != ".git" {
                    open.push(path);
                }
            } else if name.to_string_lossy().ends_with(ending) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// Code lines that hold one of the words: comments and documentation may speak of what is absent.
fn uses<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
        .filter(|line| words.iter().any(|word| line.contains(word)))
        .collect()
}

#[test]
fn the_domain_does_no_io_and_has_no_async() {
    let manifest = std::fs::read_to_string(root().join("shared/domain/Cargo.toml")).unwrap();
    // `aws-lc-rs` is cryptography: it verifies signatures.
    let manifest = manifest.replace("aws-lc-rs", "");
    for absent in ["tokio", "aws", "reqwest", "axum", "hcloud", "getrandom", "rand", "tracing"] {
        assert!(!manifest.contains(absent), "shared/domain depends on {absent}");
    }
    let words = [
        "async ",
        ".await",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "Timestamp::now",
        "SystemTime",
        "Instant::now",
    ];
    for (path, text) in files("shared/domain/src", ".rs") {
        assert_eq!(uses(&text, &words), Vec::<&str>::new(), "{}", path.display());
    }
}

#[test]
fn only_the_adapters_name_aws_types() {
    for folder in ["shared/domain", "shared/engine", "shared/testkit", "functions"] {
        for (path, text) in files(folder, ".rs") {
            let found = uses(&text, &["aws_sdk_", "aws_config::", "aws_smithy"]);
            assert_eq!(found, Vec::<&str>::new(), "{}", path.display());
        }
    }
}

#[test]
fn only_the_api_knows_the_statuses_we_answer_with() {
    for folder in [
        "shared/domain",
        "shared/engine",
        "functions/worker",
        "functions/health",
        "functions/ansible-task",
    ] {
        for (path, text) in files(folder, ".rs") {
            let found = uses(&text, &["StatusCode", "problem+json"]);
            assert_eq!(found, Vec::<&str>::new(), "{}", path.display());
        }
    }
}

#[test]
fn a_function_is_a_short_main_over_a_library() {
    for name in ["api", "worker", "health", "ansible-task"] {
        let folder = root().join("functions").join(name).join("src");
        let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
        assert!(main.lines().count() < 40, "functions/{name}/src/main.rs has grown");
        assert!(folder.join("lib.rs").exists());
    }
}

#[test]
fn the_worker_never_sleeps() {
    for folder in ["shared/engine/src", "functions/worker/src", "functions/health/src"] {
        for (path, text) in files(folder, ".rs") {
            assert_eq!(uses(&text, &["sleep("]), Vec::<&str>::new(), "{}", path.display());
        }
    }
}

#[test]
fn there_is_no_way_back_to_local_or_manual_nodes() {
    let contract = std::fs::read_to_string(root().join("functions/api/openapi.json")).unwrap();
    let contract: serde_json::Value = serde_json::from_str(&contract).unwrap();
    for path in contract["paths"].as_object().unwrap().keys() {
        for word in ["local", "manual", "self", "import", "register", "adopt"] {
            assert!(!path.contains(word), "{path}");
        }
    }
    let body = contract["components"]["schemas"]["NewNode"]["properties"].as_object();
    let fields: Vec<&String> = body.expect("the body of POST /nodes").keys().collect();
    for field in &fields {
        for word in ["host", "address", "local", "ssh_user", "ssh_port"] {
            assert!(!field.contains(word), "a node's body has {field}");
        }
    }
}

/// What a way to get a node without a provider would be written as. Where such a word stands for
/// something else, or to refuse it, is said with it.
const OTHER_WAYS: &[(&str, &[&str])] = &[
    ("connection: local", &[]),
    ("connection=local", &[]),
    ("ansible_connection", &[]),
    ("local_action", &[]),
    // A new connection to the node is tried from outside of it.
    ("delegate_to", &["playbooks/roles/guard/tasks/change.yml"]),
    ("hosts: localhost", &[]),
    ("LocalNode", &[]),
    ("ManualNode", &[]),
    ("SelfNode", &[]),
    ("NodeImport", &[]),
    ("import_node", &[]),
    ("adopt_node", &[]),
    ("register_node", &[]),
    // Refused by these names.
    ("is_local", REFUSING),
    ("ssh_host", SSH_HOST),
    ("acquisition_mode", REFUSING),
];

const REFUSING: &[&str] = &[
    "functions/api/src/nodes/body.rs",
    "functions/api/src/code.rs",
    "functions/api/src/snapshots",
    "functions/api/openapi",
    "functions/api/tests/api",
    "infra/local/src/proof/acceptance.rs",
    "events/api-post-node-local.json",
    "README.md",
];
/// And sshd's own host keys, whose files are called so.
const SSH_HOST: &[&str] = &[
    "functions/api/src/nodes/body.rs",
    "functions/api/tests/api",
    "infra/local/src/proof/acceptance.rs",
    "playbooks/roles/host_key",
    "shared/domain/src/user_data",
    "tests/hetzner-sim/src/backing",
    "tests/profiles",
];

#[test]
fn nowhere_is_a_word_of_another_way_to_get_a_node() {
    let mut read = 0;
    for folder in ["functions", "shared", "infra", "playbooks", "tests", "events"] {
        for ending in [".rs", ".yml", ".yaml", ".j2", ".py", ".sh", ".json", ".md", ".cfg"] {
            for (path, text) in found(folder, ending) {
                read += 1;
                hold(&path, &text);
            }
        }
    }
    assert!(read > 500, "only {read} files");
    for name in ["README.md", "SECURITY.md", "CHANGELOG.md"] {
        hold(&root().join(name), &std::fs::read_to_string(root().join(name)).unwrap());
    }
}

fn hold(path: &Path, text: &str) {
    let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    // This file names the words it looks for.
    if name == "tests/tests/architecture.rs" {
        return;
    }
    for (word, allowed) in OTHER_WAYS {
        let is_allowed = allowed.iter().any(|place| name.starts_with(place));
        assert!(is_allowed || !text.contains(word), "{name} has {word:?}");
    }
}

#[test]
fn files_stay_small_and_nothing_is_left_to_do() {
    let marks = ["todo!(", "unimplemented!(", "#[ignore"];
    for folder in ["shared", "functions", "infra", "tests"] {
        for (path, text) in files(folder, ".rs") {
            let lines = text.lines().count();
            assert!(lines <= 600, "{} has {lines} lines", path.display());
            // This file names the marks it looks for.
            if !path.ends_with("architecture.rs") {
                assert_eq!(uses(&text, &marks), Vec::<&str>::new(), "{}", path.display());
            }
        }
    }
}

#[test]
fn sample_events_are_json() {
    for (path, text) in files("events", ".json") {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(parsed.is_ok(), "{}", path.display());
    }
}

#[test]
fn planted_defects_are_in_debug_builds_only() {
    const GUARD: &str = "#[cfg(debug_assertions)]";
    let is_about_it = |line: &str| line.contains("NODEYARD_PLANTED") || line.contains("planted");
    for folder in ["shared/adapters", "shared/engine", "shared/domain", "functions"] {
        for (path, text) in files(folder, ".rs") {
            // The module itself is not there without the line that is checked in `lib.rs`.
            if path.ends_with("shared/adapters/src/planted.rs") {
                continue;
            }
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (at, line) in lines.iter().enumerate() {
                let is_code = line.starts_with("mod planted") || line.contains("planted::");
                if is_code || line.contains("NODEYARD_PLANTED") {
                    assert!(at > 0 && lines[at - 1] == GUARD, "{}: {line}", path.display());
                }
            }
        }
    }
    let library = std::fs::read_to_string(root().join("shared/adapters/src/lib.rs")).unwrap();
    assert!(library.contains(&format!("{GUARD}\nmod planted;")));
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("debug-assertions"), "a release build has none");
    let template = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    assert!(!template.lines().any(is_about_it));
}
