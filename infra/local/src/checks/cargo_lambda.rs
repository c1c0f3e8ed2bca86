//! The functions under `cargo lambda watch`, against the emulator: invoked
//! with the sample events, and the worker fed from a queue.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{BackingKind, FeedOptions, StackOptions};
use crate::command::{interruptible, own_package_variables, read_output};
use crate::environment;
use crate::error::{IoContext, Result, XtaskError};
use crate::feed;
use crate::process::Process;
use crate::python::Venv;
use crate::queue::Queue;
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::stack;
use crate::state::StackState;
use crate::workspace::Workspace;

/// The stack that this check has to itself.
const STACK: &str = "cargo-lambda";
/// A wake of a job that does not exist: the worker drops it.
const STRAY_WAKE: &str = r#"{"job_id":"job-00000000000000000000000000000001","reason":"due"}"#;

/// Brings a stack up and runs the functions beside it.
///
/// # Errors
/// A function did not answer as it should.
pub async fn check(workspace: &Workspace, venv: &Venv, report: Report) -> Result<()> {
    let options = StackOptions::of(STACK.to_owned(), BackingKind::None);
    let outcome = unless_interrupted(async {
        let state = stack::bring_up(workspace, &options, report).await?;
        run(workspace, venv, state, report).await
    });
    let outcome = outcome.await;
    if matches!(outcome, Err(XtaskError::AlreadyUp { .. })) {
        return outcome;
    }
    outcome.and(stack::end(workspace, STACK, report).await)
}

async fn run(
    workspace: &Workspace,
    venv: &Venv,
    mut state: StackState,
    report: Report,
) -> Result<()> {
    let start = Instant::now();
    let watch = Watch::start(workspace, venv, &mut state).await?;
    for event in requests(workspace)? {
        let answer = watch.invoke("nodeyard-api", &event).await?;
        // Their token is none of this stack; its health is everybody's to ask for.
        let status = match event.as_str() {
            "api-get-health.json" => 200,
            "api-unknown-path.json" => 404,
            _ => 401,
        };
        expect(&event, &answer, "/statusCode", &json!(status))?;
    }
    let wakes = watch.invoke("nodeyard-worker", "worker-wakes.json").await?;
    expect("two stray wakes", &wakes, "/batchItemFailures", &json!([]))?;
    let mixed = watch.invoke("nodeyard-worker", "worker-wakes-one-unreadable.json").await?;
    let unreadable = mixed.pointer("/batchItemFailures").and_then(Value::as_array).map(Vec::len);
    expect("one unreadable message", &json!({ "failures": unreadable }), "/failures", &json!(1))?;
    for event in ["health-sweep.json", "health-check.json"] {
        watch.invoke("nodeyard-health", event).await?;
    }
    report.took(start, "cargo lambda watch and invoke: the functions answer the sample events");

    let queue = Queue::new()?;
    let url = queue.create(&state.aws_url, "fed-by-hand").await?;
    queue.send(&url, STRAY_WAKE).await?;
    queue.send(&url, "not a wake").await?;
    let options = FeedOptions {
        queue_url: url,
        watch_url: watch.url(),
        function: "nodeyard-worker".to_owned(),
    };
    let mut seen = (0, 0);
    // One look need not find both messages.
    while seen.0 + seen.1 < 2 {
        let (done, left) = feed::hand_over(&queue, &options).await?;
        if done + left == 0 {
            break;
        }
        seen = (seen.0 + done, seen.1 + left);
    }
    report.line("cargo lambda watch: the worker was fed from a queue");
    expect("feeding the worker", &json!({ "seen": seen }), "/seen", &json!([1, 1]))
}

/// The sample requests.
fn requests(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.path("events");
    let files = std::fs::read_dir(&folder).at(&folder)?.flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let requests: Vec<String> = names.filter(|name| name.starts_with("api-")).collect();
    if requests.is_empty() {
        return Err(XtaskError::Check("no sample request in events".to_owned()));
    }
    Ok(requests)
}

/// A running `cargo lambda watch`.
struct Watch<'a> {
    workspace: &'a Workspace,
    program: std::path::PathBuf,
    port: u16,
}

impl<'a> Watch<'a> {
    /// Starts it with the variables that the deployed worker gets; they are the same for all three.
    async fn start(workspace: &'a Workspace, venv: &Venv, state: &mut StackState) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .during("finding a free port")?
            .port();
        let program = venv.program("cargo-lambda");
        let mut command = Command::new(&program);
        for name in own_package_variables() {
            command.env_remove(name);
        }
        command
            .args(["lambda", "watch", "--ignore-changes", "--wait"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .current_dir(workspace.root())
            .envs(environment::of_functions(workspace, venv, state).await?);
        let log = workspace.stack(STACK).join("logs/cargo-lambda.log");
        let process = Process::start("cargo lambda watch", &mut command, &log)?;
        state.processes.push(process.clone());
        state.save(workspace)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect(address).is_err() {
            process.check_lives()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Self { workspace, program, port })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a function answers to a sample event.
    async fn invoke(&self, function: &str, event: &str) -> Result<Value> {
        let file = Path::new("events").join(event);
        let mut command = interruptible(&self.program);
        command
            .args(["lambda", "invoke", function, "--output-format", "json"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &self.port.to_string()])
            .arg("--data-file")
            .arg(file)
            .current_dir(self.workspace.root());
        let printed = read_output(&mut command).await?;
        serde_json::from_str(&printed).map_err(|error| XtaskError::Answer {
            context: format!("{function} with {event}"),
            detail: format!("{error}\n{printed}"),
        })
    }
}

fn expect(what: &str, answer: &Value, pointer: &str, wanted: &Value) -> Result<()> {
    if answer.pointer(pointer) == Some(wanted) {
        return Ok(());
    }
    Err(XtaskError::Check(format!("{what}: wanted {wanted} at {pointer}, got\n{answer:#}")))
}
