//! What runs beside the task as the same user cannot read the task's environment or memory, where
//! the way to its credentials stands. Root can, so the proof is made as another user.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use nodeyard_ansible_task::hide_memory;

/// The image's user.
const USER: u32 = 10_001;
const ROLE: &str = "NODEYARD_TEST_HIDDEN";
const CANARY: &str = "NODEYARD_TEST_CANARY=a-way-to-credentials";
const THIS: &str = "memory::a_child_cannot_read_its_parents_memory";

/// Runs this very test again as the image's user, with something in its environment to find.
fn as_user(role: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("task");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", THIS, "--nocapture", "--test-threads", "1"]).env_clear();
    let (name, value) = CANARY.split_once('=').unwrap();
    command.env(ROLE, role).env(name, value).env("PATH", "/usr/bin:/bin").current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(USER).gid(USER);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// As the user: what a child finds out about us.
fn look(hidden: bool) {
    if hidden {
        hide_memory();
    }
    let own = format!("/proc/{}", std::process::id());
    let read = |file: &str| {
        let child = Command::new("cat").arg(format!("{own}/{file}")).output().unwrap();
        child.status.success() && !child.stdout.is_empty()
    };
    let found = Command::new("cat").arg(format!("{own}/environ")).output().unwrap();
    let canary = String::from_utf8_lossy(&found.stdout).contains(CANARY);
    println!("canary {canary} environ {} maps {}", read("environ"), read("maps"));
}

#[test]
fn a_child_cannot_read_its_parents_memory() {
    if let Ok(role) = std::env::var(ROLE) {
        return look(role == "hidden");
    }
    let hidden = as_user("hidden");
    assert!(hidden.contains("canary false environ false maps false"), "{hidden}");
    // Without it a child can: the test can fail.
    let open = as_user("open");
    assert!(open.contains("canary true environ true maps true"), "{open}");
}

/// It is hidden before anything is read or started.
#[test]
fn the_program_hides_its_memory_first() {
    let main = include_str!("../../src/main.rs");
    let at = |text: &str| main.find(text).unwrap_or_else(|| panic!("no {text} in main.rs"));
    assert!(at("    hide_memory();") < at("perform().await"));
    assert!(at("Request::parse(std::env::args()") < at("TaskConfig::parse"));
    assert_eq!(
        main.matches("std::env::args").count(),
        1,
        "arguments are read by their parser alone"
    );
}
