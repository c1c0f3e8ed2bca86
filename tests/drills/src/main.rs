//! `drills`: the long forms of the drills, by command.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, Subcommand};
use nodeyard_drills::{calls, defects, matrix, matrix::point::Point, parallel, simulation};

#[derive(Parser)]
#[command(about = "Drills of the engine over simulated ports")]
struct Cli {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Subcommand)]
enum Drill {
    /// Stops every hop of every scenario after every poll.
    CrashMatrix {
        /// This point only, as a failure names it.
        #[arg(long)]
        only: Option<String>,
        /// The points whose name begins so.
        #[arg(long)]
        begin: Option<String>,
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Whole worlds, each drawn from its seed.
    Sim {
        #[arg(long, default_value_t = 1000)]
        runs: usize,
        /// The first world's seed; the others follow.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Jobs that callers ask for in each world.
        #[arg(long, default_value_t = simulation::JOBS)]
        jobs: usize,
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Takes one safeguard after the other away: each time a drill has to fail.
    Defects {
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Calls to the provider per node, and how quickly what was lost is found again.
    Calls,
}

/// A long simulation meets every fault and makes every transition: shorter ones need not.
const LONG_RUN: usize = 1000;

fn main() -> ExitCode {
    nodeyard_drills::quiet_planted_panics();
    let done = match Cli::parse().drill {
        Drill::CrashMatrix { only, begin, threads } => {
            crash_matrix(only.as_deref(), &begin.unwrap_or_default(), threads)
        }
        Drill::Sim { runs, seed, jobs, threads } => sim(runs, seed, jobs, threads),
        Drill::Defects { threads } => plant_defects(threads),
        Drill::Calls => count_calls(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // Nobody reads on.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn crash_matrix(only: Option<&str>, begin: &str, threads: Option<usize>) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let points = match only.map(str::parse::<Point>) {
        None => {
            let mut points = matrix::points();
            points.retain(|point| point.to_string().starts_with(begin));
            points
        }
        Some(Ok(point)) => vec![point],
        Some(Err(_)) => {
            writeln!(out, "there is no such point")?;
            return Ok(false);
        }
    };
    let report = matrix::run(&points, threads.unwrap_or_else(parallel::default_threads));
    for (name, found) in &report.failures {
        writeln!(out, "{name} failed; replay: drills crash-matrix --only {name}")?;
        for finding in found {
            writeln!(out, "  {finding}")?;
        }
    }
    if let ([point], false) = (&points[..], report.failures.is_empty()) {
        out.write_all(matrix::tell(point).as_bytes())?;
    }
    if report.broken > 0 {
        writeln!(out, "{} other invariants broken", report.broken)?;
    }
    let matrix::Report { points, duplicates, orphans, stuck, .. } = &report;
    writeln!(
        out,
        "crash matrix: {points} points, {duplicates} duplicates, {orphans} orphans, {stuck} stuck"
    )?;
    Ok(report.failures.is_empty())
}

fn sim(runs: usize, seed: u64, jobs: usize, threads: Option<usize>) -> io::Result<bool> {
    let began = Instant::now();
    let seeds = simulation::seeds_from(seed, runs);
    let threads = threads.unwrap_or_else(parallel::default_threads);
    let report = simulation::run(&seeds, jobs, threads);
    let secs = began.elapsed().as_secs();
    let mut out = io::stdout().lock();
    out.write_all(report.text().as_bytes())?;
    if let ([seed], false) = (&seeds[..], report.is_clean()) {
        out.write_all(simulation::tell(*seed, jobs).as_bytes())?;
    }
    let mut is_clean = report.is_clean();
    if runs >= LONG_RUN {
        let missed = report.missed_faults().into_iter().map(str::to_owned);
        for name in missed.chain(report.missed_transitions()) {
            writeln!(out, "never met: {name}")?;
            is_clean = false;
        }
    }
    for name in report.unknown_transitions() {
        writeln!(out, "in no table: {name}")?;
        is_clean = false;
    }
    if report.broken > 0 {
        writeln!(out, "{} other invariants broken", report.broken)?;
    }
    writeln!(out, "{} hops, {} polls", report.hops, report.polls)?;
    writeln!(
        out,
        "simulation: {} worlds, {} jobs, {} duplicates, {} orphans, {} stuck, {secs} seconds",
        report.worlds, report.jobs, report.duplicates, report.orphans, report.stuck
    )?;
    Ok(is_clean)
}

fn plant_defects(threads: Option<usize>) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let threads = threads.unwrap_or_else(parallel::default_threads);
    let mut caught = 0;
    let planted = nodeyard_testkit::defects::Defect::ALL;
    for defect in planted {
        let catch = defects::plant(*defect, threads, &defects::LONG);
        caught += usize::from(catch.is_some());
        match catch {
            Some(catch) => writeln!(out, "{}: caught by {catch}", defect.name())?,
            None => writeln!(out, "{}: SURVIVED", defect.name())?,
        }
    }
    writeln!(out, "defects: {} planted, {caught} caught", planted.len())?;
    Ok(caught == planted.len())
}

fn count_calls() -> io::Result<bool> {
    let table = calls::table(calls::LOSSES);
    io::stdout().lock().write_all(table.text().as_bytes())?;
    Ok(table.is_within_limits())
}
