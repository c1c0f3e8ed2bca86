//! The steps, as data.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::command::{forget_own_package, interruptible};
use crate::error::{IoContext, Result};
use crate::python::Venv;
use crate::workspace::Workspace;

/// One thing that must pass.
#[derive(Debug)]
pub struct Step {
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// Runs a program; `venv/` before its name means the Python environment's.
    Program(&'static [&'static str]),
    /// Runs a program in the playbooks' folder, with all of them as arguments.
    Playbooks(&'static [&'static str]),
    /// Runs a program in the playbooks' folder.
    InPlaybooks(&'static [&'static str]),
    /// The checks of the templates.
    Templates,
    /// Runs the worker under `cargo lambda watch` and feeds it from a queue.
    CargoLambda,
    /// Kills a stack that has a node, and looks for what is left after `down`.
    KilledStack,
    /// The demo, with nothing behind the servers.
    DemoWithoutMachines,
    /// The acceptance criteria on one node, its smokes, and every readiness code.
    Acceptance,
    /// The short form of the drill that kills processes and loses answers.
    Chaos,
    /// A revoked token under running jobs, another one, another managed key.
    Rotation,
    /// The short form of the search for secrets, and a leaking build that it has to catch.
    Canary,
    /// A run that says far too much.
    Sizes,
    /// The short form of what holds each profile to its promise on real machines.
    Profiles,
    /// Lost answers beside the provider's own client, once each.
    Peer,
    /// The API against its document, for a minute and a half, and a client generated from it.
    Schemathesis,
    /// The tests of the whole workspace.
    Tests,
}

/// Everything that must pass, cheap things first, the tests last.
pub const STEPS: &[Step] = &[
    Step { name: "format", action: Action::Program(&["cargo", "fmt", "--all", "--check"]) },
    Step { name: "template", action: Action::Templates },
    Step {
        name: "deploy guide",
        action: Action::Program(&[
            "venv/python",
            "-m",
            "unittest",
            "discover",
            "--quiet",
            "--start-directory",
            "infra/local/tests",
        ]),
    },
    Step {
        name: "playbook syntax",
        action: Action::Playbooks(&["venv/ansible-playbook", "--syntax-check"]),
    },
    Step {
        name: "playbook lint",
        action: Action::Playbooks(&[
            "venv/ansible-lint",
            "--offline",
            "--profile",
            "production",
            "--strict",
            "-q",
        ]),
    },
    Step {
        name: "playbook tests",
        action: Action::InPlaybooks(&[
            "venv/python",
            "-m",
            "unittest",
            "discover",
            "--quiet",
            "--start-directory",
            "tests",
        ]),
    },
    Step {
        name: "clippy",
        action: Action::Program(&[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]),
    },
    Step { name: "cargo lambda", action: Action::CargoLambda },
    Step { name: "demo without machines", action: Action::DemoWithoutMachines },
    Step { name: "killed stack", action: Action::KilledStack },
    Step { name: "profiles", action: Action::Profiles },
    Step { name: "acceptance", action: Action::Acceptance },
    Step { name: "chaos", action: Action::Chaos },
    Step { name: "rotation", action: Action::Rotation },
    Step { name: "canary", action: Action::Canary },
    Step { name: "sizes", action: Action::Sizes },
    Step { name: "peer", action: Action::Peer },
    Step { name: "schemathesis", action: Action::Schemathesis },
    Step { name: "tests", action: Action::Tests },
];

/// A program with everything the tests find by environment.
pub fn command(workspace: &Workspace, venv: &Venv, words: &[&str]) -> Command {
    let (program, arguments) =
        words.split_first().map_or(("", [].as_slice()), |(first, rest)| (*first, rest));
    let mut command = match program.strip_prefix("venv/") {
        Some(name) => interruptible(venv.program(name)),
        None => interruptible(program),
    };
    forget_own_package(&mut command)
        .args(arguments)
        .current_dir(workspace.root())
        .env("NODEYARD_PYTHON", venv.python())
        .env("HETZNER_SIM_CACHE_DIR", workspace.cache())
        .env("PATH", search_path(venv))
        .env("LC_ALL", "C.UTF-8");
    command
}

/// What the tests leave out here, and what would bring it back. The test runner does not show what
/// a test prints that passes.
pub fn left_out(workspace: &Workspace) -> Option<&'static str> {
    let beside = workspace.path("../shared/hetzner/openapi.json");
    let is_there =
        std::env::var_os("NODEYARD_HETZNER_OPENAPI").map_or(beside, PathBuf::from).exists();
    (!is_there).then_some(
        "left out: the simulator's answers are not held against the provider's OpenAPI document; \
         NODEYARD_HETZNER_OPENAPI may name a copy of it",
    )
}

/// Ansible's tools look for each other on the search path.
fn search_path(venv: &Venv) -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(venv.programs()).chain(std::env::split_paths(&own));
    // Only a folder with a colon in its name cannot be joined.
    std::env::join_paths(folders).unwrap_or(own)
}

/// The playbooks, those of profiles too, by their paths in their folder.
///
/// # Errors
/// Their folders cannot be read.
pub fn playbooks(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for below in ["", "profiles"] {
        let folder = workspace.path("playbooks").join(below);
        let names = std::fs::read_dir(&folder)
            .at(&folder)?
            .flatten()
            .map(|entry| Path::new(below).join(entry.file_name()));
        found.extend(
            names.filter(|name| name.extension().is_some_and(|extension| extension == "yml")),
        );
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Action, STEPS};

    #[test]
    fn the_tests_come_last_so_that_their_summary_is_the_last_thing_printed() {
        assert!(STEPS.last().is_some_and(|step| matches!(step.action, Action::Tests)));
    }
}
