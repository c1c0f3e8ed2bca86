//! Starts the three processes of a stack: the AWS emulator, the simulator
//! and the ECS endpoint.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::binaries::{Binaries, SIMULATOR, TASK};
use crate::cli::StackOptions;
use crate::command::tail_of;
use crate::error::{IoContext, Result, XtaskError};
use crate::process::{Identity, Process};
use crate::python::Venv;
use crate::report::Report;
use crate::simulator::{OBSERVER_TOKEN, PROJECT, PROVIDER_TOKEN, Simulator};
use crate::state::StackState;
use crate::workspace::Workspace;

/// Switches a planted defect on, in debug builds of the functions and the task.
pub const PLANTED: &str = "NODEYARD_PLANTED";
/// Where the emulator unpacks functions; goes with the stack.
pub const EMULATOR_FOLDER: &str = "emulator";
/// The emulator takes a second, the ECS endpoint less.
const SERVICE_SECS: u64 = 60;
/// The simulator may have to make a root file system first, from packages
/// that have to be fetched.
const SIMULATOR_SECS: u64 = 900;

/// Starts what a stack consists of.
///
/// # Errors
/// One of them ended, or did not answer in time.
pub async fn start(
    workspace: &Workspace,
    options: &StackOptions,
    venv: &Venv,
    binaries: &Binaries,
    report: Report,
) -> Result<StackState> {
    let [aws_port, simulator_port, ecs_port] = free_ports()?;
    let folder = workspace.stack(&options.stack);
    let logs = folder.join("logs");
    for of_the_last_run in [&logs, &folder.join("tasks")] {
        if of_the_last_run.exists() {
            std::fs::remove_dir_all(of_the_last_run).at(of_the_last_run)?;
        }
    }
    std::fs::create_dir_all(&logs).at(&logs)?;
    let emulator_folder = folder.join(EMULATOR_FOLDER);
    std::fs::create_dir_all(&emulator_folder).at(&emulator_folder)?;
    let mut state = StackState {
        stack: options.stack.clone(),
        owner: Identity::own(),
        processes: Vec::new(),
        simulator_program: binaries.path(SIMULATOR),
        simulator_url: local_url(simulator_port),
        provider_token: crate::random::hex(32)?,
        observer_token: crate::random::hex(32)?,
        aws_url: local_url(aws_port),
        ecs_url: local_url(ecs_port),
        backing: None,
        api_url: None,
        queue_url: None,
        token: None,
    };

    let begun = Instant::now();
    let mut emulator = emulator(venv, &state.aws_url, aws_port, &emulator_folder);
    if let Some(planted) = &options.probe.planted {
        emulator.env(PLANTED, planted);
    }
    let emulator = record(workspace, &mut state, "emulator", &mut emulator, &logs)?;
    let mut simulator = simulator(workspace, options, &state, simulator_port, aws_port);
    let simulator = record(workspace, &mut state, "simulator", &mut simulator, &logs)?;

    let health = format!("{}/_ministack/health", state.aws_url);
    wait_for(&emulator, &health, SERVICE_SECS, None).await?;
    report.took(begun, "AWS emulator answers");
    let backing = format!("{}/_sim/backing", state.simulator_url);
    // On a new machine it installs packages and makes a root file system: say so.
    wait_for(&simulator, &backing, SIMULATOR_SECS, Some(report)).await?;
    let backing = Simulator::of(&state)?.backing().await?;
    report.took(begun, format!("simulator answers; machines: {}", backing.backing));
    report.line(&backing.note);
    state.backing = Some(backing);

    let mut ecs = ecs(workspace, options, venv, binaries, &state, ecs_port)?;
    let ecs = record(workspace, &mut state, "ecs", &mut ecs, &logs)?;
    wait_for(&ecs, &format!("{}/health", state.ecs_url), SERVICE_SECS, None).await?;
    Ok(state)
}

/// The emulator gets a clean environment: it hands its own to every function.
fn emulator(venv: &Venv, url: &str, port: u16, folder: &Path) -> Command {
    let mut command = Command::new(venv.python());
    command
        .args(["-m", "ministack"])
        .env_clear()
        .envs(inherited(&["PATH", "HOME", "LANG"]))
        .env("TMPDIR", folder)
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("PYTHONUNBUFFERED", "1")
        .current_dir(folder);
    command
}

fn simulator(
    workspace: &Workspace,
    options: &StackOptions,
    state: &StackState,
    port: u16,
    aws_port: u16,
) -> Command {
    let mut command = Command::new(&state.simulator_program);
    command
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--token", &format!("{PROVIDER_TOKEN}={}:rw:{PROJECT}", state.provider_token)])
        .args(["--token", &format!("{OBSERVER_TOKEN}={}:ro:{PROJECT}", state.observer_token)])
        .args(["--backing", options.backing.word()])
        .args(["--stack", &options.stack])
        .args(["--forward", &aws_port.to_string()])
        .arg("--state-dir")
        .arg(workspace.nodeyard().join("sim"))
        .arg("--cache-dir")
        .arg(workspace.cache());
    for (prefix, folder) in &options.layers {
        command.arg("--layer").arg(format!("{prefix}={}", folder.display()));
    }
    command
}

fn ecs(
    workspace: &Workspace,
    options: &StackOptions,
    venv: &Venv,
    binaries: &Binaries,
    state: &StackState,
    port: u16,
) -> Result<Command> {
    let own = std::env::current_exe().during("finding this program")?;
    let backing = state.backing.as_ref();
    let mut folders = vec![venv.programs()];
    if backing.is_none_or(|backing| !backing.real) {
        // Programs that stand in for ssh and Ansible where there is nothing to log in to.
        folders.insert(0, workspace.path("infra/local/simulated"));
    }
    folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(Into::into));
    let path = std::env::join_paths(folders).map_err(|error| XtaskError::Answer {
        context: "search path of the tasks".to_owned(),
        detail: error.to_string(),
    })?;
    let mut command = Command::new(own);
    command
        .arg("ecs")
        .args(["--port", &port.to_string()])
        .args(["--aws-url", &state.aws_url])
        .args(["--cluster", &format!("nodeyard-{}", super::deployment::DEPLOYMENT)])
        .arg("--folder")
        .arg(workspace.stack(&options.stack).join("tasks"))
        .arg("--program")
        .arg(binaries.path(TASK))
        .arg("--playbooks")
        .arg(workspace.path("playbooks"))
        .arg("--path")
        .arg(path);
    if let Some(netns) = backing.and_then(|backing| backing.netns.as_ref()) {
        command.arg("--netns").arg(netns);
    }
    if let Some(image) = &options.task_image {
        command.args(["--image", image]);
    }
    if let Some(planted) = &options.probe.planted {
        command.env(PLANTED, planted);
    }
    Ok(command)
}

/// Starts a process and puts it on record before anything else can go wrong.
fn record(
    workspace: &Workspace,
    state: &mut StackState,
    name: &str,
    command: &mut Command,
    logs: &Path,
) -> Result<Process> {
    let process = Process::start(name, command, &logs.join(format!("{name}.log")))?;
    state.processes.push(process.clone());
    state.save(workspace)?;
    Ok(process)
}

/// Waits until a URL answers well; tells meanwhile what the process writes, if asked to.
async fn wait_for(process: &Process, url: &str, secs: u64, tell: Option<Report>) -> Result<()> {
    let client = crate::api::http_client()?;
    let mut told = 0;
    let deadline = Instant::now() + Duration::from_secs(secs);
    while Instant::now() < deadline {
        if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        process.check_lives()?;
        if let Some(report) = tell {
            let log = std::fs::read_to_string(&process.log).unwrap_or_default();
            log.lines().skip(told).filter_map(message).for_each(|it| report.line(it));
            told = log.lines().count();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(XtaskError::TimedOut {
        what: format!("an answer of the {}", process.name),
        secs,
        hint: format!("it said\n{}", tail_of(&process.log)),
    })
}

/// The message of a line of a log, without its time and level.
fn message(line: &str) -> Option<&str> {
    line.split_once(" INFO ").or_else(|| line.split_once(" WARN ")).map(|(_, message)| message)
}

/// Three ports of 127.0.0.1 that nobody listens on now.
fn free_ports() -> Result<[u16; 3]> {
    let mut ports = [0; 3];
    // All three are held until the last is found, so that no two are the same.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").during("finding a free port")?;
        *port = listener.local_addr().during("finding a free port")?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn local_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn inherited(names: &[&str]) -> Vec<(OsString, OsString)> {
    names.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))).collect()
}
