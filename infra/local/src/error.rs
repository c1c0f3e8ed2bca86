//! Everything that can stop a task, told to the person at the terminal.

use std::path::Path;

/// Why a task could not go on.
#[derive(Debug, thiserror::Error)]
pub enum XtaskError {
    /// Something is not installed that cannot be installed from here.
    #[error("{what} is missing: {remedy}")]
    Missing {
        /// The program or package.
        what: String,
        /// What the person can do.
        remedy: String,
    },
    /// A program failed.
    #[error("{command} failed: {detail}")]
    Command {
        /// The program and what it was to do; no secrets.
        command: String,
        /// Exit status and the end of its output.
        detail: String,
    },
    /// A file or a process could not be reached.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A request got no answer.
    #[error("{context}: {source}")]
    Http {
        /// What was being asked.
        context: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// A request got an answer that was not expected.
    #[error("{context}: {detail}")]
    Answer {
        /// What was being asked.
        context: String,
        /// Status and body, or what is missing in it.
        detail: String,
    },
    /// Something did not happen in time.
    #[error("{what} not seen within {secs} s; {hint}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        secs: u64,
        /// Where to look.
        hint: String,
    },
    /// The stack is already running.
    #[error(
        "stack {stack} is already up (process {pid}); `cargo xtask down --stack {stack}` ends it"
    )]
    AlreadyUp {
        /// Name of the stack.
        stack: String,
        /// Its owner.
        pid: u32,
    },
    /// There is no such stack.
    #[error("stack {0} is not up")]
    NotUp(String),
    /// A check of the demo or of the tests did not hold.
    #[error("{0}")]
    Check(String),
    /// The last line printed says what is wrong; this is the exit code.
    #[error("exit code {0}; the line above says why")]
    Said(u8),
    /// The person pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What every task answers with.
pub type Result<T> = std::result::Result<T, XtaskError>;

/// Adds to an I/O error what was being done.
pub trait IoContext<T> {
    /// Names the deed.
    ///
    /// # Errors
    /// The I/O error, with its context.
    fn during(self, context: impl Into<String>) -> Result<T>;
    /// Names the file.
    ///
    /// # Errors
    /// The I/O error, with the file's path.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn during(self, context: impl Into<String>) -> Result<T> {
        self.map_err(|source| XtaskError::Io { context: context.into(), source })
    }

    fn at(self, path: &Path) -> Result<T> {
        self.during(path.display().to_string())
    }
}
