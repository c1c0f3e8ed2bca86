//! The tasks there are, and the one place that changes where they stand.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::answer::EcsError;
use super::launch::{Launched, Launcher, remove_container};
use super::left_over;
use super::task::{Status, StopCode, Stopped, Task};

/// ECS's own default between the polite signal and the other one.
const DEFAULT_STOP_SECS: u64 = 30;
/// Tasks at once on this machine; ECS, too, may have no room.
const MAX_RUNNING: usize = 24;

/// What a task is started with.
#[derive(Debug, Clone)]
pub struct Order {
    /// The task as accepted.
    pub task: Task,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Makes the call idempotent.
    pub client_token: Option<String>,
    /// The request without its token; the same token with another is refused.
    pub fingerprint: Value,
}

/// What came of a RunTask call that was understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// This task was started, now or by an earlier call with the same token.
    Started(Value),
    /// There is no room for another.
    NoRoom,
}

/// All tasks of this endpoint.
#[derive(Debug)]
pub struct Tasks {
    book: Mutex<Book>,
    launcher: Launcher,
    ended: mpsc::UnboundedSender<Task>,
}

/// Every task there ever was: old ones are no longer shown, but keep their
/// tokens, so that nothing is started twice.
#[derive(Debug, Default)]
struct Book {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    task: Task,
    client_token: Option<String>,
    fingerprint: Value,
    stop: Arc<Notify>,
}

impl Tasks {
    /// No tasks yet; each one that ends is sent to `ended`.
    pub fn new(launcher: Launcher, ended: mpsc::UnboundedSender<Task>) -> Arc<Self> {
        Arc::new(Self { book: Mutex::default(), launcher, ended })
    }

    /// Starts a task, unless its token says that it was started already.
    ///
    /// # Errors
    /// The token was used with another request.
    pub fn run(self: &Arc<Self>, order: Order) -> Result<Outcome, EcsError> {
        let mut book = self.book();
        let earlier = book
            .entries
            .iter()
            .find(|entry| entry.client_token.is_some() && entry.client_token == order.client_token);
        if let Some(entry) = earlier {
            return if entry.fingerprint == order.fingerprint {
                Ok(Outcome::Started(entry.task.describe()))
            } else {
                Err(EcsError::Conflict(vec![entry.task.arn.clone()]))
            };
        }
        if book.entries.iter().filter(|entry| !entry.task.is_stopped()).count() >= MAX_RUNNING {
            return Ok(Outcome::NoRoom);
        }
        let described = order.task.describe();
        let stop = Arc::new(Notify::new());
        book.entries.push(Entry {
            task: order.task.clone(),
            client_token: order.client_token.clone(),
            fingerprint: order.fingerprint.clone(),
            stop: stop.clone(),
        });
        drop(book);
        tokio::spawn(self.clone().follow(order, stop));
        Ok(Outcome::Started(described))
    }

    /// The task of this id or ARN, as ECS shows it.
    pub fn describe(&self, name: &str) -> Option<Value> {
        let mut book = self.book();
        let task = &book.find(name)?.task;
        (!task.is_forgotten()).then(|| task.describe())
    }

    /// Asks a task to stop; answers at once.
    ///
    /// # Errors
    /// There is no such task.
    pub fn stop(&self, name: &str, reason: &str) -> Result<Value, EcsError> {
        let mut book = self.book();
        let entry = book.find(name).ok_or(EcsError::TaskNotFound)?;
        if !entry.task.is_stopped() {
            entry.task.stop_asked.get_or_insert_with(|| reason.to_owned());
            entry.stop.notify_one();
        }
        Ok(entry.task.describe())
    }

    /// The tasks that fit and are not forgotten, oldest first.
    pub fn list(&self, fits: impl Fn(&Task) -> bool) -> Vec<String> {
        let book = self.book();
        let tasks = book.entries.iter().map(|entry| &entry.task);
        tasks
            .filter(|task| !task.is_forgotten() && fits(task))
            .map(|task| task.arn.clone())
            .collect()
    }

    /// Sees a task from its start to its end.
    async fn follow(self: Arc<Self>, order: Order, stop: Arc<Notify>) {
        let id = order.task.id.clone();
        let stopped = match self.start(&order) {
            Ok(Some(launched)) => {
                let grace = Duration::from_secs(
                    order.task.container.stop_timeout.unwrap_or(DEFAULT_STOP_SECS),
                );
                let scratch = launched.scratch.clone();
                let status = see_through(launched, &stop, grace).await;
                if self.launcher.runs_containers() {
                    remove_container(&id).await;
                }
                left_over::forget(&self.launcher.folder, &id, &scratch);
                self.ended_with(&id, status)
            }
            Ok(None) => self.never_started(&id, StopCode::UserInitiated, None),
            Err(error) => {
                let reason = format!("CannotStartContainerError: {error}");
                self.never_started(&id, StopCode::TaskFailedToStart, Some(reason))
            }
        };
        if let Some(task) = self.change(&id, |task| task.status = Status::Stopped(stopped)) {
            // Nobody listens any more only when the endpoint is ending.
            let _ = self.ended.send(task);
        }
    }

    /// Starts the process, unless the task has been stopped before it began.
    fn start(&self, order: &Order) -> crate::error::Result<Option<Launched>> {
        let id = &order.task.id;
        let asked = self.book().find(id).is_some_and(|entry| entry.task.stop_asked.is_some());
        if asked {
            return Ok(None);
        }
        let launched = self.launcher.launch(id, order.variables.clone(), &order.arguments)?;
        if let Some(pid) = launched.child.id() {
            let is_container = self.launcher.runs_containers();
            let folder = &self.launcher.folder;
            left_over::remember(folder, id, pid, is_container, &launched.scratch)?;
        }
        self.change(id, |task| {
            task.status = Status::Running;
            task.started_at = Some(SystemTime::now());
        });
        Ok(Some(launched))
    }

    fn ended_with(&self, id: &str, status: Option<ExitStatus>) -> Stopped {
        // As a container engine says it: a signal is 128 and its number.
        let exit_code = status.and_then(|it| it.code().or(it.signal().map(|signal| 128 + signal)));
        let asked = self.book().find(id).and_then(|entry| entry.task.stop_asked.clone());
        let (code, reason) = match asked {
            Some(reason) => (StopCode::UserInitiated, reason),
            None => (
                StopCode::EssentialContainerExited,
                "Essential container in task exited".to_owned(),
            ),
        };
        Stopped { exit_code, code, reason, at: SystemTime::now() }
    }

    fn never_started(&self, id: &str, code: StopCode, reason: Option<String>) -> Stopped {
        let asked = self.book().find(id).and_then(|entry| entry.task.stop_asked.clone());
        let reason = reason.or(asked).unwrap_or_default();
        Stopped { exit_code: None, code, reason, at: SystemTime::now() }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Task)) -> Option<Task> {
        let mut book = self.book();
        let entry = book.find(id)?;
        change(&mut entry.task);
        Some(entry.task.clone())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The book is changed in single steps, so a panic elsewhere cannot leave it half changed.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn find(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.task.is_called(name))
    }
}

/// Waits for the end; when asked to stop, asks politely and then insists. As
/// in a container, nothing outlives the first process.
async fn see_through(mut launched: Launched, stop: &Notify, grace: Duration) -> Option<ExitStatus> {
    let pid = launched.child.id().map(|pid| Pid::from_raw(pid.cast_signed()));
    let mut status = None;
    tokio::select! {
        ended = launched.child.wait() => status = ended.ok(),
        () = stop.notified() => {
            // A process that has just ended is what was wanted.
            let _ = pid.map(|pid| kill(pid, Signal::SIGTERM));
            if let Ok(ended) = tokio::time::timeout(grace, launched.child.wait()).await {
                status = ended.ok();
            }
        }
    }
    let _ = pid.map(|pid| killpg(pid, Signal::SIGKILL));
    if status.is_none() {
        status = launched.child.wait().await.ok();
    }
    status
}
