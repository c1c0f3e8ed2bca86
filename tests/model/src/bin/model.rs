//! The long form: more faults a path, with the numbers of what was looked at.

use std::time::Instant;

use clap::Parser;
use nodeyard_model::scenario::Scenario;
use stateright::{Checker, Expectation, Model};

/// Explores every scenario and says what holds.
#[derive(Parser)]
struct Options {
    /// How many things may go wrong on one path.
    #[arg(long, default_value_t = 2)]
    faults: u8,
    /// Only scenarios whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many actions deep, for a first look.
    #[arg(long)]
    depth: Option<usize>,
}

fn main() -> std::process::ExitCode {
    let options = Options::parse();
    let mut failed = false;
    for scenario in Scenario::all(options.faults) {
        if scenario.name.contains(&options.only) {
            failed |= !explore(&scenario, &options);
        }
    }
    if failed { std::process::ExitCode::FAILURE } else { std::process::ExitCode::SUCCESS }
}

/// False when something does not hold.
fn explore(scenario: &Scenario, options: &Options) -> bool {
    let begun = Instant::now();
    let mut builder = scenario.clone().checker().threads(options.threads);
    if let Some(depth) = options.depth {
        builder = builder.target_max_depth(depth);
    }
    let checker = builder.spawn_bfs().join();
    println!(
        "{}: {} faults, {} states ({} with repetitions), depth {}, {:.1} s",
        scenario.name,
        scenario.faults,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    let mut holds = true;
    for property in scenario.properties() {
        let found = checker.discovery(property.name);
        let (word, ok) = match (&property.expectation, &found) {
            (Expectation::Sometimes, Some(_)) => ("happens", true),
            (Expectation::Sometimes, None) => ("never happens", false),
            (_, None) => ("holds", true),
            (_, Some(_)) => ("broken", false),
        };
        println!("  {word}: {}", property.name);
        if let (false, Some(path)) = (ok, found) {
            for (number, action) in path.into_actions().into_iter().enumerate() {
                println!("    {}. {action:?}", number + 1);
            }
        }
        holds &= ok;
    }
    holds
}
