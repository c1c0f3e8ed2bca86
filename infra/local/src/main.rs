//! `cargo xtask`: the local stack, the demo and the tests.
//!
//! It starts, watches and ends what stands in for the cloud on this machine.
//! It must hold no product logic: whatever the stack does, the deployed
//! functions do.

mod api;
mod bench;
mod binaries;
mod bundle;
mod calls;
mod canary;
mod chaos;
mod checks;
mod cli;
mod command;
mod contract;
mod demo;
mod deploy;
mod drills;
mod ecs;
mod environment;
mod error;
mod evidence;
mod feed;
mod function;
mod journal;
mod lab;
mod openapi;
mod orders;
mod package;
mod peer;
mod prerequisites;
mod process;
mod profiles;
mod proof;
mod python;
mod queue;
mod random;
mod report;
mod rotation;
mod signal;
mod simulator;
mod sizes;
mod stack;
mod state;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Task};
use error::{Result, XtaskError};
use report::Report;
use workspace::Workspace;

// One thread: a container task ends with the thread that started it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().task).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(XtaskError::Said(code)) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task) -> Result<()> {
    let report = Report::start();
    match task {
        Task::Up(options) => up::up(&Workspace::find()?, &options, report).await,
        Task::Down(options) => stack::end(&Workspace::find()?, &options.stack, report).await,
        Task::Openapi(options) => openapi::openapi(&Workspace::find()?, &options, report).await,
        Task::Schemathesis(options) => contract::check(&Workspace::find()?, &options, report).await,
        Task::Environment(options) => environment::print(&Workspace::find()?, &options.stack).await,
        Task::Feed(options) => signal::unless_interrupted(feed::feed(&options)).await,
        Task::Ecs(options) => ecs::serve(options).await,
        Task::Demo(options) => demo::demo(&Workspace::find()?, &options, report).await,
        Task::Test(options) => checks::test(&Workspace::find()?, &options, report).await,
        Task::Chaos(options) => chaos::chaos(&Workspace::find()?, &options, report).await,
        Task::Peer(options) => peer::peer(&Workspace::find()?, &options, report).await,
        Task::Sizes(options) => sizes::sizes(&Workspace::find()?, &options, report).await,
        Task::Rotation(options) => rotation::rotation(&Workspace::find()?, &options, report).await,
        Task::Canary(options) => canary::canary(&Workspace::find()?, &options, report).await,
        Task::Profiles(options) => profiles::profiles(&Workspace::find()?, &options, report).await,
        Task::Smokes(options) => proof::smokes(&Workspace::find()?, &options, report).await,
        Task::Readiness(options) => proof::readiness(&Workspace::find()?, &options, report).await,
        Task::Acceptance(options) => proof::acceptance(&Workspace::find()?, &options, report).await,
        Task::Package(options) => package::package(&Workspace::find()?, &options, report).await,
        Task::Deploy(options) => deploy::deploy(&Workspace::find()?, &options, report).await,
        Task::CrashMatrix(options) => drill("crash-matrix", &options.words).await,
        Task::Sim(options) => drill("sim", &options.words).await,
        Task::Defects(options) => drill("defects", &options.words).await,
        Task::Model(options) => drills::run(&Workspace::find()?, &["model"], &options.words).await,
        Task::Fuzz(options) => drills::run(&Workspace::find()?, &["fuzz"], &options.words).await,
        Task::Calls(options) if options.stack_run => {
            calls::calls(&Workspace::find()?, &options, report).await
        }
        Task::Calls(_) => drill("calls", &[]).await,
        Task::VerifyEvidence(options) => evidence::verify(&options),
    }
}

async fn drill(name: &str, words: &[String]) -> Result<()> {
    drills::run(&Workspace::find()?, &["drills", name], words).await
}
