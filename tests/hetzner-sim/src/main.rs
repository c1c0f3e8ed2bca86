//! The program: `hetzner-sim serve` and `hetzner-sim cleanup`.

mod command_line;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use hetzner_sim::backing::{choose, clean_up};
use hetzner_sim::{RunningSimulator, Simulator};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use command_line::{CleanUp, CommandLine, Serve};

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("HETZNER_SIM_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = match CommandLine::parse() {
        CommandLine::Serve(serve) => run(serve).await,
        CommandLine::Cleanup(clean) => remove(&clean).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: Serve) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = serve.config()?;
    // Listened for before the backing is made, which can take minutes.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let backing_options = serve.backing_options();
    let backing = tokio::select! {
        backing = choose(&backing_options) => backing?,
        _ = interrupt.recv() => return Err("interrupted while making the backing".into()),
        _ = terminate.recv() => return Err("ended while making the backing".into()),
    };
    config.backing = std::sync::Arc::clone(&backing);
    let simulator = match Simulator::start(config).await {
        Ok(simulator) => simulator,
        Err(error) => {
            backing.shut_down().await?;
            return Err(error.into());
        }
    };
    tell(&simulator)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("shutting down");
    simulator.shut_down().await?;
    Ok(())
}

/// One line of JSON on standard output: it can be talked to from now on.
fn tell(simulator: &RunningSimulator) -> std::io::Result<()> {
    let line = json!({
        "url": simulator.url(),
        "endpoint": simulator.endpoint(),
        "backing": simulator.backing(),
        "pid": std::process::id(),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

async fn remove(clean: &CleanUp) -> Result<(), Box<dyn std::error::Error>> {
    for line in clean_up(&clean.state_dir, &clean.stack).await? {
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
