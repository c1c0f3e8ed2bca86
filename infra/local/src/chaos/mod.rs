//! `cargo xtask chaos`: real processes killed and real answers lost while nodes are acquired; then
//! calm, and a count of what is doubled, left over or stuck.
//!
//! The simulator's journal is the judge: our own records say only which server a node claims, and
//! how many attempts were made.

pub mod fleet;
pub mod judge;
mod plan;
mod storm;
mod subscriber;
mod verdict;
mod victims;
mod weather;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::bench::{Bench, with_stack};
use crate::cli::{ChaosOptions, StackOptions};
use crate::error::{Result, XtaskError};
use crate::function::WORKER;
use crate::journal::Entry;
use crate::random::Dice;
use crate::report::Report;
use crate::simulator::PROJECT;
use crate::workspace::Workspace;

use fleet::{Member, Noted, Standing};
use plan::Plan;
use storm::Storm;
use subscriber::Subscriber;
use verdict::Verdict;

/// Time between two looks at all jobs.
const LOOK: Duration = Duration::from_secs(2);

/// Runs the drill on a stack of its own, which it ends.
///
/// # Errors
/// Something was doubled, left over or stuck, or the drill could not be done.
pub async fn chaos(workspace: &Workspace, options: &ChaosOptions, report: Report) -> Result<()> {
    let seed = options.seed.map_or_else(Dice::seed, Ok)?;
    let stack = StackOptions::of(options.stack.clone(), options.backing);
    let verdict = with_stack(workspace, &stack, report, async |bench| {
        report.line(format!("seed {seed}"));
        play(bench, options.acquisitions, Plan::of(options.short), Dice::new(seed)).await
    });
    let verdict = verdict.await?;
    println!("{verdict}");
    if verdict.holds() { Ok(()) } else { Err(XtaskError::Said(1)) }
}

async fn play(bench: &Bench, acquisitions: u32, plan: Plan, dice: Dice) -> Result<Verdict> {
    let mut subscriber = Subscriber::listen(bench).await?;
    let mut storm = Storm::new(bench, plan, dice)?;
    let mut members = vec![storm.kill_during_a_create(&name(1)).await?];
    storm.lose_answers_of_creates(acquisitions - 1).await?;
    members.extend(fleet::ask_all(bench, (2..=acquisitions).map(name)).await?);
    storm.rage(&members).await?;
    let calm = settle(&mut storm).await?;
    for line in calm.lines() {
        bench.report.line(line);
    }
    let mut orphans = judge::unowned(&bench.simulator.world(PROJECT).await?, &calm);

    let ready = calm.ready();
    storm.lose_answers_of_deletes(ready.len()).await?;
    fleet::release_all(bench, ready).await?;
    storm.rage(&[]).await?;
    let end = settle(&mut storm).await?;
    bench.report.line(end.summary());

    let world = bench.simulator.world(PROJECT).await?;
    orphans.extend(judge::left_over(&world));
    let journal = bench.simulator.journal().await?;
    let duplicates = judge::duplicates(&journal, &end.attempts(), weather::LATE_SECS);
    let mut stuck = calm.stuck();
    stuck.extend(end.stuck());
    let events = subscriber.wrong(&calm, &end).await?;
    tell_losses(bench, &journal);
    tell_busy(bench);
    tell_recovery(bench, &storm, &members).await?;
    for line in duplicates.iter().chain(&orphans).chain(&stuck).chain(&events) {
        bench.report.line(format!("WRONG: {line}"));
    }
    Ok(Verdict {
        acquisitions: members.len(),
        kills: storm.kills(),
        lost_answers: journal.iter().filter(|entry| entry.is_lost()).count(),
        duplicates: duplicates.len(),
        orphans: orphans.len(),
        stuck: stuck.len(),
        wrong_events: events.len(),
        over_the_limit: journal.iter().filter(|entry| entry.is_over_the_limit()).count(),
    })
}

fn name(number: u32) -> String {
    format!("chaos-{number}")
}

/// Lets nothing more go wrong, and waits until every job and every node has come to rest, or
/// patience ends.
async fn settle(storm: &mut Storm<'_>) -> Result<Standing> {
    storm.bench().simulator.disarm_all().await?;
    storm.bench().report.line("calm: nothing is killed or lost any more");
    let start = Instant::now();
    let mut told = Instant::now();
    loop {
        storm.sweep_if_short().await;
        let standing = Standing::of(storm.bench()).await?;
        if standing.is_at_rest() || start.elapsed() > storm.patience() {
            return Ok(standing);
        }
        if told.elapsed() > Duration::from_secs(15) {
            storm.bench().report.line(standing.summary());
            told = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Which calls something went wrong with, and what.
fn tell_losses(bench: &Bench, journal: &[Entry]) {
    let mut hits: BTreeMap<String, usize> = BTreeMap::new();
    for (route, entry) in journal.iter().map(|entry| (entry.route(), entry)) {
        for fault in &entry.faults {
            *hits.entry(format!("{route}: {fault}")).or_default() += 1;
        }
    }
    for (hit, count) in hits {
        bench.report.line(format!("{count:4} {hit}"));
    }
}

/// How many of the killed workers were busy: the emulator says so of each that gave no answer.
fn tell_busy(bench: &Bench) {
    let log = bench.folder.join("logs/emulator.log");
    let said = format!("{WORKER}: Runtime exited");
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let busy = text.lines().filter(|line| line.contains(&said)).count();
    bench.report.line(format!("{busy} workers were killed with wakes in hand"));
}

/// How long it took from the worker's death, which lost the job's wake, to the next step, and to the
/// adoption of the server it had asked for.
async fn tell_recovery(bench: &Bench, storm: &Storm<'_>, members: &[Member]) -> Result<()> {
    let (Some(first), Some(killed_at)) = (members.first(), storm.killed_at()) else {
        return Ok(());
    };
    let entries = fleet::timeline(bench, &first.job).await?;
    let mut later = entries.iter().filter(|entry| entry.at > killed_at);
    let secs = |entry: Option<&Noted>| match entry {
        Some(entry) => {
            let secs = (entry.at - killed_at).total(jiff::Unit::Second).unwrap_or_default();
            format!("{secs:.1} s later")
        }
        None => "never".to_owned(),
    };
    bench.report.line(format!(
        "a create whose worker was killed: looked at again {}, adopted {}",
        secs(later.clone().next()),
        secs(later.find(|entry| entry.message.contains("adopted")))
    ));
    Ok(())
}
