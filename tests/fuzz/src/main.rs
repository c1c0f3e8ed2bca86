//! `fuzz`: the long form, by command.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use nodeyard_fuzz::{
    run::{End, drive},
    targets,
};

/// Inputs nobody meant to send, for every parser.
#[derive(Parser)]
struct Cli {
    /// How long, over all targets.
    #[arg(long, default_value_t = 60)]
    secs: u64,
    /// One target only.
    #[arg(long)]
    target: Option<String>,
    /// Inputs follow from it; made if absent, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// The most inputs for each target: what a failure's line says replays it.
    #[arg(long, default_value_t = u64::MAX)]
    executions: u64,
}

fn main() -> ExitCode {
    match fuzz(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        // Nobody reads on.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn fuzz(cli: &Cli) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let wanted = |name: &&&str| cli.target.as_ref().is_none_or(|target| target == **name);
    let names: Vec<&str> = targets::NAMES.iter().filter(wanted).copied().collect();
    if names.is_empty() {
        writeln!(out, "there is no such target; there are: {}", targets::NAMES.join(", "))?;
        return Ok(false);
    }
    let seed = cli.seed.unwrap_or_else(targets::new_seed);
    let time = Duration::from_secs(cli.secs) / u32::try_from(names.len()).unwrap_or(1);
    let (mut executions, mut crashes) = (0, 0);
    for target in names.iter().copied().filter_map(targets::named) {
        let mut target = target;
        let report = drive(target.as_mut(), seed, End { executions: cli.executions, time });
        writeln!(out, "{}", report.text())?;
        executions += report.executions;
        crashes += usize::from(report.crash.is_some());
    }
    writeln!(out, "fuzz: {executions} executions over {} targets, {crashes} crashes", names.len())?;
    Ok(crashes == 0)
}
