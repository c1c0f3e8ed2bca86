//! One playbook, as one `ansible-playbook` process: started, watched, ended.

use std::{
    fs::File, io::Read, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus,
};

use nix::sys::signal::Signal;
use nodeyard_domain::{evidence::Fact, timeline::TimelineEntry};
use nodeyard_engine::{Clock, store::RunStore};
use tokio::{
    process::Child,
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    child,
    events::{Event, Status, Tally, TaskEvent},
    failure::Failure,
    lines::{self, Lines},
    log::cut,
    report::Report,
    site::Site,
    verdict::Exit,
};

/// What is read of the events at a time.
const READ_BYTES: usize = 64 * 1024;
const MAX_ROLE_BYTES: usize = 200;

/// What a playbook came to.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) tally: Tally,
}

/// Runs a playbook to its end, or ends it when the run has to stop.
///
/// # Errors
/// When it cannot be started. How it ended is no error here.
pub(crate) async fn run<S: RunStore, C: Clock>(
    site: &Site<'_>,
    name: &str,
    report: &mut Report<'_, S, C>,
) -> Result<Ended, Failure> {
    site.stop.check()?;
    report.line(&format!("### {name}.yml"));
    let mut events = EventsFile::new(site.scratch.path().join(format!("{name}.events")));
    let mut child = start(site, name, &events)?;
    let (sender, mut output) = mpsc::channel(256);
    let readers = [
        child.stdout.take().map(|stdout| tokio::spawn(lines::forward(stdout, sender.clone()))),
        child.stderr.take().map(|stderr| tokio::spawn(lines::forward(stderr, sender))),
    ];

    let mut tally = Tally::default();
    let mut ticks = tokio::time::interval(site.settings.tempo.events_gap);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = site.stop.clone();
    let mut stopped = None;
    let mut kill_at = Instant::now();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(line) = output.recv() => report.line(&line),
            _ = ticks.tick() => {
                events.each(|event| tell(name, &event, &mut tally, report));
                report.append_when_due().await;
            }
            cause = stop.wait(), if stopped.is_none() => {
                stopped = Some(cause);
                child::signal(&child, Signal::SIGTERM);
                kill_at = Instant::now() + site.settings.tempo.end_grace;
            }
            () = tokio::time::sleep_until(kill_at), if stopped.is_some() => {
                child::signal(&child, Signal::SIGKILL);
                kill_at = Instant::now() + site.settings.tempo.end_grace;
            }
        }
    };
    // Something it left running may hold its output open; it ends with the scratch folder.
    let drain = async {
        while let Some(line) = output.recv().await {
            report.line(&line);
        }
    };
    let _ = tokio::time::timeout(site.settings.tempo.drain_limit, drain).await;
    for reader in readers.into_iter().flatten() {
        reader.abort();
    }
    events.each(|event| tell(name, &event, &mut tally, report));
    let exit = match (stopped, status) {
        (Some(cause), _) => Exit::Stopped(cause),
        (None, Ok(status)) => exit_of(status),
        (None, Err(error)) => {
            return Err(Failure::of_task(format!("ansible-playbook was lost: {error}")));
        }
    };
    Ok(Ended { exit, tally })
}

fn start(site: &Site<'_>, name: &str, events: &EventsFile) -> Result<Child, Failure> {
    let home = site.scratch.path();
    let mut command = child::tied_command("ansible-playbook", site.search_path(), site.scratch);
    command
        .env("ANSIBLE_CONFIG", site.settings.playbooks.join("ansible.cfg"))
        .env("ANSIBLE_HOME", home.join(".ansible"))
        .env("ANSIBLE_LOCAL_TEMP", site.scratch.tmp())
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", site.scratch.control_sockets())
        .env("ANSIBLE_NOCOLOR", "1")
        .env("NODEYARD_EVENTS_FILE", &events.path)
        // The playbooks' folder may be read-only.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .current_dir(&site.settings.playbooks)
        .arg("-i")
        .arg(site.scratch.inventory())
        .arg("-e")
        .arg(format!("@{}", site.scratch.vars().display()))
        .arg(site.playbook(name));
    child::start(&mut command).map_err(|error| Failure::of_task(error.to_string()))
}

fn exit_of(status: ExitStatus) -> Exit {
    match status.code() {
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.signal().unwrap_or(0)),
    }
}

/// Counts an event, and tells of it if it matters.
pub(crate) fn tell<S: RunStore, C: Clock>(
    playbook: &str,
    event: &Event,
    tally: &mut Tally,
    report: &mut Report<'_, S, C>,
) {
    tally.add(event);
    if matches!(event, Event::Task(task) if task.item.is_none()) {
        report.task_done();
    }
    prove(playbook, event, tally, report);
    let entry = match event {
        Event::Play { play } => report.entry(format!("play: {play}")),
        Event::Task(task) => match entry_of(task, report) {
            Some(entry) => entry,
            None => return,
        },
        Event::Stats { .. } => {
            let recap = tally.recap();
            let text = format!(
                "{playbook}.yml ended: ok={} changed={} failed={} unreachable={}",
                recap.ok, recap.changed, recap.failed, recap.unreachable
            );
            report.entry(text)
        }
        Event::Other => return,
    };
    report.note(entry.with("playbook", playbook));
}

/// Every result of a task goes on the run's chain; of a loop, every item that changed or failed.
fn prove<S: RunStore, C: Clock>(
    playbook: &str,
    event: &Event,
    tally: &Tally,
    report: &mut Report<'_, S, C>,
) {
    match event {
        Event::Task(task) => {
            let status = match task.status {
                Status::Ok | Status::Skipped if task.item.is_some() => return,
                Status::Ok => "ok",
                Status::Changed => "changed",
                Status::Skipped => "skipped",
                Status::Failed if task.ignored => "ignored",
                Status::Failed | Status::Unreachable => "failed",
                Status::Other => return,
            };
            let clean = |text: &str| report.redacted(text);
            let (name, role) = (clean(&task.task), task.role.as_deref().map(clean));
            let (item, message) = (task.item.as_deref().map(clean), task.msg.as_deref().map(clean));
            let of = (name.as_str(), role.as_deref(), item.as_deref());
            let seconds = task.seconds;
            report.prove(Fact::task_ended(playbook, of, status, seconds, message.as_deref()));
        }
        Event::Stats { .. } => {
            report
                .prove(Fact::PlaybookEnded { playbook: playbook.to_owned(), recap: tally.recap() });
        }
        Event::Play { .. } | Event::Other => {}
    }
}

/// What changed or failed has an entry; of a loop, only the items that failed.
fn entry_of<S: RunStore, C: Clock>(
    task: &TaskEvent,
    report: &mut Report<'_, S, C>,
) -> Option<TimelineEntry> {
    let status = match task.status {
        Status::Changed if task.item.is_none() => "changed",
        Status::Failed if task.ignored => "ignored",
        Status::Failed | Status::Unreachable => "failed",
        _ => return None,
    };
    let mut text = format!("{status}: {}", task.task);
    if let Some(item) = &task.item {
        text.push_str(&format!(" ({item})"));
    }
    if let Some(message) = task.msg.as_deref().filter(|message| !message.is_empty()) {
        text.push_str(&format!(": {message}"));
    }
    let entry = report.entry(text).with("status", status).with("seconds", task.seconds);
    Some(match &task.role {
        Some(role) => entry.with("role", cut(role, MAX_ROLE_BYTES)),
        None => entry,
    })
}

/// The file the callback plugin writes its events to, read as it grows.
struct EventsFile {
    path: PathBuf,
    file: Option<File>,
    lines: Lines,
}

impl EventsFile {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, lines: Lines::default() }
    }

    /// The events since the last time, one by one: a node that says too much must not fill our
    /// memory with it. What cannot be read yet comes the next time.
    fn each(&mut self, mut take: impl FnMut(Event)) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(read @ 1..) = file.read(&mut buffer) {
            let lines = self.lines.push(&buffer[..read]);
            lines.iter().filter_map(|line| Event::parse(line)).for_each(&mut take);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn events_are_read_as_the_file_grows_and_none_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut events = EventsFile::new(path.clone());
        let mut read = || {
            let mut found = Vec::new();
            events.each(|event| found.push(event));
            found
        };
        assert_eq!(read(), []);
        let mut file = File::create(path).unwrap();
        file.write_all(b"{\"event\":\"play\",\"play\":\"a\"}\nno event\n{\"event\":\"pl").unwrap();
        assert_eq!(read(), [Event::Play { play: "a".into() }]);
        assert_eq!(read(), []);
        file.write_all(b"ay\",\"play\":\"b\"}\n").unwrap();
        assert_eq!(read(), [Event::Play { play: "b".into() }]);
    }
}
