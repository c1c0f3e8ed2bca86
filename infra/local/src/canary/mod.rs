//! `cargo xtask canary`: plants distinctive secrets, lets everything happen to them on the local
//! stack, with debug logs on, and searches every place for any form of them.
//!
//! Where a secret has to be is not searched, and said: see [`EXEMPT`].

mod left;
mod matcher;
mod place;
mod scenes;
mod stores;
mod verdict;
mod views;
mod watch;

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use crate::api::Tape;
use crate::bench::{Bench, with_stack};
use crate::cli::{CanaryOptions, Probe, StackOptions};
use crate::error::{Result, XtaskError};
use crate::report::Report;
use crate::workspace::Workspace;
use nodeyard_domain::host_key::first_host_key;
use nodeyard_domain::ownership::{DeploymentKey, LABEL_NODE, MAX_ATTEMPTS};
use tokio::task::JoinSet;

use matcher::{Matcher, Secret, seed_of};
use place::{Kind, Places};
use scenes::Stage;
use stores::Stores;
use verdict::Verdict;
use watch::Watch;

/// Where a secret has to be.
const EXEMPT: &[&str] = &[
    "Secrets Manager's own store",
    "the provider's memory, user data and machines, and the command line of its stand-in",
    "the callers' own requests, and the messages that were sent with a secret in them",
    "the one answer that shows a new API token",
    "the memory of functions and tasks, and the pipe that a key goes through into the ssh-agent",
    "the record that this program keeps of its own stack (state.json, mode 0600)",
];

/// Between two looks at what changes from moment to moment.
const LOOK: Duration = Duration::from_millis(500);

/// What is planted in the programs.
const LEAK: &str = "leak";
const PANIC: &str = "panic";

/// What the worker says of a record whose hop panicked.
const PANICKED: &str = "record panicked";

/// Runs the drill on a stack of its own, which it ends.
///
/// # Errors
/// A secret showed, or the drill could not be done.
pub async fn canary(workspace: &Workspace, options: &CanaryOptions, report: Report) -> Result<()> {
    let verdict = search(workspace, options, report).await?;
    for line in verdict.lines() {
        report.line(line);
    }
    println!("{verdict}");
    if verdict.holds() { Ok(()) } else { Err(XtaskError::Said(1)) }
}

/// Both in one: nothing shows, and a leaking build is caught, in every form that it leaks.
///
/// # Errors
/// A secret showed, a planted leak did not, or the drill could not be done.
pub async fn check(workspace: &Workspace, options: &CanaryOptions, report: Report) -> Result<()> {
    canary(workspace, options, report).await?;
    let leaking = CanaryOptions { leak: true, ..options.clone() };
    let verdict = search(workspace, &leaking, report).await?;
    verdict.is_caught()?;
    report.line(format!("a leaking build: {verdict}"));
    Ok(())
}

/// Plants, plays and searches.
async fn search(workspace: &Workspace, options: &CanaryOptions, report: Report) -> Result<Verdict> {
    let planted = if options.leak { LEAK } else { PANIC };
    let probe = Probe { log_level: Some(options.log.clone()), planted: Some(planted.to_owned()) };
    let stack = StackOptions { probe, ..StackOptions::of(options.stack.clone(), options.backing) };
    let places = Places::default();
    let mut found = with_stack(workspace, &stack, report, async |bench| {
        play(bench, options.leak, &places).await
    })
    .await?;
    left::search(workspace, &options.stack, &found.tasks, &places);
    report.line("the stack has ended; what it left was looked at");
    keep_values_once(&mut found.secrets);
    Ok(Verdict::of(&found.secrets, &places.all(), options.leak))
}

/// What was planted and what has to be looked at after the end.
struct Played {
    secrets: Vec<Secret>,
    /// Ids of the container tasks.
    tasks: Vec<String>,
}

async fn play(bench: &Bench, leaks: bool, places: &Places) -> Result<Played> {
    let tape = Tape::default();
    let bench = Bench { api: bench.api.taped(&tape), ..bench.clone() };
    let stores = Stores::of(&bench.state)?;
    let watch = Watch::start(&bench, places.clone());
    // Ends when it is dropped, however this ends.
    let mut looking = JoinSet::new();
    looking.spawn({
        let (stores, places) = (stores.clone(), places.clone());
        async move {
            loop {
                // What cannot be read now is read the next time.
                let _ = stores.look(&places).await;
                tokio::time::sleep(LOOK).await;
            }
        }
    });
    let stage = Stage::new(&bench);
    // Two moments: what is stored at the start may have been replaced at the end.
    let mut stored = stores.secrets().await?;
    let played = if leaks { scenes::play_short(&stage).await } else { scenes::play(&stage).await };
    drop(looking);
    played?;
    stores.look(places).await?;
    stores.look_at_the_end(places).await?;
    drop(watch);
    if !leaks && !has_logged(places, PANICKED) {
        let told = "the worker was to panic and did not; only debug builds can be made to";
        return Err(XtaskError::Check(told.to_owned()));
    }
    stored.extend(stores.secrets().await?);
    let host_keys = first_host_keys(&bench, &stored, places, &tape).await?;
    // A provider token is stored as well: it keeps the name it was planted under.
    let secrets = [stage.planted(), host_keys, stored].concat();
    keep_answers(&tape, &secrets, places);
    for (path, _) in watch::files_below(&bench.tasks_folder()) {
        if path.extension().is_some_and(|extension| extension == "log") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            places.add(Kind::TaskLog, name, std::fs::read(&path).unwrap_or_default());
        }
    }
    places.forget_messages(&stage.sent());
    let tasks = places.all().into_iter().filter(|place| place.kind == Kind::ContainerTask);
    let tasks = tasks.filter_map(|place| Some(place.name.rsplit('/').next()?.to_owned())).collect();
    Ok(Played { secrets, tasks })
}

/// The private halves that went out in user data: derived by the worker and on record nowhere, so
/// they are derived once more. Their public halves are on record, which proves them the right ones.
async fn first_host_keys(
    bench: &Bench,
    secrets: &[Secret],
    places: &Places,
    tape: &Tape,
) -> Result<Vec<Secret>> {
    let key = secrets.iter().find(|secret| secret.name.ends_with("/deployment-key"));
    let key = key.ok_or_else(|| XtaskError::Check("there is no deployment key".to_owned()))?;
    let key = DeploymentKey::new(key.value.clone());
    let mut found = Vec::new();
    let mut publics = Vec::new();
    for entry in bench.simulator.journal().await?.iter().filter(|entry| entry.is_create()) {
        let node = entry.label(LABEL_NODE).unwrap_or_default();
        let wrong = |error: String| XtaskError::Check(format!("a create of {node}: {error}"));
        let node_id = node.parse().map_err(|_| wrong("no node".to_owned()))?;
        for attempt in 1..=MAX_ATTEMPTS {
            let pair = first_host_key(&key, &node_id, attempt);
            let pair = pair.map_err(|error| wrong(error.to_string()))?;
            let name = format!("first host key of {node}, attempt {attempt}");
            let private = pair.private.into_bytes();
            let seed = seed_of(&private).ok_or_else(|| wrong("no seed".to_owned()))?;
            found.push(Secret { name: format!("{name}, its seed"), value: seed });
            found.push(Secret { name, value: private });
            publics.push(Secret { name: node.to_owned(), value: pair.public.into_bytes() });
        }
    }
    let matcher = Matcher::new(&publics);
    let items = places.all().into_iter().filter(|place| place.kind == Kind::Item);
    let on_record = items.flat_map(|place| matcher.find(&place.bytes)).count();
    // A node shows the key as long as it has it.
    let tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = tape.iter().flat_map(|answer| matcher.find(&answer.bytes)).count();
    if on_record + shown == 0 {
        return Err(XtaskError::Check("no derived host key was ever pinned".to_owned()));
    }
    Ok(found)
}

/// A new API token is shown once, in the answer that makes it: the rest of that answer is searched.
fn keep_answers(tape: &Tape, secrets: &[Secret], places: &Places) {
    let tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
    for answer in tape.iter() {
        let mut bytes = answer.bytes.clone();
        if answer.asked == "POST /tokens" {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let made = secrets.iter().filter(|secret| secret.name.starts_with("API token"));
            let shown = made.filter_map(|secret| std::str::from_utf8(&secret.value).ok());
            bytes = shown.fold(text, |text, value| text.replace(value, "")).into_bytes();
        }
        let is_of = |part: &str| answer.asked.contains(part);
        let kind = match () {
            () if is_of("/timeline") => Kind::Timeline,
            () if is_of("/evidence") => Kind::Evidence,
            () if is_of("/log") => Kind::JobLog,
            () if is_of("/audit") => Kind::Audit,
            () => Kind::Answer,
        };
        places.add(kind, answer.asked.clone(), bytes);
    }
}

fn has_logged(places: &Places, words: &str) -> bool {
    let logs = places.all().into_iter().filter(|place| place.kind == Kind::FunctionLog);
    logs.into_iter().any(|place| String::from_utf8_lossy(&place.bytes).contains(words))
}

/// The same value under several names is one secret, by its first name.
fn keep_values_once(secrets: &mut Vec<Secret>) {
    let mut known = BTreeSet::new();
    secrets.retain(|secret| known.insert(secret.value.clone()));
}
