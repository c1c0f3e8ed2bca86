//! Starts the processes that live as long as the simulator, and no longer.
//!
//! The kernel can kill a child when its parent dies, but the parent it means
//! is the *thread* that made the child. So one thread makes them all and stays;
//! when it goes, by intent or because the simulator was killed, they go.

use std::process::Stdio;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::BackingError;
use super::command::{io, search_path};
use super::group::Group;

/// What is to be started, and where its output goes.
struct Order {
    command: Command,
    answer: oneshot::Sender<std::io::Result<Child>>,
}

/// The parent thread. Dropping the last of them kills the children.
#[derive(Debug, Clone)]
pub(crate) struct Children {
    orders: mpsc::Sender<Order>,
}

impl Children {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub(crate) fn new() -> Result<Self, BackingError> {
        let (orders, inbox) = mpsc::channel::<Order>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("children".to_owned())
            .spawn(move || {
                let _inside = runtime.enter();
                for mut order in inbox {
                    let _ = order.answer.send(order.command.spawn());
                }
            })
            .map_err(io("starting the thread that keeps children"))?;
        Ok(Self { orders })
    }

    /// Starts `words` inside `group`, to be killed with this process. Standard
    /// input is empty; both outputs go to `log`.
    ///
    /// # Errors
    /// The log cannot be made or the process cannot be started.
    pub(crate) async fn start(
        &self,
        group: &Group,
        words: &[&std::ffi::OsStr],
        log: &std::path::Path,
    ) -> Result<Child, BackingError> {
        let context = format!("starting {}", words.first().unwrap_or(&"".as_ref()).display());
        let out = std::fs::File::create(log).map_err(io(format!("making {}", log.display())))?;
        let err = out.try_clone().map_err(io(context.clone()))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "sh", "-ec"])
            .arg(r#"echo $$ > "$1/cgroup.procs"; shift; exec "$@""#)
            .arg("sh")
            .arg(group.path())
            .args(words)
            .env("PATH", search_path())
            // An interrupt from the keyboard is for us alone; we end them in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let (answer, answered) = oneshot::channel();
        let gone = || std::io::Error::other("the thread that keeps children is gone");
        self.orders.send(Order { command, answer }).map_err(|_| io(context.clone())(gone()))?;
        let child = answered.await.map_err(|_| io(context.clone())(gone()))?;
        child.map_err(io(context))
    }
}
