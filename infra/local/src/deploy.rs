//! `cargo xtask deploy`: the packaged release on AWS, or on an emulator; and a
//! deployment taken down again. What is done is in `infra/local/release.py`.

use crate::cli::DeployOptions;
use crate::command::{interruptible, run_aloud};
use crate::error::Result;
use crate::package::Release;
use crate::prerequisites;
use crate::python::{self, Venv};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::workspace::Workspace;

/// Does what was asked for, and says each step.
///
/// # Errors
/// Something is missing, or AWS refused; the script has said what.
pub async fn deploy(workspace: &Workspace, options: &DeployOptions, report: Report) -> Result<()> {
    let venv = Venv::ensure(workspace, python::STACK, report).await?;
    let pushes = verb(options) == "deploy" && options.task_image.is_none();
    if pushes && options.endpoint.is_none() && !options.dry_run {
        prerequisites::ensure(prerequisites::TASK_IMAGE, report).await?;
    }
    let mut command = interruptible(venv.python());
    command.arg("infra/local/release.py").args(words(workspace, options));
    unless_interrupted(run_aloud(command.current_dir(workspace.root()))).await
}

fn verb(options: &DeployOptions) -> &'static str {
    match (options.remove, &options.restore_from) {
        (true, _) => "remove",
        (false, Some(_)) => "restore",
        (false, None) => "deploy",
    }
}

fn words(workspace: &Workspace, options: &DeployOptions) -> Vec<String> {
    let verb = verb(options);
    let mut words = vec![verb.to_owned(), "--deployment".to_owned(), options.deployment.clone()];
    let mut pair = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    if let Some(region) = &options.region {
        pair("--region", region);
    }
    if let Some(endpoint) = &options.endpoint {
        pair("--endpoint", endpoint);
    }
    if let Some(table) = &options.restore_from {
        pair("--from", table);
    }
    if verb == "deploy" {
        pair("--release", &Release::of(workspace).folder().display().to_string());
        pair("--arch", options.arch.word());
        // An emulator has no registry behind its repositories.
        let emulated = options.endpoint.as_ref().map(|_| "nodeyard-ansible-task".to_owned());
        if let Some(image) = options.task_image.clone().or(emulated) {
            pair("--task-image", &image);
        }
        options.set.iter().for_each(|parameter| pair("--set", parameter));
    }
    for (flag, is_set) in [
        ("--dry-run", options.dry_run),
        ("--with-data", options.with_data),
        ("--leave-nodes", options.leave_nodes),
    ] {
        if is_set {
            words.push(flag.to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::words;
    use crate::cli::{Cli, Task};
    use crate::workspace::Workspace;
    use clap::Parser;

    fn of(arguments: &[&str]) -> String {
        let typed = ["xtask", "deploy"].iter().chain(arguments);
        let Task::Deploy(options) = Cli::try_parse_from(typed).unwrap().task else { panic!() };
        words(&Workspace::find().unwrap(), &options).join(" ")
    }

    #[test]
    fn what_is_typed_is_what_the_script_gets() {
        let plain = of(&["--set", "LogLevel=debug", "--region", "eu-central-1"]);
        assert!(plain.starts_with("deploy --deployment main --region eu-central-1 --release "));
        assert!(plain.ends_with("/.nodeyard/release --arch arm64 --set LogLevel=debug"), "{plain}");
        let emulated = of(&["--endpoint", "http://127.0.0.1:1", "--arch", "x86_64", "--dry-run"]);
        assert!(emulated.contains("--task-image nodeyard-ansible-task"), "{emulated}");
        assert!(emulated.ends_with("--dry-run"), "{emulated}");
        let gone = of(&["--remove", "--with-data", "--deployment", "shop"]);
        assert_eq!(gone, "remove --deployment shop --with-data");
        let back = of(&["--restore-from", "old"]);
        assert_eq!(back, "restore --deployment main --from old");
    }
}
